/** Builds elements. Texts become text nodes only, so nothing that is shown can become markup. */

/** Something that an element can contain. */
export type Content = Node | string | number | null | undefined | readonly Content[];

/** Attributes; a function is a listener by the name of its event. */
export type Attributes = Readonly<
  Record<string, string | number | boolean | null | ((event: Event) => void)>
>;

/** An element with attributes and contents. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...contents: readonly Content[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== null && value !== false)
      element.setAttribute(name, value === true ? '' : String(value));
  }
  fill(element, contents);
  return element;
}

function fill(element: Element, contents: readonly Content[]): void {
  for (const each of contents) {
    if (each === null || each === undefined) continue;
    if (Array.isArray(each)) fill(element, each);
    else element.append(each instanceof Node ? each : String(each));
  }
}

/** Sets a style, which the page's policy allows from scripts only. */
export function styled<T extends HTMLElement>(element: T, styles: Readonly<Record<string, string>>): T {
  for (const [name, value] of Object.entries(styles)) element.style.setProperty(name, value);
  return element;
}

/** A card with a title. */
export const card = (
  title: string,
  note: string,
  size: '' | 'half' | 'third',
  ...contents: readonly Content[]
) =>
  el(
    'section',
    { class: `card ${size}`, 'aria-label': title },
    el('h2', {}, title, note === '' ? null : [' ', el('small', {}, note)]),
    ...contents,
  );

/** A table; columns whose titles begin with # are numbers. */
export function table(
  caption: string,
  titles: readonly string[],
  rows: readonly (readonly Content[])[],
): HTMLElement {
  const kinds = titles.map((title) => (title.startsWith('#') ? 'n' : ''));
  const head = titles.map((title, i) =>
    el('th', { scope: 'col', class: kinds[i] ?? '' }, title.replace(/^#/, '')),
  );
  const body = rows.map((cells) =>
    el('tr', {}, ...cells.map((cell, i) => el('td', { class: kinds[i] ?? '' }, cell))),
  );
  return el(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    el('table', {}, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...body)),
  );
}

/** A bar that is filled to a share. */
export function bar(share: number, label: string): HTMLElement {
  const kind = share >= 1 ? 'bad' : share >= 0.8 ? 'warn' : '';
  const fill = styled(el('i', { class: kind }), { width: `${Math.min(100, Math.max(0, share * 100))}%` });
  return el(
    'div',
    {
      class: 'bar',
      role: 'meter',
      'aria-label': label,
      'aria-valuemin': 0,
      'aria-valuemax': 100,
      'aria-valuenow': Math.round(Math.min(1, Math.max(0, share)) * 100),
    },
    fill,
  );
}
