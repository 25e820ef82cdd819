/** Different questions of the groups, in any number: what benchmarks store and ask. */
import { choose, fill, readFamilies } from './groups.ts';
import { seeded } from './random.ts';

/** Questions without an end, each asked once, always the same ones for a seed. */
export function* questions(seed: number): Generator<string> {
  const random = seeded(seed);
  const lines = readFamilies().flatMap((family) => family.lines.map((line) => ({ family, line })));
  const [cities = [], countries = []] = ['city', 'country'].map(
    (slot) => lines[0]?.family.slots.get(slot)?.flat() ?? [],
  );
  const asked = new Set<string>();
  for (;;) {
    const { family, line } = random.pick(lines);
    const text = fill(random.pick(line), choose(family, line, random), random);
    // The groups' own texts run out; beyond them questions say by whom. No number: it would decide at once.
    const more = `${text} I'm in ${random.pick(cities)} and come from ${random.pick(countries)}.`;
    const question = asked.has(text) ? more : text;
    if (asked.has(question)) continue;
    asked.add(question);
    yield question;
  }
}
