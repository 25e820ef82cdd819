/** Golden translations: each sample request written for each provider, and each provider's answers for each client. */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { dialects } from '../../src/dialects/index.ts';
import { translatedReading } from '../../src/dialects/read-reply.ts';
import { dialectNames } from '../../src/exchange/dialects.ts';
import {
  absentIn,
  cases,
  context,
  deliverStream,
  folder,
  type Kind,
  kinds,
  pairs,
  samplesOf,
  writeAcross,
} from './fixtures.ts';

const pretty = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Cuts bytes into pieces of a size, of which the first may be shorter. */
function* pieces(bytes: Buffer, size: number, first = size): Generator<Buffer> {
  yield bytes.subarray(0, first);
  for (let at = first; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const clientsOf = (provider: string): string[] =>
  pairs.filter((pair) => pair.provider === provider).map(({ client }) => client);

describe('every dialect and case', () => {
  const has = (name: (typeof dialectNames)[number], kind: Kind): boolean =>
    kind === 'requests' ? dialects[name].chatClient !== null : dialects[name].chatProvider !== null;

  for (const name of dialectNames) {
    for (const kind of kinds.filter((each) => has(name, each))) {
      test(`${name}: ${kind} has every case, or a reason for its absence`, () => {
        const samples = samplesOf(name, kind);
        const absent = absentIn(name)[kind] ?? {};
        const missing = cases[kind].filter((one) => !samples.has(one) && absent[one] === undefined);
        expect(missing).toEqual([]);
        expect(Object.keys(absent).filter((one) => samples.has(one) || !cases[kind].includes(one))).toEqual(
          [],
        );
      });
    }
  }
});

describe.each(pairs)('$client to $provider', (pair) => {
  const { client, provider, chatClient, chatProvider } = pair;
  const delivered = `${folder}${client}/delivered/${provider}`;
  const reading = translatedReading(chatProvider, chatClient, context);

  test.each([...samplesOf(client, 'requests')])('request %s', async (name, body) => {
    const written = pretty(writeAcross(pair, body));
    await expect(written).toMatchFileSnapshot(`${folder}${provider}/written/${client}/${name}.json`);
  });

  test.each([...samplesOf(provider, 'replies')])('reply %s', async (name, body) => {
    const read = reading.whole(body);
    const whole = read === 'unfinished' ? null : read;
    const reply = whole === null || whole.facts.error ? null : JSON.parse(whole.body.toString());
    const facts = read === 'unfinished' ? read : read?.facts;
    await expect(pretty({ reply, facts })).toMatchFileSnapshot(`${delivered}/replies/${name}.json`);
  });

  const streams = [...samplesOf(provider, 'streams')].map(([name, body], index) => ({ name, body, index }));
  test.each(streams)('stream $name, split at every byte', async ({ name, body, index }) => {
    const { text, facts } = deliverStream(reading, [body]);
    await expect(`${text}\n${JSON.stringify(facts)}\n`).toMatchFileSnapshot(
      `${delivered}/streams/${name}.txt`,
    );
    const same = (how: object, chunks: Iterable<Buffer>): void => {
      const split = deliverStream(reading, chunks);
      // An `expect` takes as long as the translation: only what differs is worth one.
      if (split.text !== text || !isDeepStrictEqual(split.facts, facts))
        expect({ ...how, ...split }).toEqual({ ...how, text, facts });
    };
    for (const size of [1, 2, 3, 5, 8, 13, 34, 89, 233, 610, 1597]) same({ size }, pieces(body, size));
    // Between any two bytes, about once in each event: bytes are put together before a client's dialect is written, so
    // one client of each sample is enough, another for the next sample.
    const others = clientsOf(provider);
    if (others[index % others.length] !== client) return;
    for (let first = 1; first <= 256; first++) same({ first }, pieces(body, 256, first));
  });

  test.each([...samplesOf(provider, 'errors')])('error %s', async (name, body) => {
    const error = chatClient.writeError(chatProvider.readError(Number(name), body), context.requestId);
    await expect(pretty(error)).toMatchFileSnapshot(`${delivered}/errors/${name}.json`);
  });
});
