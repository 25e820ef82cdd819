/** Whatever a client or a provider sends is read, refused or a fault, never a crash, however it is split. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createNotes } from '../../src/dialects/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import { observedReading, translatedReading } from '../../src/dialects/read-reply.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import { dialectNames } from '../../src/exchange/dialects.ts';
import { frame, framesOf } from '../support/bedrock-wire.ts';
import { context, deliverStream, destinationOf, pairs, samplesOf } from './fixtures.ts';

type Json = { [key: string]: unknown };

/** All members of a document, by the object or list they are in. */
function placesIn(value: unknown, found: [Json, string][] = []): [Json, string][] {
  if (typeof value !== 'object' || value === null) return found;
  for (const key of Object.keys(value)) {
    found.push([value as Json, key]);
    placesIn((value as Json)[key], found);
  }
  return found;
}

/** Names that every object inherits, and that a careless lookup in a table would find. */
const inherited = ['constructor', 'toString', 'valueOf', 'hasOwnProperty'];
const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 8, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  fc.constantFrom(...inherited),
  fc.constantFrom(...inherited).map((name) => ({ [name]: 'x' })),
);

/** A sample with some of its members replaced by arbitrary values, or removed. */
const mutated = (samples: readonly Buffer[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom(...samples),
      fc.array(fc.tuple(fc.nat(), fc.option(anyValue, { nil: undefined })), {
        minLength: 1,
        maxLength: 4,
      }),
    )
    .map(([sample, changes]): string => {
      const document: unknown = JSON.parse(sample.toString());
      for (const [at, value] of changes) {
        const places = placesIn(document);
        const [holder, key] = places[at % places.length] ?? [{}, ''];
        if (value === undefined) delete holder[key];
        else holder[key] = value;
      }
      return JSON.stringify(document);
    });

/** A stream with the data of an event changed, and a byte of it. @param change a stream whose n-th event is changed so */
const mutatedStream = (
  samples: readonly Buffer[],
  change: (sample: Buffer, which: number, mutate: (data: string) => string) => Buffer,
): fc.Arbitrary<Buffer> =>
  fc
    .tuple(
      fc.constantFrom(...samples),
      fc.nat(),
      fc.nat(),
      fc.option(anyValue, { nil: undefined }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 1 }),
    )
    .map(([sample, which, at, value, bytes]) => {
      const stream = change(sample, which, (data) => {
        const document: unknown = JSON.parse(data);
        const places = placesIn(document);
        const [holder, key] = places[at % places.length] ?? [{}, ''];
        if (value === undefined) delete holder[key];
        else holder[key] = value;
        return JSON.stringify(document);
      });
      for (const [place, byte] of bytes) if (place % 3 === 0) stream[place % stream.length] = byte;
      return stream;
    });

function changeText(sample: Buffer, which: number, mutate: (data: string) => string): Buffer {
  const lines = sample.toString().split('\n');
  const data = lines.flatMap((line, index) => (line.startsWith('data: {') ? [index] : []));
  // A stream in one piece is its own data.
  if (data.length === 0) return Buffer.from(mutate(sample.toString()));
  const index = data[which % data.length] ?? 0;
  lines[index] = `data: ${mutate((lines[index] ?? '').slice(6) || '{}')}`;
  return Buffer.from(lines.join('\n'));
}

function changeFrame(sample: Buffer, which: number, mutate: (data: string) => string): Buffer {
  const frames = framesOf(sample);
  return Buffer.concat(
    frames.map(({ headers, payload }, index) =>
      frame(headers, index === which % frames.length ? mutate(payload.toString() || '{}') : payload),
    ),
  );
}

describe.each(pairs)('$client to $provider', ({ client, provider, chatClient, chatProvider }) => {
  const reading = translatedReading(chatProvider, chatClient, context);

  test('any request', () => {
    fc.assert(
      fc.property(mutated([...samplesOf(client, 'requests').values()]), (text) => {
        const json: unknown = JSON.parse(text);
        if (typeof json !== 'object' || json === null || Array.isArray(json)) return;
        const notes = createNotes();
        const request = chatClient.readRequest(json as Json, notes);
        const { body } = writeCall(request, chatProvider, destinationOf(provider), notes);
        expect(typeof JSON.stringify(body)).toBe('string');
      }),
      { numRuns: 400 },
    );
  });

  test('any reply', () => {
    fc.assert(
      fc.property(mutated([...samplesOf(provider, 'replies').values()]), (text) => {
        const read = reading.whole(Buffer.from(text));
        if (read !== null && read !== 'unfinished' && !read.facts.error)
          expect(JSON.parse(read.body.toString())).toBeTypeOf('object');
      }),
      { numRuns: 400 },
    );
  });

  test('any stream, split anywhere', () => {
    const binary = provider === 'bedrock';
    const samples = [...samplesOf(provider, 'streams')].flatMap(([name, sample]) =>
      (binary ? name === 'corrupt' : sample.includes('\r')) ? [] : [sample],
    );
    fc.assert(
      fc.property(mutatedStream(samples, binary ? changeFrame : changeText), fc.nat(), (bytes, cut) => {
        const whole = deliverStream(reading, [bytes]);
        const at = cut % bytes.length;
        const split = deliverStream(reading, [bytes.subarray(0, at), bytes.subarray(at)]);
        // An `expect` takes as long as the translation: only what differs is worth one.
        if (!isDeepStrictEqual(split, whole)) expect(split).toEqual(whole);
      }),
      { numRuns: 300 },
    );
  });
});

describe.each(dialectNames.filter((name) => dialects[name].chatProvider !== null))('%s observed', (name) => {
  const { chatProvider, chatClient } = dialects[name];

  test('a stream passes unchanged as far as it is valid', () => {
    if (chatProvider === null || chatClient === null) return;
    const reading = observedReading(chatProvider, chatClient);
    for (const [sample, bytes] of samplesOf(name, 'streams')) {
      const { text } = deliverStream(reading, [bytes]);
      // An end that lacks its blank line gets it.
      expect(text.trimEnd(), sample).toBe(bytes.toString().trimEnd());
    }
  });
});
