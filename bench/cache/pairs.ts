/** Makes pairs of questions that ask the same, and traps: pairs that look alike and don't. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { change, keep } from './edits.ts';
import {
  choose,
  chooseOther,
  type Family,
  fill,
  readFamilies,
  type Split,
  slotsOf,
  splits,
  type Values,
} from './groups.ts';
import { type Random, seeded } from './random.ts';

export interface Pair {
  readonly cached: string;
  readonly asked: string;
  readonly same: boolean;
  /** Where it comes from, as reports have it: `own:sibling`. */
  readonly source: string;
}

/** Pairs of each kind a line of some six wordings gives, for each value of its slots up to a bound. */
const perLine: Readonly<Record<Split, number>> = { train: 8, tune: 9, report: 9, earlier: 9, far: 9 };

/** What the values of a line's slots multiply its pairs by, at most. */
const valuesMax = 3;

function trap(family: Family, at: number, values: Values, random: Random): [string, string] | null {
  const line = family.lines[at] ?? [];
  const base = random.pick(line);
  const kind = random.next();
  const sibling = family.lines.length > 1 && kind < 0.45;
  if (sibling) {
    const other = random.pick(family.lines.filter((_, i) => i !== at));
    const all = new Map([...choose(family, other, random), ...values]);
    return [fill(random.pick(other), all, random), 'sibling'];
  }
  const swapped = kind < 0.72 ? chooseOther(family, values, random) : null;
  if (swapped !== null) return [fill(base, swapped, random), 'slot'];
  const edited = change(fill(base, values, random), family.split, random);
  return edited === null ? null : [edited.text, edited.kind];
}

function ofFamily(family: Family, random: Random, out: Pair[]): void {
  for (const [at, line] of family.lines.entries()) {
    const slots = slotsOf(line);
    // What is learned from a long line grows with it.
    const longer = family.split === 'train' ? Math.max(1, line.length / 6) : 1;
    const lines = (slots.length === 0 ? 1 : valuesMax) * (line.length > 5 ? longer : 0.6);
    const count = perLine[family.split] * lines;
    for (let i = 0; i < count; i++) {
      const values = choose(family, line, random);
      const [a = '', b = a] = random.shuffle(line);
      const cached = fill(a, values, random);
      // Reworded as a whole; now and then only a little.
      const other = random.chance(0.1) ? keep(cached, random) : fill(b, values, random);
      const asked = random.chance(0.35) ? keep(other, random) : other;
      if (cached !== asked) out.push({ cached, asked, same: true, source: 'own:reworded' });
      const found = trap(family, at, values, random);
      if (found === null) continue;
      const [text, kind] = found;
      const near = kind === 'sibling' || kind === 'slot' ? random.chance(0.5) : random.chance(0.7);
      const against = near ? cached : fill(random.pick(line), values, random);
      const last = random.chance(0.3) ? keep(text, random) : text;
      if (last.toLowerCase() !== against.toLowerCase()) {
        out.push({ cached: against, asked: last, same: false, source: `own:${kind}` });
      }
    }
  }
}

const tokens = (text: string): Set<string> => new Set(text.toLowerCase().match(/[a-z0-9]+/g) ?? []);

/** For some of the texts the one of another label that shares most of its words. */
function lookAlikes(
  items: readonly (readonly [string, string])[],
  count: number,
  random: Random,
): [string, string][] {
  const sets = items.map(([text]) => tokens(text));
  const byWord = new Map<string, number[]>();
  sets.forEach((set, at) => {
    for (const word of set) byWord.set(word, [...(byWord.get(word) ?? []), at].slice(-400));
  });
  const pairs: [string, string][] = [];
  for (const at of random.shuffle([...items.keys()]).slice(0, count)) {
    const shared = new Map<number, number>();
    for (const word of sets[at] ?? []) {
      for (const other of byWord.get(word) ?? []) {
        if (items[other]?.[1] !== items[at]?.[1]) shared.set(other, (shared.get(other) ?? 0) + 1);
      }
    }
    const likeness = ([other, n]: [number, number]): number => n / (sets[other]?.size ?? 1) + n / 100;
    const best = [...shared].sort((x, y) => likeness(y) - likeness(x)).slice(0, 4);
    const chosen = best.length === 0 ? undefined : random.pick(best)[0];
    if (chosen !== undefined) pairs.push([items[at]?.[0] ?? '', items[chosen]?.[0] ?? '']);
  }
  return pairs;
}

function edited(texts: readonly string[], source: string, random: Random, out: Pair[]): void {
  for (const text of texts) {
    const kept = keep(keep(text, random), random);
    if (kept !== text && random.chance(0.4)) out.push({ cached: text, asked: kept, same: true, source });
    const changed = change(text, 'train', random);
    if (changed === null) continue;
    const asked = random.chance(0.4) ? keep(changed.text, random) : changed.text;
    out.push({ cached: text, asked, same: false, source });
  }
}

