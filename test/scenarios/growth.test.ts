/**
 * Work grows linearly from 10 KB to 10 MB: every shape of body, inspected, read, and written for every dialect of
 * providers. `test/growth` looks at smaller ones with each run of the tests; this is the table of all.
 */
import { expect, test } from 'vitest';
import { copyNotes, createNotes } from '../../src/dialects/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import { inspect } from '../../src/native/inspect.ts';
import { findNothing } from '../../src/native/pii.ts';
import { destinationAt, inspectedAs, providers } from '../growth/providers.ts';
import { type Shape, shapes } from '../growth/shapes.ts';
import { tableOf } from './load.ts';

const sizes = [10_000, 100_000, 1_000_000, 10_000_000];
/** A byte of the largest may take this many times as long as one of the smallest. */
const growthMax = 2;
/** Bytes worked on before a time is taken, and for each time. */
const roundBytes = 1_000_000;
/** What a clock that ticks each ms may show for a round of that many bytes, ns for a byte. */
const nsMin = 2;
/** Times of which the median counts; of the largest body, unless the first is within the bound, too. */
const rounds = 3;

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

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;

/**
 * The ns of CPU time of this thread that a byte takes. Every body is read once only, as a request is: V8 reads one that it
 * has met before in a fraction of the time, the sooner the smaller it is.
 */
function perByte(work: Work, make: () => string): number {
  const texts = [make()];
  for (let bytes = texts[0]?.length ?? 1; bytes < roundBytes; bytes += texts[0]?.length ?? 1)
    texts.push(make());
  const before = process.threadCpuUsage();
  for (const text of texts) work(text);
  const { user, system } = process.threadCpuUsage(before);
  const bytes = texts.reduce((sum, text) => sum + text.length, 0);
  // What takes less than a clock's tick is no growth.
  return Math.max(nsMin, ((user + system) * 1000) / bytes);
}

/** The same for each size, as a median. */
function perByteOf(work: Work, makes: readonly (() => string)[]): number[] {
  const [smallest, largest] = [makes[0], makes.at(-1)];
  if (smallest === undefined || largest === undefined) throw new Error('no sizes');
  perByte(work, smallest);
  const smaller = makes
    .slice(0, -1)
    .map((make) => median(Array.from({ length: rounds }, () => perByte(work, make))));
  const times = [perByte(work, largest)];
  while (times.length < rounds && median(times) > growthMax * (smaller[0] ?? 0))
    times.push(perByte(work, largest));
  return [...smaller, median(times)];
}

test('the time of a byte stays within 2 times from 10 KB to 10 MB', () => {
  const rows: {
    name: string;
    '10 KB': string;
    '100 KB': string;
    '1 MB': string;
    '10 MB': string;
    grown: string;
  }[] = [];
  const steep: string[] = [];
  for (const shape of shapes) {
    const unit = JSON.stringify(shape.body(1000)).length / 1000;
    const makes = sizes.map((bytes) => () => JSON.stringify(shape.body(Math.ceil(bytes / unit))));
    for (const [name, work] of worksOf(shape)) {
      const ns = perByteOf(work, makes);
      const grown = (ns.at(-1) ?? 0) / (ns[0] ?? 1);
      if (grown > growthMax) steep.push(`${shape.name}, ${name}: ${grown}`);
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
  }
  const steepest = rows.toSorted((a, b) => Number(b.grown) - Number(a.grown)).slice(0, 25);
  console.log(`${rows.length} measured, ns of CPU time for a byte; the steepest:\n${tableOf(steepest)}`);
  expect(shapes.length).toBeGreaterThanOrEqual(40);
  expect(steep).toEqual([]);
}, 3_600_000);
