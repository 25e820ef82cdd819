/** The list of requests with its search, and the story of one of them. */
import { ask, nothingYet, type Story, state } from './data.ts';
import { type Content, card, el, styled, table } from './dom.ts';
import { clock, count, ms, usd } from './format.ts';

const shownMax = 200;

/** The filter, kept while the page is open. */
export const filter = { text: '', outcome: 'all' };

const failed = ({ status, error }: Story): boolean => status >= 400 || error !== '';

function matches(story: Story): boolean {
  if (filter.outcome === 'failed' && !failed(story)) return false;
  if (filter.outcome === 'hits' && story.cache !== 'hit' && !story.replayed) return false;
  if (filter.outcome === 'slow' && story.durationMs < 1000) return false;
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const { requestId, traceId, clientRequestId, tenant, team, user, keyId, model, target, error, tags } =
    story;
  const text = [
    requestId,
    traceId,
    clientRequestId,
    tenant,
    team,
    user,
    keyId,
    model,
    target,
    error,
    tags,
    story.status,
  ];
  const all = text.join(' ').toLowerCase();
  return words.every((word) => all.includes(word));
}

/** Status of a request as a badge. @param inList a narrow screen has no room for the error */
export function outcome(story: Story, inList = false): HTMLElement {
  const kind = story.failure ? 'bad' : failed(story) ? 'warn' : 'good';
  return el(
    'span',
    { class: `badge ${kind}` },
    String(story.status),
    story.error === '' ? null : el('span', { class: inList ? 'wide' : '' }, ` ${story.error}`),
  );
}

/** The list. @param open shows a request */
export function requestList(open: (id: string) => void): HTMLElement {
  const found = state.requests.filter(matches).slice(-shownMax).reverse();
  const rows = found.map((story) => {
    const name = el(
      'button',
      { type: 'button', class: 'link mono', click: () => open(story.requestId) },
      clock(story.endedMs),
    );
    const cells: [Content, string][] = [
      [name, ''],
      [outcome(story, true), ''],
      [[story.tenant, story.team].filter(Boolean).join(' / '), 'wide'],
      [story.model, ''],
      [[story.target, story.attempts > 1 ? ` (${story.attempts} calls)` : ''].join(''), 'wide'],
      [story.cache === 'hit' ? 'hit' : story.replayed ? 'replay' : story.stream ? 'stream' : '', 'wide'],
      [ms(story.durationMs), 'n'],
      [story.ttftMs > 0 ? ms(story.ttftMs) : '', 'n wide'],
      [count(story.inputTokens + story.outputTokens), 'n wide'],
      [usd(story.costNanoUsd), 'n'],
    ];
    return el(
      'tr',
      { class: 'row', click: () => open(story.requestId) },
      ...cells.map(([content, kind]) => el('td', { class: kind }, content)),
    );
  });
  const titles = [
    'Time',
    'Status',
    'Caller',
    'Model',
    'Target',
    'How',
    'Time taken',
    'First token',
    'Tokens',
    'Cost',
  ];
  const kinds = ['', '', 'wide', '', 'wide', 'wide', 'n', 'n wide', 'n wide', 'n'];
  const head = titles.map((title, i) => el('th', { scope: 'col', class: kinds[i] ?? '' }, title));
  if (rows.length === 0)
    return el('p', { class: 'empty' }, state.requests.length === 0 ? nothingYet() : 'No request matches.');
  return el(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Requests' },
    el('table', { keydown: moves }, el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...rows)),
  );
}

/** Arrow keys move between rows. */
function moves(event: Event): void {
  const { key } = event as KeyboardEvent;
  if (key !== 'ArrowDown' && key !== 'ArrowUp') return;
  const row = document.activeElement?.closest('tr');
  const next = key === 'ArrowDown' ? row?.nextElementSibling : row?.previousElementSibling;
  next?.querySelector('button')?.focus();
  event.preventDefault();
}

