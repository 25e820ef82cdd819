/** Times the semantic cache's index on real questions: embedding, searching among many, deciding, storing. */
import { decide, dimensions, embed, search } from '../../src/native/search.ts';
import { choose, fill, readFamilies } from '../cache/groups.ts';
import { questions } from '../cache/questions.ts';
import { seeded } from '../cache/random.ts';

export const subject = 'semantic cache';

/** Pairs of wordings of one question: those that take longest to decide on. */
function rewordings(count: number): [string, string][] {
  const random = seeded(4);
  const lines = readFamilies().flatMap((family) => family.lines.map((line) => ({ family, line })));
  return Array.from({ length: count }, () => {
    const { family, line } = random.pick(lines);
    const values = choose(family, line, random);
    const [a = '', b = a] = random.shuffle(line);
    return [fill(a, values, random), fill(b, values, random)];
  });
}

function filled(texts: readonly string[]): number {
  const id = search.open(1024 ** 3);
  texts.forEach((text, entry) => {
    search.insert(id, 0, 'scope', entry, text);
  });
  return id;
}

/** Goes round a list. */
function round<T>(list: readonly T[]): () => T {
  let at = 0;
  return () => {
    at = (at + 1) % list.length;
    return list[at] as T;
  };
}

export function tasks(): Record<string, () => unknown> {
  const generated = questions(3);
  const found = Array.from({ length: 101_000 }, () => String(generated.next().value));
  const [asked, all] = [found.slice(0, 1000), found.slice(1000)];
  const [small, large] = [filled(all.slice(0, 10_000)), filled(all.slice(0, 100_000))];
  const [next, third, pair] = [round(asked), round(asked), round(rewordings(1000))];
  const out = new Float32Array(dimensions);
  const full = search.open(search.bytes(small));
  all.slice(0, 10_000).forEach((text, entry) => {
    search.insert(full, 0, 'scope', entry, text);
  });
  let entry = 20_000;
  return {
    embed: () => embed(next(), out),
    decide: () => decide(...pair()),
    'find, 10,000 entries': () => search.find(small, 'scope', next()),
    'find, 100,000 entries': () => search.find(large, 'scope', next()),
    'insert and evict': () => search.insert(full, 0, 'scope', entry++, third()),
  };
}
