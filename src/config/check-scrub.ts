/** Checks what is said of personal data: kinds of the configuration's own, the recogniser, and kinds that only it finds. */
import { piiKinds, policyOf } from '../native/pii.ts';
import { customRule } from '../scrub/policy.ts';
import { usualEntities } from '../scrub/recogniser/settings.ts';
import type { Path } from './faults.ts';
import { type Draft, faultyAt, once, type Report } from './report.ts';
import { baseUrlFault, isPlainRemote } from './syntax.ts';

/** Every fault. */
export function checkScrub(draft: Draft, report: Report): void {
  checkCustom(draft, report);
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

/** A kind that only a recogniser finds, though none looks for it, would be let through in silence. */
function checkRecognised({ scrub }: Draft, report: Report): void {
  if (scrub === undefined || faultyAt(scrub, 'recogniser')) return;
  const { recogniser } = scrub;
  if (recogniser !== undefined && faultyAt(recogniser, 'entities')) return;
  const entities = recogniser === undefined ? {} : (recogniser.entities ?? usualEntities);
  const looked = new Set<string | undefined>(Object.values(entities));
  const unfound = piiKinds.filter(({ name, recognised }) => recognised && !looked.has(name));
  const differing: [Path, typeof scrub.request][] = [
    [['scrub', 'request'], scrub.request],
    ...Object.entries(scrub.tenants ?? {}).map(([name, own]): [Path, typeof scrub.request] => [
      ['scrub', 'tenants', name, 'request'],
      own?.request,
    ]),
    ...Object.entries(scrub.routes ?? {}).map(([name, own]): [Path, typeof scrub.request] => [
      ['scrub', 'routes', name, 'request'],
      own?.request,
    ]),
  ];
  for (const [path, actions] of differing)
    for (const { name } of unfound)
      if (![undefined, 'off'].includes(actions?.[name]))
        report.fault(
          [...path, name],
          'is found by `scrub.recogniser` only: name it under its `entities`',
          'key',
        );
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