function intents(
  items: readonly (readonly [string, string])[],
  source: string,
  random: Random,
  out: Pair[],
): void {
  for (const [cached, asked] of lookAlikes(items, 2500, random))
    out.push({ cached, asked, same: false, source });
  edited(random.shuffle(items.map(([text]) => text)).slice(0, 2500), source, random, out);
}

interface Advising {
  readonly sentences: readonly {
    readonly text: string;
    readonly variables: Readonly<Record<string, string>>;
  }[];
  readonly variables: readonly { readonly name: string; readonly example: string }[];
}

const clean = (text: string): string => text.replace(/\s+([?.!,;:)])/g, '$1').trim();

/** Questions with the same SQL ask the same; with other values they don't. */
function advising(entries: readonly Advising[], random: Random, out: Pair[]): void {
  const source = 'advising';
  const all: [string, string][] = [];
  for (const [at, { sentences, variables }] of entries.entries()) {
    const examples = new Map(variables.map(({ name, example }) => [name, example]));
    const filled = (text: string, values: ReadonlyMap<string, string>): string =>
      clean(
        [...values]
          .sort((a, b) => b[0].length - a[0].length)
          .reduce((t, [name, value]) => t.replaceAll(name, value), text),
      );
    const valuesOf = (i: number): Map<string, string> =>
      new Map([...examples, ...Object.entries(sentences[i]?.variables ?? {})]);
    const used = (text: string): string => [...examples.keys()].filter((name) => text.includes(name)).join();
    for (const i of sentences.keys()) all.push([filled(sentences[i]?.text ?? '', valuesOf(i)), String(at)]);
    for (let n = 0; n < Math.min(14, sentences.length); n++) {
      const [i, j] = [random.below(sentences.length), random.below(sentences.length)];
      const [a = '', b = ''] = [sentences[i]?.text, sentences[j]?.text];
      if (a === b || used(a) !== used(b)) continue;
      out.push({ cached: filled(a, valuesOf(i)), asked: filled(b, valuesOf(i)), same: true, source });
      const [x, y] = [filled(a, valuesOf(i)), filled(b, valuesOf(j))];
      if (filled(b, valuesOf(i)) !== y && random.chance(0.5))
        out.push({ cached: x, asked: y, same: false, source });
    }
  }
  for (const [cached, asked] of lookAlikes(all, 1500, random))
    out.push({ cached, asked, same: false, source });
}

/** Training pairs out of public sets (see `README.md`), which stay where they are. */
export function publicPairs(folder: string, seed: number): Pair[] {
  const random = seeded(seed);
  const out: Pair[] = [];
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const clinc = (JSON.parse(read('clinc.json')) as { train: [string, string][] }).train;
  intents(
    clinc.filter(([, label]) => label !== 'oos'),
    'clinc',
    random,
    out,
  );
  const rows = read('banking.csv')
    .split(/\r?\n/)
    .slice(1)
    .filter((row) => row !== '');
  const banking = rows.map((row): [string, string] => {
    const comma = row.lastIndexOf(',');
    return [row.slice(0, comma).replace(/^"|"$/g, '').replaceAll('""', '"').trim(), row.slice(comma + 1)];
  });
  intents(banking, 'banking', random, out);
  advising(JSON.parse(read('advising.json')) as Advising[], random, out);
  return out;
}

/** FNV-1a of a text. */
function hash(text: string): number {
  return [...text].reduce((all, letter) => Math.imul(all ^ letter.charCodeAt(0), 0x1000193), 0x811c9dc5);
}

/** Pairs of our own groups, by split; no pair twice, and none to train on with a question of the other splits. */
export function ownPairs(seed: number): Record<Split, Pair[]> {
  const out: Record<Split, Pair[]> = { train: [], tune: [], report: [], earlier: [], far: [] };
  // Random numbers of its own for each domain: its pairs stay the same whatever is written on others.
  const byDomain = new Map<string, Random>();
  for (const family of readFamilies()) {
    const random = byDomain.get(family.domain) ?? seeded(seed + hash(family.domain));
    byDomain.set(family.domain, random);
    ofFamily(family, random, out[family.split]);
  }
  const random = seeded(seed);
  for (const split of splits) {
    const seen = new Set<string>();
    out[split] = random.shuffle(out[split]).filter(({ cached, asked }) => {
      const key = [cached, asked].sort().join('\n');
      return !seen.has(key) && seen.add(key) !== undefined;
    });
  }
  const sides = ({ cached, asked }: Pair): string[] => [cached.toLowerCase(), asked.toLowerCase()];
  const kept = new Set([...out.tune, ...out.report, ...out.earlier].flatMap(sides));
  out.train = out.train.filter((pair) => !sides(pair).some((text) => kept.has(text)));
  return out;
}
