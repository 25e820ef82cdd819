/** Edits of questions: those that keep what is asked, and those that change it. */
import { readFileSync } from 'node:fs';
import lists from './edits.json' with { type: 'json' };
import type { Split } from './groups.ts';
import type { Random } from './random.ts';

const { before, after, words, qualifiers, times, questions, forms } = lists;
const verbs: Readonly<Record<string, string>> = lists.verbs;

const swaps: readonly [RegExp, string][] = [
  [/\bwhat is\b/i, "what's"],
  [/\bwhat's\b/i, 'what is'],
  [/\bwhat('s| is)\b/i, 'whats'],
  [/\bdon't\b/i, 'dont'],
  [/\bcan't\b/i, 'cant'],
  [/\b(is|does|did|was|are)n't\b/i, '$1nt'],
  [/\bI'm\b/i, 'im'],
  [/\bI've\b/i, 'ive'],
  [/\byou\b/i, 'u'],
  [/\bplease\b/i, 'pls'],
  [/\bcan't\b/i, 'cannot'],
  [/\bdon't\b/i, 'do not'],
  [/\bdo not\b/i, "don't"],
  [/\bI am\b/, "I'm"],
  [/\bI'd like to\b/, 'I want to'],
  [/\bI want to\b/, 'I would like to'],
  [/\bhow do I\b/i, 'how can I'],
  [/\bhow can I\b/i, 'how do I'],
  [/\bcan I\b/i, 'may I'],
  [/\bis it possible to\b/i, 'can I'],
  [/^how do I /i, 'how to '],
  [/^how do I (.*)\?$/i, 'What is the best way to $1?'],
  [/^how do I (.*)\?$/i, 'Could you tell me how to $1?'],
  [/^how do I (.*)\?$/i, 'I need to $1, how?'],
  [/^how do I (.*)\?$/i, 'steps to $1'],
  [/^can I (.*)\?$/i, 'Am I able to $1?'],
  [/^can I (.*)\?$/i, "I'd like to know if I can $1"],
  [/^what is (.*)\?$/i, 'Tell me $1'],
  [/^what is (.*)\?$/i, 'Do you know $1?'],
  [/^(when|where|who|why) (is|are) (.*)\?$/i, 'Can you tell me $1 $3 $2?'],
];

function typo(text: string, random: Random): string {
  const places = [...text.matchAll(/[a-z]{5,}/g)].map((match) => [match.index, match[0].length] as const);
  if (places.length === 0) return text;
  const [start, length] = random.pick(places);
  const at = start + 1 + random.below(length - 2);
  const [a = '', b = ''] = [text[at], text[at + 1]];
  const kinds = [`${b}${a}`, `${a}`, `${a}${a}${b}`];
  return text.slice(0, at) + random.pick(kinds) + text.slice(at + 2);
}

/** The same question, put a little differently. */
export function keep(text: string, random: Random): string {
  let out = text;
  if (random.chance(0.35)) {
    const fits = swaps.filter(([from]) => from.test(out));
    if (fits.length > 0) out = out.replace(...random.pick(fits));
  }
  if (random.chance(0.3)) {
    const fits = words.flatMap((pair) => pair.filter((word) => new RegExp(`\\b${word}\\b`).test(out)));
    if (fits.length > 0) {
      const word = random.pick(fits);
      const other = words.find((pair) => pair.includes(word))?.find((one) => one !== word) ?? word;
      out = out.replace(new RegExp(`\\b${word}\\b`), other);
    }
  }
  if (random.chance(0.12)) out = typo(out, random);
  if (random.chance(0.15)) out = random.pick(before) + out;
  if (random.chance(0.12)) out = out.replace(/[?.!]$/, '') + random.pick(after);
  if (random.chance(0.12)) out = out.toLowerCase();
  if (random.chance(0.12)) out = out.replace(/[?.!]+$/, '');
  return out;
}

const negations: readonly [RegExp, string][] = [
  [/\b(do|does|did|can|should|would|will|could) (I|you|we|they|it|he|she|people)\b/i, '$1 $2 not'],
  [/\b(is|are|was|were) (it|this|there|they)\b/i, '$1 $2 not'],
  [/\bI (want|need|have) to\b/, "I don't $1 to"],
  [/\bwith\b/i, 'without'],
  [/\bwithout\b/i, 'with'],
  [/\b(is|are) (allowed|safe|required|included|available|supported|possible|free|taxable)\b/i, '$1 not $2'],
  [/\bhow do I (\w+)/i, 'how do I avoid having to $1'],
  [/\bhow can I (\w+)/i, 'how can I keep from having to $1'],
  [/\bwhy (is|are|does|do|did|was)\b/i, 'why $1 not'],
  [/\bI want\b/, "I don't want"],
];

const others: readonly [RegExp, readonly string[]][] = [
  [
    /\bmy\b/i,
    [
      "my wife's",
      "my boss's",
      'your',
      "my company's",
      "my daughter's",
      "someone else's",
      'my old',
      'my other',
    ],
  ],
  [/\bI\b(?!')/, ['my son', 'my employer', 'a minor', 'my landlord', 'a guest', 'a foreigner', 'my tenant']],
  [
    /\b(the|an?) (\w+)/i,
    [
      '$1 second $2',
      '$1 new $2',
      '$1 old $2',
      '$1 used $2',
      '$1 first $2',
      '$1 other $2',
      '$1 previous $2',
      '$1 next $2',
      '$1 smallest $2',
      '$1 cheapest $2',
      '$1 digital $2',
      '$1 shared $2',
    ],
  ],
]; // prettier-ignore

/** Words that mean too many things to be replaced by their opposite. */
const ambiguous = new Set(
  'left right light like save row column lend borrow give take weather climate up down add open cat dog top bottom hard long short'.split(
    ' ',
  ),
);

const antonyms = readFileSync(new URL('lexicon/antonyms.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .flatMap((line) => {
    const [a = '', b = ''] = line.split(' ');
    if (ambiguous.has(a) || ambiguous.has(b)) return [];
    return [[a, b] as const, [b, a] as const];
  });

function replaceOne(
  text: string,
  pairs: readonly (readonly [RegExp, string])[],
  random: Random,
): string | null {
  const fits = pairs.filter(([from]) => from.test(text));
  return fits.length === 0 ? null : text.replace(...random.pick(fits));
}

const wordPattern = (word: string): RegExp => new RegExp(`\\b${word}\\b`, 'i');

function digits(text: string, random: Random): string | null {
  const places = [...text.matchAll(/\d/g)].map((match) => match.index);
  if (places.length === 0) return null;
  const at = random.pick(places);
  return `${text.slice(0, at)}${(Number(text[at]) + 1 + random.below(9)) % 10}${text.slice(at + 1)}`;
}

/** Qualifiers of a split: those that thresholds are set and reported on are never trained on. */
function qualifiersOf(split: Split): readonly string[] {
  const all = qualifiers.length;
  const [from, to] = split === 'train' ? [0, 0.6] : split === 'tune' ? [0.6, 0.8] : [0.8, 1];
  return qualifiers.filter((_, at) => (at * 37) % all >= from * all && (at * 37) % all < to * all);
}

function append(text: string, more: string): string {
  const end = /[?.!]$/.exec(text)?.[0] ?? '';
  return `${end === '' ? text : text.slice(0, -1)} ${more}${end}`;
}

type Edit = (text: string, random: Random, split: Split) => string | null;

const changes: Readonly<Record<string, readonly [number, Edit]>> = {
  number: [2, digits],
  antonym: [
    3,
    (text, random) =>
      replaceOne(
        text,
        antonyms.map(([a, b]) => [wordPattern(a), b]),
        random,
      ),
  ],
  negation: [2, (text, random) => replaceOne(text, negations, random)],
  who: [
    1.2,
    (text, random) =>
      replaceOne(
        text,
        others.map(([from, to]) => [from, random.pick(to)]),
        random,
      ),
  ],
  time: [
    1,
    (text, random) =>
      replaceOne(
        text,
        times.map((time) => [wordPattern(time), random.pick(times.filter((other) => other !== time))]),
        random,
      ),
  ],
  verb: [
    1.2,
    (text, random) =>
      replaceOne(
        text,
        Object.entries(verbs).map(([a, b]) => [wordPattern(a), b]),
        random,
      ),
  ],
  question: [
    0.5,
    (text, random) =>
      replaceOne(text, [[/^(when|where|why|who|how often|how long)\b/i, random.pick(questions)]], random),
  ],
  qualifier: [1.8, (text, random, split) => append(text, random.pick(qualifiersOf(split)))],
  form: [0.35, (text, random) => `${text}${/[?.!]$/.test(text) ? ' ' : '. '}${random.pick(forms)}`],
}; // prettier-ignore

/** Each kind as often as it weighs, in tenths. */
const kinds = Object.entries(changes).flatMap(([kind, [weight]]) =>
  Array<string>(Math.round(weight * 10)).fill(kind),
);

/** Another question that looks like this one, and the kind of change; null if no edit fits. */
export function change(text: string, split: Split, random: Random): { text: string; kind: string } | null {
  for (let tries = 0; tries < 14; tries++) {
    const kind = random.pick(kinds);
    const edited = changes[kind]?.[1](text, random, split) ?? null;
    if (edited !== null && edited.toLowerCase() !== text.toLowerCase()) return { text: edited, kind };
  }
  return null;
}
