/**
 * Precision and recall of finding personal data: `npm run eval:pii -- FILE.json`. A file is a list of
 * `{text, spans: [{type, start, end}]}` with offsets in UTF-16 code units. The last line is JSON. With `--save`, the guide
 * shows these scores (`npm run generate`).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { findPii, piiAction, piiKinds, policyOf } from '../../src/native/pii.ts';

/** What a data set calls our kinds; others are named alike. */
const typeOf: Readonly<Record<string, string>> = {
  card: 'CREDIT_CARD',
  iban: 'IBAN_CODE',
  phone: 'PHONE_NUMBER',
  email: 'EMAIL_ADDRESS',
  ip: 'IP_ADDRESS',
  us_ssn: 'US_SSN',
  driver_licence: 'US_DRIVER_LICENSE',
  postal_code: 'ZIP_CODE',
  domain: 'DOMAIN_NAME',
};

/** What needs a language model, and is counted apart. */
const named = new Set([
  'PERSON',
  'ORGANIZATION',
  'STREET_ADDRESS',
  'GPE',
  'TITLE',
  'AGE',
  'NRP',
  'DATE_TIME',
]);

interface Span {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}
/** A text, and what it holds. */
export interface Sample {
  readonly text: string;
  readonly spans: readonly Span[];
}
interface Tally {
  right: number;
  found: number;
  labelled: number;
}

const everything = policyOf(
  piiKinds.map(({ name }) => ({ name, action: piiAction.Report })),
  [],
  Buffer.alloc(32),
);

/** What is found in a text. */
export function findIn(text: string): Span[] {
  const numbers = findPii(everything, text, '');
  const bytes = Buffer.from(text);
  const spans: Span[] = [];
  for (let at = 0; at < numbers.length; at += 3) {
    const [kind = 0, from = 0, to = 0] = numbers.slice(at, at + 3);
    const name = piiKinds[kind]?.name ?? '';
    const start = bytes.toString('utf8', 0, from).length;
    spans.push({
      type: typeOf[name] ?? name.toUpperCase(),
      start,
      end: start + bytes.toString('utf8', from, to).length,
    });
  }
  return spans;
}

/** Intersection over union. */
function overlap(a: Span, b: Span): number {
  const both = Math.min(a.end, b.end) - Math.max(a.start, b.start);
  return both <= 0 ? 0 : both / (a.end - a.start + b.end - b.start - both);
}

const scores = ({ right, found, labelled }: Tally) => {
  const precision = found === 0 ? 1 : right / found;
  const recall = labelled === 0 ? 1 : right / labelled;
  const f1 = precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
  const round = (value: number): number => Math.round(value * 10_000) / 10_000;
  return { precision: round(precision), recall: round(recall), f1: round(f1), labelled, found, right };
};

/** Types of credentials. */
const secret = new Set(piiKinds.filter((kind) => kind.secret).map(({ name }) => name.toUpperCase()));

/**
 * Scores by type, of the structured types together, and of secrets. Kinds that the file never labels don't count. Of names,
 * places and the like it says how many are labelled: none is found without a recogniser.
 */
export function evaluate(
  samples: readonly Sample[],
  missed: (sample: Sample, found: Span[]) => void = () => {},
) {
  const tallies = new Map<string, Tally>();
  for (const { spans } of samples)
    for (const { type } of spans)
      if (!named.has(type)) tallies.set(type, { right: 0, found: 0, labelled: 0 });
  for (const sample of samples) {
    const found = findIn(sample.text).filter(({ type }) => tallies.has(type));
    const labels = sample.spans.filter(({ type }) => tallies.has(type));
    for (const { type } of labels) (tallies.get(type) as Tally).labelled++;
    let wrong = labels.length !== found.length;
    for (const span of found) {
      const tally = tallies.get(span.type) as Tally;
      tally.found++;
      if (labels.some((label) => label.type === span.type && overlap(label, span) >= 0.5)) tally.right++;
      else wrong = true;
    }
    if (wrong) missed(sample, found);
  }
  const sum = (isSecret: boolean) => {
    const all: Tally = { right: 0, found: 0, labelled: 0 };
    for (const [type, tally] of tallies)
      for (const key of ['right', 'found', 'labelled'] as const)
        all[key] += secret.has(type) === isSecret ? tally[key] : 0;
    return scores(all);
  };
  const types = Object.fromEntries([...tallies].sort().map(([type, tally]) => [type, scores(tally)]));
  const names = samples.flatMap(({ spans }) => spans).filter(({ type }) => named.has(type));
  return { structured: sum(false), secrets: sum(true), names: { labelled: names.length }, types };
}

/** Where the scores of the last set are kept that was evaluated with `--save`. */
const saved = new URL('presidio.json', import.meta.url);

/** The scores that were saved. */
export const savedScores = (): ReturnType<typeof evaluate> => JSON.parse(readFileSync(saved, 'utf8'));

/** The scores as a table of Markdown. */
export const scoreTable = ({ structured, secrets, names, types }: ReturnType<typeof evaluate>): string => {
  const groups = [['structured', structured] as const, ['secrets', secrets] as const];
  const rows = [...Object.entries(types), ...groups.filter(([, { labelled }]) => labelled > 0)].map(
    ([type, score]) => `| ${type} | ${score.labelled} | ${score.precision} | ${score.recall} | ${score.f1} |`,
  );
  return [
    '| type | labelled | precision | recall | F1 |\n| --- | --- | --- | --- | --- |',
    ...rows,
    ...(names.labelled > 0 ? [`| names, places, dates | ${names.labelled} | – | 0 | 0 |`] : []),
  ].join('\n');
};

if (import.meta.main) {
  const path = process.argv[2];
  if (path === undefined) throw new Error('usage: npm run eval:pii -- FILE.json');
  const samples = JSON.parse(readFileSync(path, 'utf8')) as Sample[];
  const verbose = process.argv.includes('--missed');
  const result = evaluate(samples, ({ text, spans }, found) => {
    const quote = ({ type, start, end }: Span): string => `${type} ${JSON.stringify(text.slice(start, end))}`;
    if (verbose)
      console.log(
        JSON.stringify(text),
        '\n  labelled',
        spans
          .filter(({ type }) => !named.has(type))
          .map(quote)
          .join(', '),
        '\n  found',
        found.map(quote).join(', '),
      );
  });
  console.log(scoreTable(result));
  if (process.argv.includes('--save')) writeFileSync(saved, `${JSON.stringify(result, null, 2)}\n`);
  console.log(JSON.stringify(result));
}
