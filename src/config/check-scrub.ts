/** Checks what is said of personal data: kinds and their names, those of the configuration's own, and the recogniser. */
import { didYouMean } from '../base/did-you-mean.ts';
import { piiKinds, policyOf } from '../native/pii.ts';
import { customRule } from '../scrub/policy.ts';
import { usualEntities } from '../scrub/recogniser/settings.ts';
import type { Path } from './faults.ts';
import { type Draft, faultyAt, once, type Report } from './report.ts';
import { baseUrlFault, isPlainRemote } from './syntax.ts';

/** Every fault. */
export function checkScrub(draft: Draft, report: Report): void {
  checkCustom(draft, report);
  checkKinds(draft, report);
  checkRecogniser(draft, report);
  checkRecognised(draft, report);
}

function checkRecogniser(draft: Draft, report: Report): void {
  const url = draft.scrub?.recogniser?.url;
  if (url === undefined) return;
  const path = ['scrub', 'recogniser', 'url'];
  const fault = baseUrlFault(url)?.replace(': use `apiKey`', '') ?? null;
  if (fault !== null) report.fault(path, fault);
  else if (isPlainRemote(url))
    report.warn(path, 'texts of requests are sent unencrypted: use https, or 127.0.0.1');
}

type DraftScrub = NonNullable<Draft['scrub']>;
type Actions = DraftScrub['request'];

/** What is said of kinds: everywhere, for tenants, and on routes. */
function* actionsIn(scrub: DraftScrub, direction: 'request' | 'reply'): Generator<[Path, Actions]> {
  yield [['scrub', direction], scrub[direction]];
  for (const each of ['tenants', 'routes'] as const)
    for (const [name, own] of Object.entries(scrub[each] ?? {}))
      yield [['scrub', each, name, direction], own?.[direction]];
}

function checkKinds({ scrub }: Draft, report: Report): void {
  if (scrub === undefined || faultyAt(scrub, 'custom')) return;
  const custom = scrub.custom ?? [];
  const own = custom.map((kind) => kind?.name).filter((name) => name !== undefined);
  // A kind without a sound name may be the one that is meant.
  if (own.length < custom.length) return;
  const known = new Set([...piiKinds.map(({ name }) => name), ...own]);
  for (const direction of ['request', 'reply'] as const)
    for (const [path, actions] of actionsIn(scrub, direction))
      for (const name of Object.keys(actions ?? {})) {
        const guess = didYouMean(name, known);
        if (!known.has(name))
          report.fault(
            [...path, name],
            `there is no such kind${guess === '' ? ': those of your own are named under `scrub.custom`' : guess}`,
            'key',
          );
      }
}

/** A kind that only a recogniser finds, though none looks for it, would be let through in silence. */
function checkRecognised({ scrub }: Draft, report: Report): void {
  if (scrub === undefined || faultyAt(scrub, 'recogniser')) return;
  const { recogniser } = scrub;
  if (recogniser !== undefined && faultyAt(recogniser, 'entities')) return;
  const entities = recogniser === undefined ? {} : (recogniser.entities ?? usualEntities);
  const looked = new Set<string | undefined>(Object.values(entities));
  const recognised = piiKinds.filter((kind) => kind.recognised).map(({ name }) => name);
  const unfound = {
    request: [
      'is found by `scrub.recogniser` only: name it under its `entities`',
      recognised.filter((name) => !looked.has(name)),
    ],
    reply: ['is found by a recogniser only, which is not asked about replies', recognised],
  } as const;
  for (const direction of ['request', 'reply'] as const) {
    const [why, names] = unfound[direction];
    for (const [path, actions] of actionsIn(scrub, direction))
      for (const name of names)
        if (![undefined, 'off'].includes(actions?.[name])) report.fault([...path, name], why, 'key');
  }
}

function checkCustom(draft: Draft, report: Report): void {
  const builtIn = new Set(piiKinds.map(({ name }) => name));
  const named = once(report, 'this name');
  draft.scrub?.custom?.forEach((kind, index) => {
    if (kind === undefined) return;
    const path = ['scrub', 'custom', index];
    const { name, pattern } = kind;
    const words = kind.words?.filter((word) => word !== undefined);
    named(name, [...path, 'name']);
    if (name !== undefined && builtIn.has(name))
      report.fault([...path, 'name'], 'this is the name of a built-in kind');
    if ((pattern === undefined) === (words === undefined)) {
      report.fault(path, 'needs either pattern or words');
      return;
    }
    try {
      policyOf(
        [customRule({ name: 'x', pattern, words, action: 'redact', reply: 'off' }, 'redact')],
        [],
        key,
      );
    } catch (cause) {
      const why = cause instanceof Error ? cause.message.replace(/^x: /, '') : '';
      report.fault([...path, pattern === undefined ? 'words' : 'pattern'], why);
    }
  });
}

const key = Buffer.alloc(1);