/** Moves to the first row of the list; false: there is none, or a row has the focus already. */
export function firstRow(from: EventTarget | null): boolean {
  const row = document.querySelector<HTMLElement>('#list tr.row button');
  if (row === null || (from instanceof Element && from.closest('#list tr') !== null)) return false;
  row.focus();
  return true;
}

/** The search field and filters. */
export function searchForm(changed: () => void, open: (id: string) => void): HTMLElement {
  const input = el('input', {
    type: 'search',
    id: 'search',
    size: 34,
    placeholder: 'request id, trace id, team, model, error …',
    value: filter.text,
    input: () => {
      filter.text = input.value;
      changed();
    },
  });
  const options = [
    ['all', 'all'],
    ['failed', 'failed'],
    ['hits', 'from the cache'],
    ['slow', 'over 1 s'],
  ].map(([value, text]) => el('option', { value: value ?? '', selected: filter.outcome === value }, text));
  const select = el(
    'select',
    {
      id: 'outcome',
      change: () => {
        filter.outcome = select.value;
        changed();
      },
    },
    ...options,
  );
  const submit = (event: Event): void => {
    event.preventDefault();
    const id = input.value.trim();
    // A whole id is looked up at the port, which may know older ones than this page.
    if (/^(req_\w{10,}|[0-9a-f]{32})$/.test(id)) open(id);
  };
  return el(
    'form',
    { class: 'bar-form', role: 'search', submit },
    el('label', {}, 'Search (press /)', input),
    el('label', {}, 'Show', select),
  );
}

/** The story of a request, which is asked for if the page doesn't know it. */
export async function requestStory(id: string): Promise<HTMLElement> {
  const known = state.requests.find(
    ({ requestId, traceId, clientRequestId }) => requestId === id || traceId === id || clientRequestId === id,
  );
  try {
    return storyView(known ?? (await ask<Story>(`/api/requests/${encodeURIComponent(id)}`)));
  } catch (cause) {
    return card('Not found', '', '', el('p', { class: 'soft' }, cause instanceof Error ? cause.message : ''));
  }
}

function storyView(story: Story): HTMLElement {
  return el(
    'div',
    { class: 'grid' },
    card(
      `Request ${story.requestId}`,
      new Date(story.endedMs).toLocaleString('en-GB'),
      '',
      el('p', {}, outcome(story), ' ', story.hint === '' ? null : el('span', { class: 'soft' }, story.hint)),
      pairs(factsOf(story)),
    ),
    card('Where the time went', ms(story.durationMs), '', waterfall(story)),
    card('Calls to providers', `${story.attempts} made`, '', stepTable(story)),
    card('Stages', '', '', stageTable(story)),
  );
}

const kindsIn = (findings: Story['findings']): string =>
  Object.entries(findings)
    .map(([kind, found]) => `${found} ${kind}`)
    .join(', ');

const factsOf = (story: Story): readonly (readonly [string, string])[] => [
  ['Caller', [story.tenant, story.team, story.user, story.keyId].filter(Boolean).join(' / ')],
  ['Model asked for', story.model],
  ['Answered by', [story.target, story.reportedModel].filter(Boolean).join(', says ')],
  [
    'Tokens in / out',
    `${count(story.inputTokens)} / ${count(story.outputTokens)}${story.usageKnown ? '' : ' (counted here)'}` +
      (story.reasoningTokens === 0 ? '' : `, ${count(story.reasoningTokens)} of them for reasoning`),
  ],
  [
    'Read from / written to the provider’s cache',
    `${count(story.cachedInputTokens)} / ${count(story.cacheWriteTokens)}`,
  ],
  ['Cost', `${usd(story.costNanoUsd)}${story.priced ? '' : ' (some of it has no known price)'}`],
  ['Saved by a stored reply', story.savedNanoUsd === 0 ? '' : usd(story.savedNanoUsd)],
  ['Saved by routing', story.routingSavedNanoUsd === 0 ? '' : usd(story.routingSavedNanoUsd)],
  [
    'Cache',
    story.replayed
      ? 'repeat of an earlier request'
      : [story.cache, story.cacheLevel].filter(Boolean).join(', '),
  ],
  ['Personal data', kindsIn(story.findings) || 'none found'],
  ['Personal data in the reply', kindsIn(story.replyFindings)],
  ['Limits', story.limits.join(', ') || 'none'],
  ['Tags', story.tags],
  ['Trace id', story.traceId],
  ['Client’s request id', story.clientRequestId],
];

