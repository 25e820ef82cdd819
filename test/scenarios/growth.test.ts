/**
 * Work grows linearly from 10 KB to 10 MB: every shape of body, inspected, read, and written for every dialect of
 * providers. `test/growth` looks at smaller ones with each run of the tests; this is the table of all.
 */
import { afterAll, expect, test } from 'vitest';
import { copyNotes, createNotes } from '../../src/dialects/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import { inspect } from '../../src/native/inspect.ts';
import { findNothing } from '../../src/native/pii.ts';
import { destinationAt, inspectedAs, providers } from '../growth/providers.ts';
import { type Shape, shapes, withNewNames } from '../growth/shapes.ts';
import { tableOf } from './load.ts';

const sizes = [10_000, 100_000, 1_000_000, 10_000_000];
/** A byte of the largest may take this many times as long as one of the smallest. */
const growthMax = 2;
/** Bytes worked on for each time: a collection of garbage falls into some and not into others, and the clock may tick in 4 ms. */
const roundBytes = 4_000_000;
/** Less than this, ns for a byte, is some ticks of the clock. */
const nsMin = 4;
/** Times of which the median counts: more where the ones before show growth, which other work on the machine may be. */
const rounds = [3, 9];

const key = Buffer.alloc(32);
/** The work on a body: its inspection, or its translation for one provider. */
type Work = (text: string) => unknown;

function worksOf(shape: Shape): readonly (readonly [name: string, work: Work])[] {
  const client = dialects[shape.dialect].chatClient;
  if (client === null) throw new Error(`nobody speaks ${shape.dialect}`);
  const as = inspectedAs(shape.dialect);
  return [
    ['inspected', (text) => inspect(Buffer.from(text), as, findNothing, false, key)],
    ...providers.map(({ name, chatProvider }): readonly [string, Work] => [
      `for ${name}`,
      (text) => {
        const notes = createNotes();
        const request = client.readRequest(JSON.parse(text), notes);
        return JSON.stringify(writeCall(request, chatProvider, destinationAt(name), copyNotes(notes)).body);
      },
    ]),
  ];
}

/** Whether a body goes on to its translation: what inspection refuses is translated for nobody. */
const isServed = ({ dialect }: Shape, text: string): boolean =>
  !('kind' in inspect(Buffer.from(text), inspectedAs(dialect), findNothing, false, key));

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;

/** Bodies of one size. V8 reads names that it has met before in a fraction of the time, so these have new ones each time. */
function bodiesOf(shape: Shape, bytes: number): () => readonly string[] {
  const unit = JSON.stringify(shape.body(1000)).length / 1000;
  const texts: string[] = [];
  for (let all = 0; all < Math.max(bytes, roundBytes); all += texts.at(-1)?.length ?? 1)
    texts.push(JSON.stringify(shape.body(Math.ceil(bytes / unit))));
  return () => texts.map(withNewNames);
}

/** The ns of CPU time of this thread that a byte takes. @param texts none: nobody works on them */
function perByte(work: Work, texts: readonly string[]): number {
  if (texts.length === 0) return nsMin;
  const before = process.threadCpuUsage();
  for (const text of texts) work(text);
  const { user, system } = process.threadCpuUsage(before);
  const bytes = texts.reduce((sum, text) => sum + text.length, 0);
  // What takes less than a clock's tick is no growth.
  return Math.max(nsMin, ((user + system) * 1000) / bytes);
}

/** The same for each size. */
function perByteOf(work: Work, bodies: readonly (() => readonly string[])[]): number[] {
  const measure = (): number[] => bodies.map((make) => perByte(work, make()));
  // Compiled before it is measured.
  perByte(work, bodies[0]?.() ?? []);
  const all = [measure()];
  const medians = (): number[] => sizes.map((_, at) => median(all.map((times) => times[at] ?? 0)));
  for (const count of rounds)
    if (growthOf(medians()) > growthMax) while (all.length < count) all.push(measure());
  return medians();
}

const growthOf = (ns: readonly number[]): number => (ns.at(-1) ?? 0) / (ns[0] ?? 1);

/** Of each pair, ns of CPU time for a byte of each size. */
const rows: Record<string, string>[] = [];
afterAll(() => {
  const steepest = rows.toSorted((a, b) => Number(b.grown) - Number(a.grown)).slice(0, 25);
  console.log(`${rows.length} measured, ns of CPU time for a byte; the steepest:\n${tableOf(steepest)}`);
});

test('there are 40 shapes', () => {
  expect(shapes.length).toBeGreaterThanOrEqual(40);
});

test.each(shapes)(
  'the time of a byte stays within 2 times from 10 KB to 10 MB: $name',
  (shape) => {
    const steep: string[] = [];
    const bodies = sizes.map((bytes) => bodiesOf(shape, bytes));
    const served = bodies.map((make) => make().every((text) => isServed(shape, text)));
    // No other shape may be refused, so that what is measured here stays what it was.
    const bounded = shape.name === 'openai: stop sequences';
    expect(served).toEqual(sizes.map((bytes) => bytes < 100_000 || !bounded));
    for (const [name, work] of worksOf(shape)) {
      const taken = name === 'inspected' ? bodies : bodies.map((make, i) => (served[i] ? make : () => []));
      const ns = perByteOf(work, taken);
      const grown = growthOf(ns);
      if (grown > growthMax) steep.push(`${name}: ${grown}`);
      const [a = '', b = '', c = '', d = ''] = ns.map((time) => time.toFixed(1));
      rows.push({
        name: `${shape.name}, ${name}`,
        '10 KB': a,
        '100 KB': b,
        '1 MB': c,
        '10 MB': d,
        grown: grown.toFixed(2),
      });
    }
    expect(steep).toEqual([]);
  },
  600_000,
);
