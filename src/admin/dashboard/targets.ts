/** The view of targets: breakers, latency and keys, on a map of routes. */
import { type Overview, type RouteView, state, type TargetView } from './data.ts';
import { type Content, card, el } from './dom.ts';
import { count, ms, quantile, size, sorted, span } from './format.ts';

const breakerKinds = { closed: 'good', open: 'bad', 'half-open': 'warn' } as const;

function targetBox(target: TargetView): HTMLElement {
  const recent = state.requests
    .slice(-500)
    .flatMap(({ steps }) => steps.filter((step) => step.target === target.label && step.called));
  const firsts = sorted(recent.map(({ ttftMs }) => ttftMs).filter((value) => value >= 0));
  const bad = recent.filter(({ outcome: end }) => end !== 'ok' && end !== 'hedge_lost').length;
  const line = (...parts: Content[]): HTMLElement => el('div', { class: 'soft' }, ...parts);
  return el(
    'div',
    { class: `target ${target.breaker}` },
    el('b', {}, target.label),
    ' ',
    el('span', { class: `badge ${breakerKinds[target.breaker]}` }, `breaker ${target.breaker}`),
    line(`first token p50 ${ms(quantile(firsts, 0.5))}, p99 ${ms(quantile(firsts, 0.99))}`),
    line(`${count(target.inFlight)} in flight, ${bad} of the last ${recent.length} calls failed`),
    target.keysResting === 0
      ? null
      : el('div', { class: 'warn' }, `${target.keysResting} of ${target.keys} keys rest`),
    target.engine === null ? null : line(`engine ${target.engine}`),
    target.simulated ? line('simulated: answers are invented') : null,
  );
}

/** Each route with its targets, in the order of the configuration. */
export function routeMap({ routes, targets }: Overview): HTMLElement {
  const known = new Map(targets.map((target) => [target.label, target]));
  const boxes = (list: RouteView['targets']): HTMLElement[] =>
    list.flatMap((each) => {
      if ('route' in each) return [el('div', { class: 'target' }, 'as route ', el('b', {}, each.route))];
      const target = known.get(each.label);
      return target === undefined ? [] : [targetBox(target)];
    });
  const routed = new Set(
    routes.flatMap((route) => route.targets.map((each) => ('label' in each ? each.label : ''))),
  );
  const others = targets.filter(({ label }) => !routed.has(label));
  const all = [...routes, ...(others.length === 0 ? [] : [{ model: '(no route)', targets: others }])];
  if (all.length === 0) return el('p', { class: 'empty' }, 'No routes are configured.');
  return el(
    'div',
    { class: 'routes' },
    ...all.map((route) =>
      el(
        'div',
        { class: 'route' },
        el('div', {}, el('b', {}, route.model), ' ', el('span', { class: 'soft' }, '→')),
        el('div', {}, ...boxes(route.targets)),
      ),
    ),
  );
}

/** Targets on a map of routes, and the process. */
export function targetsView(): HTMLElement {
  const { overview } = state;
  if (overview === null) return el('p', { class: 'empty' }, 'Waiting for the first figures …');
  const { numbers } = overview;
  return el(
    'div',
    { class: 'grid' },
    card('Routes and targets', '', '', routeMap(overview)),
    card(
      'Process',
      '',
      '',
      el(
        'p',
        { class: 'soft' },
        `Up for ${span(numbers.upSeconds)}, ${size(numbers.rssBytes)} of memory, ${count(numbers.cacheEntries)} cached ${numbers.cacheEntries === 1 ? 'reply' : 'replies'} in ${size(numbers.cacheBytes)}, mode ${overview.mode}, data port ${overview.dataUrl}.`,
      ),
    ),
  );
}