const pairs = (facts: readonly (readonly [string, string])[]): HTMLElement =>
  el(
    'dl',
    { class: 'pairs' },
    ...facts
      .filter(([, value]) => value !== '')
      .map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
  );

/** Bars over the time of the request: queue, each call up to its first token and after it, and the whole. */
function waterfall(story: Story): HTMLElement {
  const all = Math.max(
    story.durationMs,
    ...story.steps.map(({ atMs, durationMs }) => atMs + durationMs),
    0.001,
  );
  const piece = (fromMs: number, lengthMs: number, kind: string): HTMLElement =>
    styled(el('i', { class: kind }), {
      left: `${(fromMs / all) * 100}%`,
      width: `${(lengthMs / all) * 100}%`,
    });
  const rows: HTMLElement[] = [];
  const row = (name: string, note: string, ...pieces: HTMLElement[]): void => {
    rows.push(
      el('span', {}, name),
      el('div', { class: 'track' }, ...pieces),
      el('span', { class: 'n soft' }, note),
    );
  };
  const [first] = story.steps;
  const firstMs = first?.atMs ?? story.durationMs;
  row(
    'gateway, before',
    ms(Math.max(0, firstMs - story.queuedMs)),
    piece(0, Math.max(0, firstMs - story.queuedMs), ''),
  );
  if (story.queuedMs > 0)
    row('queue', ms(story.queuedMs), piece(firstMs - story.queuedMs, story.queuedMs, 'ttft'));
  for (const { target, outcome: end, atMs, durationMs, ttftMs, called } of story.steps) {
    const beginsMs = ttftMs < 0 ? durationMs : Math.min(ttftMs, durationMs);
    const bad = end !== 'ok' && end !== 'hedge_lost';
    row(
      target,
      called ? `${end}, ${ms(durationMs)}` : `skipped: ${end}`,
      piece(atMs, beginsMs, bad ? 'failed' : 'ttft'),
      piece(atMs + beginsMs, durationMs - beginsMs, bad ? 'failed' : ''),
    );
  }
  row('whole request', ms(story.durationMs), piece(0, story.durationMs, ''));
  const key = (colour: string, text: string): HTMLElement =>
    el('span', {}, styled(el('i'), { background: `var(--${colour})` }), text);
  return el(
    'div',
    {},
    el('div', { class: 'water' }, ...rows),
    el(
      'div',
      { class: 'legend' },
      key('two', 'waiting for the first token, or for a turn'),
      key('one', 'reply arriving, or the gateway’s own time'),
      key('bad', 'failed or skipped'),
    ),
  );
}

const stageKinds = { ok: 'good', end: 'good', refused: 'bad' } as const;

const stageTable = (story: Story): HTMLElement =>
  table(
    'Stages',
    ['Stage', 'Verdict', '#Time'],
    story.stages.map(({ stage, verdict, kind, ms: taken }) => [
      el('span', { class: stageKinds[kind] }, stage),
      verdict,
      taken > 0 ? ms(taken) : '',
    ]),
  );

const stepTable = (story: Story): HTMLElement =>
  story.steps.length === 0
    ? el('p', { class: 'empty' }, 'No provider was asked.')
    : table(
        'Calls',
        ['Target', 'Model', 'Outcome', '#First token', '#Time', 'Provider’s id', 'What it said'],
        story.steps.map((step) => [
          step.target,
          step.model,
          step.called
            ? `${step.outcome}${step.status > 0 ? ` (${step.status})` : ''}`
            : `skipped: ${step.outcome}`,
          step.ttftMs < 0 ? '' : ms(step.ttftMs),
          ms(step.durationMs),
          el('span', { class: 'mono' }, step.providerRequestId),
          step.error,
        ]),
      );
