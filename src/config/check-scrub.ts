/** Checks kinds of personal data that the configuration defines: names, and patterns that take linear time. */
import { piiKinds, policyOf } from '../native/pii.ts';
import { customRule } from '../scrub/policy.ts';
import { type Draft, once, type Report } from './report.ts';

/** Every fault of the configuration's own kinds. */
export function checkScrub(draft: Draft, report: Report): void {
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
