/** The playground: one request through the data port, its reply shown as it comes. Needs the admin token. */
import { state } from './data.ts';
import { card, el } from './dom.ts';

const tokenName = 'sidegate-admin-token';
/** Characters of a reply that are shown. */
const shownMax = 200_000;

/** The token is kept for this tab only. A link may bring it behind the #, which no server sees. */
export function takeToken(): void {
  const token = /[#&]token=([^&]+)/.exec(location.hash)?.[1];
  if (token === undefined) return;
  sessionStorage.setItem(tokenName, decodeURIComponent(token));
  history.replaceState(null, '', location.pathname);
}

/** The form and what comes back. @param open shows a request */
export function playView(open: (id: string) => void): HTMLElement {
  const models = (state.overview?.routes ?? [])
    .map((route) => route.model)
    .filter((name) => !name.includes('*'));
  const token = el('input', {
    type: 'password',
    id: 'token',
    autocomplete: 'off',
    value: sessionStorage.getItem(tokenName) ?? '',
  });
  const key = el('input', {
    type: 'password',
    id: 'key',
    autocomplete: 'off',
    placeholder: 'none: anonymous',
  });
  const model = el('input', { id: 'model', list: 'models', value: models[0] ?? 'sim-gpt' });
  const list = el('datalist', { id: 'models' }, ...models.map((name) => el('option', { value: name })));
  const prompt = el(
    'textarea',
    { id: 'prompt' },
    'Write one sentence about gates. My address is ann@example.com.',
  );
  const stream = el('input', { type: 'checkbox', id: 'stream', checked: true });
  const reply = el('pre', { tabindex: 0, role: 'log', 'aria-live': 'polite', 'aria-label': 'Reply' });
  const facts = el('p', { class: 'soft' });
  const send = el('button', { type: 'submit', class: 'main' }, 'Send');
  let running: AbortController | null = null;

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    running?.abort();
    running = new AbortController();
    sessionStorage.setItem(tokenName, token.value);
    reply.textContent = '';
    facts.replaceChildren('…');
    const body = JSON.stringify({
      model: model.value,
      stream: stream.checked,
      messages: [{ role: 'user', content: prompt.value }],
    });
    const began = performance.now();
    try {
      const answer = await fetch('/api/play', {
        method: 'POST',
        headers: { authorization: `Bearer ${token.value}`, 'content-type': 'application/json' },
        body: JSON.stringify({ path: '/v1/chat/completions', key: key.value, body }),
        signal: running.signal,
      });
      await show(answer, reply);
      const id = answer.headers.get('x-request-id');
      const took = `${answer.status}, ${Math.round(performance.now() - began)} ms, ${answer.headers.get('x-sidegate-target') ?? 'no target'} `;
      facts.replaceChildren(
        took,
        id === null
          ? ''
          : el('button', { type: 'button', class: 'link', click: () => open(id) }, 'its story'),
      );
    } catch (cause) {
      facts.replaceChildren(cause instanceof Error ? cause.message : 'failed');
    }
  };

  return el(
    'div',
    { class: 'grid' },
    card(
      'Request',
      'sent to the data port',
      'half',
      el(
        'form',
        { submit: (event) => void submit(event) },
        el(
          'div',
          { class: 'bar-form' },
          el('label', {}, 'Admin token', token),
          el('label', {}, 'Key', key),
          el('label', {}, 'Model', model),
          list,
        ),
        el('label', {}, 'Prompt', prompt),
        el('p', {}, el('label', {}, el('span', {}, stream, ' as a stream'))),
        send,
      ),
    ),
    card('Reply', '', 'half', reply, facts),
  );
}

/** Shows a reply while it arrives: the text of a stream's events, or the body. */
async function show(answer: Response, into: HTMLElement): Promise<void> {
  const isStream = answer.headers.get('content-type')?.startsWith('text/event-stream') === true;
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    if ((into.textContent?.length ?? 0) > shownMax) continue;
    if (!isStream) {
      into.append(part.value);
      continue;
    }
    const lines = (rest + part.value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) into.append(textOf(line));
  }
}

/** The text of one line of a stream. */
function textOf(line: string): string {
  if (!line.startsWith('data: {')) return '';
  try {
    const { choices, error } = JSON.parse(line.slice(6)) as {
      choices?: { delta?: { content?: string } }[];
      error?: { message?: string };
    };
    return choices?.[0]?.delta?.content ?? (error === undefined ? '' : `\n${error.message ?? 'error'}`);
  } catch {
    return '';
  }
}
