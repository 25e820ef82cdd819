/** The page: views by the address behind #, redrawn as figures arrive. */
import { follow, state } from './data.ts';
import { el } from './dom.ts';
import { limitsView } from './limits.ts';
import { configView, costsView, overviewView } from './panels.ts';
import { playView, takeToken } from './play.ts';
import { firstRow, requestList, requestStory, searchForm } from './requests.ts';
import { targetsView } from './targets.ts';

/** A view. Those that live are drawn again with each event; the others once, when they are opened. */
interface View {
  readonly title: string;
  readonly live: boolean;
  draw(id: string): HTMLElement | Promise<HTMLElement>;
}

const open = (id: string): void => {
  location.hash = `request/${encodeURIComponent(id)}`;
};

function requestsView(): HTMLElement {
  const list = el('div', { id: 'list' }, requestList(open));
  return el(
    'section',
    { class: 'card', 'aria-label': 'Requests' },
    searchForm(() => list.replaceChildren(requestList(open)), open),
    list,
  );
}

const views: Readonly<Record<string, View>> = {
  overview: { title: 'Overview', live: true, draw: () => overviewView(open) },
  requests: { title: 'Requests', live: false, draw: requestsView },
  targets: { title: 'Targets', live: true, draw: targetsView },
  limits: { title: 'Limits', live: true, draw: limitsView },
  costs: { title: 'Costs', live: true, draw: costsView },
  playground: { title: 'Playground', live: false, draw: () => playView(open) },
  configuration: { title: 'Configuration', live: false, draw: configView },
};
const story: View = { title: 'Request', live: false, draw: requestStory };

const content = document.querySelector('#content') as HTMLElement;
const live = document.querySelector('#live') as HTMLElement;

/** The view of the address, and the id behind it. */
function current(): { name: string; view: View; id: string } {
  const [name = '', id = ''] = location.hash.slice(1).split('/');
  if (name === 'request') return { name: 'requests', view: story, id: decoded(id) };
  const known = Object.hasOwn(views, name) ? name : 'overview';
  return { name: known, view: views[known] ?? story, id: '' };
}

/** What people type behind # needn't be encoded well. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether the view could not be drawn: it is once the sidecar answers again. */
let lacking = false;

async function draw(): Promise<void> {
  const { name, view, id } = current();
  lacking = false;
  const drawn = await Promise.resolve(view.draw(id)).catch(() => {
    lacking = true;
    return el('p', { class: 'empty' }, 'The sidecar does not answer.');
  });
  // Something else may have been opened meanwhile.
  if (current().view !== view || current().id !== id) return;
  // A redraw must not take the focus or the place in the page from who is reading.
  const focused = content.contains(document.activeElement) ? document.activeElement?.textContent : null;
  content.replaceChildren(drawn);
  if (focused)
    [...content.querySelectorAll('button')].find(({ textContent }) => textContent === focused)?.focus();
  document.title = `${view.title} – Sidegate`;
  for (const link of document.querySelectorAll('#tabs a'))
    if (link.getAttribute('href') === `#${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
}

function changed(): void {
  live.textContent = state.connected ? 'live' : 'not connected';
  live.classList.toggle('on', state.connected);
  const { name, view } = current();
  // Whoever reads a plot keeps it.
  if (state.connected && lacking) void draw();
  else if (view.live && content.querySelector('canvas:hover') === null) void draw();
  else if (name === 'requests' && view !== story) {
    const list = document.querySelector('#list');
    // Rows stay where they are while somebody moves through them.
    if (list !== null && !list.contains(document.activeElement)) list.replaceChildren(requestList(open));
  }
}

function keys(event: KeyboardEvent): void {
  const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
  if (event.key === 'Escape' && current().view === story) location.hash = 'requests';
  // From anywhere but the rows, which have their own, and the choices of a filter.
  if (event.key === 'ArrowDown' && !(event.target instanceof HTMLSelectElement) && firstRow(event.target))
    event.preventDefault();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const name = Object.keys(views)[Number(event.key) - 1];
  if (name !== undefined) location.hash = name;
  if (event.key !== '/') return;
  event.preventDefault();
  location.hash = 'requests';
  setTimeout(() => document.querySelector<HTMLElement>('#search')?.focus(), 50);
}

const stored = localStorage.getItem('sidegate-theme');
if (stored !== null) document.documentElement.dataset.theme = stored;
document.querySelector('#theme')?.addEventListener('click', () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === 'dark';
  document.documentElement.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('sidegate-theme', dark ? 'light' : 'dark');
  void draw();
});
document
  .querySelector('#tabs')
  ?.append(
    ...Object.entries(views).map(([name, { title }], i) =>
      el('a', { href: `#${name}`, title: `Key ${i + 1}` }, title),
    ),
  );
takeToken();
addEventListener('hashchange', () => void draw().then(() => scrollTo(0, 0)));
addEventListener('keydown', keys);
follow(changed);
void draw();
