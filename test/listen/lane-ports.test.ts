/** How connections of the data port end. */
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import type { Reply } from '../../src/exchange/reply.ts';
import { type Listener, listen } from '../../src/listen/listen.ts';
import { openSocket, readAll } from '../support/client.ts';

type Handle = (exchange: Exchange) => Reply | Promise<Reply>;

/** The data port alone, with this behind it. */
async function startPort(handle: Handle): Promise<Listener> {
  const { listen: config } = configSchema.parse({ listen: { port: 0 } });
  const port = await listen(
    config,
    handle,
    { mayPass: () => true, mayStay: () => true },
    () => performance.now(),
    () => {},
  );
  onTestFinished(() => port.close());
  return port;
}

const digest = (text: string): string => createHash('sha1').update(text).digest('hex');
const whole = (text: string): Reply => ({ kind: 'whole', status: 200, headers: [], body: Buffer.from(text) });
/** What Node reads of a socket at once. */
const readBytes = 64 * 1024;
const path = '/v1/chat/completions';
const post = (body: string, headers = ''): string =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;

test('nothing is read after the last request of a connection', async () => {
  const bodies: string[] = [];
  const port = await startPort(({ body }) => {
    bodies.push(body.toString());
    return whole('ok');
  });
  const socket = await openSocket(port.url);
  const all = readAll(socket);
  // Node reads 64 KiB at a time: the second piece begins inside a body, with what looks like a request.
  const ahead = post('first', 'connection: close\r\n') + post('x'.repeat(readBytes));
  socket.write(ahead.slice(0, readBytes) + post('inner'));
  expect((await all).match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(bodies).toEqual(['first']);
});

test.each(['', 'te: trailers\r\n'])(
  'a reply during a drain is the last of its connection (%j)',
  async (header) => {
    const asked = Promise.withResolvers<void>();
    const late = Promise.withResolvers<Reply>();
    const port = await startPort(() => {
      asked.resolve();
      return late.promise;
    });
    const socket = await openSocket(port.url);
    const all = readAll(socket);
    socket.write(post('first', header));
    await asked.promise;
    const drained = port.drained(new Refusal('draining', 'Over.'));
    late.resolve(whole('late'));
    expect(await all).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\nConnection: close\r\n.*late/s);
    await drained;
  },
);

const thrown = (): Reply => {
  throw new Error('a defect');
};

test.each([
  ['throws', thrown],
  ['rejects', async () => thrown()],
  ['gives a header that can’t be written', () => ({ ...whole('late'), headers: ['x-a', 'b\n'] })],
  ['gives one later', async () => ({ ...whole('late'), headers: ['x-a', 'b\n'] })],
] as const)('a pipeline that %s ends its connection, and others are served', async (_, defect) => {
  let asked = 0;
  const port = await startPort(() => (++asked === 2 ? whole('fine') : defect()));
  for (const header of ['', 'te: trailers\r\n']) {
    asked = 0;
    const broken = await openSocket(port.url);
    broken.write(post('first', header));
    expect(await readAll(broken)).toBe('');
    const next = await openSocket(port.url);
    next.write(post('second', `connection: close\r\n${header}`));
    expect(await readAll(next)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*fine$/s);
    expect(port.inFlight).toBe(0);
  }
});

/** The lane is paused as the third comes, and hands it over to Node's server with a piece of the fourth behind it. */
const overtaken: { bytes: number; how: 'plain' | 'te' | 'chunked' }[] = [
  { bytes: 901, how: 'plain' },
  { bytes: 748, how: 'plain' },
  { bytes: 71_281, how: 'te' },
  { bytes: 65_535, how: 'plain' },
];

test('requests of any kind and size, split anywhere, are answered in order, each with its own content', async () => {
  const port = await startPort(async ({ body }) => {
    if (body.length % 3 === 0) await turn();
    return whole(digest(body.toString()));
  });
  const requests = fc.record({
    bytes: fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 0, max: 150_000 })),
    how: fc.constantFrom('plain', 'plain', 'plain', 'te', 'chunked'),
  });
  const pipeline = fc.array(requests, { minLength: 1, maxLength: 8 });
  const pieces = fc.array(fc.integer({ min: 500, max: 70_000 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(pipeline, pieces, async (asked, sizes) => {
      // Bodies are full of what looks like requests.
      const bodies = asked.map(({ bytes }, i) => `${i}:${'POST / HTTP/1.1\r\n'.repeat(bytes / 17)}`);
      const written = asked.map(({ how }, i) => {
        const headers = i === asked.length - 1 ? 'connection: close\r\n' : '';
        const body = bodies[i] as string;
        if (how !== 'chunked') return post(body, how === 'te' ? `te: trailers\r\n${headers}` : headers);
        const size = body.length.toString(16);
        return post('', `${headers}transfer-encoding: chunked\r\n`)
          .replace('content-length: 0\r\n', '')
          .concat(`${size}\r\n${body}\r\n0\r\n\r\n`);
      });
      const socket = await openSocket(port.url);
      const all = readAll(socket);
      let rest = written.join('');
      for (let i = 0; rest !== ''; i++) {
        const size = sizes[i % sizes.length] as number;
        socket.write(rest.slice(0, size));
        rest = rest.slice(size);
        await turn();
      }
      expect((await all).match(/[0-9a-f]{40}/g)).toEqual(bodies.map(digest));
    }),
    { numRuns: 60, examples: Array.from({ length: 10 }, () => [overtaken, [32_742, 32_599, 32_938, 500]]) },
  );
});
