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
/**
 * The same where all of a body is the members of one object: V8 keeps them in a table, and one of a million members
 * outgrows the caches of a CPU. A sidecar refuses a body of so many (`src/base/parts.ts`).
 */
const tableGrowthMax = 5;
const isTable = ({ name }: Shape): boolean => /members|metadata|settings|schema|arguments/.test(name);
/** Bytes worked on before a time is taken, and for each time. */
const [warmBytes, roundBytes] = [500_000, 1_000_000];
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

/** The ns of CPU time of this thread that a byte takes. */
function perByte(work: Work, text: string): number {
  const repeats = Math.max(1, Math.round(roundBytes / text.length));
  const before = process.threadCpuUsage();
  for (let i = 0; i < repeats; i++) work(text);
  const { user, system } = process.threadCpuUsage(before);
  return ((user + system) * 1000) / repeats / text.length;
}

/** The same for each size, as a median. */
function perByteOf(work: Work, texts: readonly string[]): number[] {
  const [smallest = '', largest = ''] = [texts[0], texts.at(-1)];
  for (let bytes = 0; bytes < warmBytes; bytes += smallest.length) work(smallest);
  const smaller = texts
    .slice(0, -1)
    .map((text) => median(Array.from({ length: rounds }, () => perByte(work, text))));
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
    const texts = sizes.map((bytes) => JSON.stringify(shape.body(Math.ceil(bytes / unit))));
    for (const [name, work] of worksOf(shape)) {
      const ns = perByteOf(work, texts);
      const grown = (ns.at(-1) ?? 0) / (ns[0] ?? 1);
      if (grown > (isTable(shape) ? tableGrowthMax : growthMax))
        steep.push(`${shape.name}, ${name}: ${grown}`);
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
