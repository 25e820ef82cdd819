/** Whole replies: each has a bound, and all of them together. */
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chainConfig } from '../support/chain.ts';
import { ask, openSocket } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

const wire = wires[0] as Wire;
const [replyMaxBytes, repliesMaxBytes] = [24_000_000, 30_000_000];
let upstream: Upstream;
let sidecar: TestSidecar;
beforeAll(async () => {
  upstream = await startUpstream();
  sidecar = await startTestSidecar(
    chainConfig(wire, [upstream.baseUrl], {
      listen: { repliesMaxBytes },
      attempt: { replyMaxBytes, retriesMax: 0, breaker: { failures: 100 } },
    }),
  );
});
afterAll(async () => {
  await sidecar.stop();
  await upstream.close();
});

const json = { 'content-type': 'application/json' };
const text = (bytes: number): string => wire.whole('x'.repeat(bytes));
const body = wire.request('Hi');

/** Asks once; the provider answers so. */
async function answered(script: Script): ReturnType<typeof ask> {
  upstream.answer(script);
  return ask(sidecar.url, wire.path, { body });
}

test('H15: a reply that is announced as too large is refused before it comes', async () => {
  const reply = await answered((call) =>
    call.raw(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${replyMaxBytes + 1}\r\n\r\n{`,
    ),
  );
  expect(reply.status).toBe(502);
  expect(reply.text).toContain('too_large');
});

test('H15: a reply that grows too large is refused, compressed or not', async () => {
  const tooLong = text(replyMaxBytes);
  const chunked: Script = (call) => {
    call.head(200, json);
    call.end(tooLong);
  };
  const compressed: Script = (call) =>
    call.whole(200, { ...json, 'content-encoding': 'gzip' }, gzipSync(tooLong));
  for (const script of [chunked, compressed]) expect((await answered(script)).status).toBe(502);
});

test('H15: a reply that comes in many chunks is whole', async () => {
  const reply = await answered(answers(wire, 'x'.repeat(1_000_000)));
  expect(reply.text).toBe(text(1_000_000));
});

test('H15: replies that clients don’t read leave no room for other large ones, until those have left', async () => {
  upstream.answer(answers(wire, 'x'.repeat(23_000_000)));
  const unread = await openSocket(sidecar.url);
  unread.pause();
  const content = JSON.stringify(body);
  unread.write(
    `POST ${wire.path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${content.length}\r\n\r\n${content}`,
  );
  await once(unread, 'readable');
  const large = await answered(answers(wire, 'x'.repeat(12_000_000)));
  expect(large.status).toBe(503);
  expect(large.text).toContain('no_room');
  expect(large.headers['retry-after']).toBe('1');
  const compressed = await answered((call) =>
    call.whole(200, { ...json, 'content-encoding': 'gzip' }, gzipSync(text(12_000_000))),
  );
  expect(compressed.status).toBe(503);
  // It is no fault of the provider, and a small reply always has room.
  expect((await answered(answers(wire, 'An answer'))).status).toBe(200);
  unread.destroy();
  upstream.answer(answers(wire, 'x'.repeat(12_000_000)));
  while ((await ask(sidecar.url, wire.path, { body })).status !== 200);
});

test('H15: events that have not ended leave no room for other large ones', async () => {
  const stream = wire.request('Hi', { stream: true });
  const megabyte = Buffer.alloc(1_000_000, 'x');
  /** Begins an event that hasn't ended after so many megabytes. */
  const begins =
    (megabytes: number, begun: () => void): Script =>
    async (call) => {
      call.streamHead();
      call.write(wire.stream('Hi')[0] ?? '');
      call.write(': ');
      await call.flood(megabyte, megabytes);
      begun();
    };
  const count = upstream.calls.length;
  const begun = new Promise<void>((resolve) => upstream.answer(begins(23, resolve)));
  const first = ask(sidecar.url, wire.path, { body: stream });
  await begun;
  // What the network still holds of it is less than the difference.
  upstream.answer(begins(20, () => {}));
  expect((await ask(sidecar.url, wire.path, { body: stream })).text).toContain('no_room');
  (await upstream.call(count)).end(`\n\n${wire.stream('Hi').slice(1).join('')}`);
  expect((await first).text).toContain('Hi');
  upstream.answer(begins(20, () => upstream.calls.at(-1)?.end('\n\ndata: [DONE]\n\n')));
  expect((await ask(sidecar.url, wire.path, { body: stream })).text).not.toContain('no_room');
});
