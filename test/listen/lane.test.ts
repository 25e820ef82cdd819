/** The lane of plain requests: it answers as Node's server does, and closes what asks nothing or never reads. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { respond } from '../../src/listen/respond.ts';
import { chainConfig } from '../support/chain.ts';
import { openSocket, readAll } from '../support/client.ts';
import { plainRequest, startLane, times } from '../support/lane.ts';
import { type Wire, wires } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream, type Upstream } from '../support/upstream.ts';

const wire = wires[0] as Wire;

const noBytes = Buffer.alloc(0);

test('a connection is closed if it sends no request, or no further one', async () => {
  const silent = await startLane(() => {}, { firstMs: 20 });
  expect(await readAll(await openSocket(silent.url))).toBe('');

  const { url } = await startLane(
    (_head, body, reply) => respond({ kind: 'whole', status: 200, headers: [], body }, reply, times),
    { idleMs: 20 },
  );
  const asked = await openSocket(url);
  asked.write(plainRequest);
  expect(await readAll(asked)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
});

const postOf = (bytes: number): string => `POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${bytes}\r\n\r\n`;

test('a request of 200 KB that arrives in pieces stays in the lane', async () => {
  const { url, lane } = await startLane((_head, body, reply) =>
    respond(
      { kind: 'whole', status: 200, headers: ['x-length', `${body.length}`], body: noBytes },
      reply,
      times,
    ),
  );
  const socket = await openSocket(url);
  const head = postOf(200_000);
  for (const piece of [head, 'a'.repeat(150_000), 'b'.repeat(50_000)]) {
    socket.write(piece);
    await turn();
  }
  const [first] = (await once(socket, 'data')) as [Buffer];
  expect(first.toString()).toContain('x-length: 200000');
  expect(lane.gatheringBytes).toBe(0);
  socket.destroy();
});

test('bodies that are kept stay as they came while the pieces they came in are freed, pipelined and cut anywhere', async () => {
  const kept: Buffer[] = [];
  const { url } = await startLane((_head, body, reply) => {
    kept.push(body);
    respond({ kind: 'whole', status: 200, headers: [], body: noBytes }, reply, times);
  });
  let complete = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 500, max: 80_000 }), { minLength: 1, maxLength: 20 }),
      async (lengths, cuts) => {
        kept.length = 0;
        const bodies = lengths.map((length, i) => Buffer.alloc(length, `${i}`));
        const all = Buffer.concat(bodies.flatMap((body) => [Buffer.from(postOf(body.length)), body]));
        const socket = (await openSocket(url)).resume();
        for (let at = 0, i = 0; at < all.length; i++) {
          const piece = all.subarray(at, at + (cuts[i % cuts.length] as number));
          socket.write(piece);
          at += piece.length;
          await turn();
        }
        // A connection leaves the lane, and is closed here, when a head is cut.
        await vi.waitFor(() => expect(socket.closed || kept.length === bodies.length).toBe(true));
        socket.destroy();
        if (kept.length === bodies.length) complete += 1;
        expect(kept.every((body, i) => body.equals(bodies[i] as Buffer))).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
  expect(complete).toBeGreaterThan(10);
});

test('requests that are still arriving take bounded memory together, and give it back', async () => {
  const { url, lane } = await startLane(() => {});
  const sockets: Socket[] = [];
  const begin = async (): Promise<Socket> => {
    const socket = await openSocket(url);
    sockets.push(socket);
    socket.write(postOf(250_000));
    return socket;
  };
  for (let i = 0; i < 67; i++) await begin();
  await vi.waitFor(() => expect(lane.gatheringBytes).toBeGreaterThan(67 * 250_000));
  // Left to Node's server, which closes it here.
  expect(await readAll(await begin())).toBe('');
  for (const socket of sockets) socket.destroy();
  await vi.waitFor(() => expect(lane.gatheringBytes).toBe(0));
});

test('a reply without a body has no length', async () => {
  const { url } = await startLane((_head, body, reply) =>
    respond({ kind: 'whole', status: 204, headers: ['x-a', 'b'], body }, reply, times),
  );
  const socket = await openSocket(url);
  socket.write(plainRequest.replace('host', 'connection: close\r\nhost'));
  const text = await readAll(socket);
  expect(text).toMatch(/^HTTP\/1\.1 204 No Content\r\nx-a: b\r\nDate: /);
  expect(text.toLowerCase()).not.toMatch(/content-length|transfer-encoding/);
});

test('a reply that waits for its client keeps its bytes while others are written', async () => {
  const filled = Promise.withResolvers<void>();
  const { url } = await startLane((head, _body, reply) => {
    if (head.headers['x-slow'] === undefined) {
      reply.sendWhole(200, ['x-which', 'fast'], Buffer.alloc(2000, 'f'));
      return;
    }
    // The network takes nothing more: what follows has to wait in this process.
    reply.writeHead(200, []);
    while (reply.writableLength === 0) reply.write(Buffer.alloc(16 * 1024, 'x'));
    reply.sendWhole(200, ['x-which', 'slow'], Buffer.alloc(2000, 's'));
    filled.resolve();
  });
  const slow = await openSocket(url);
  slow.pause();
  slow.write(plainRequest.replace('host', 'connection: close\r\nx-slow: 1\r\nhost'));
  await filled.promise;
  for (let i = 0; i < 3; i++) {
    const fast = await openSocket(url);
    fast.write(plainRequest.replace('host', 'connection: close\r\nhost'));
    expect(await readAll(fast)).toMatch(/^HTTP\/1\.1 200 OK\r\nx-which: fast\r\n(.+\r\n)+\r\nf{2000}$/);
  }
  slow.resume();
  expect(await readAll(slow)).toMatch(/HTTP\/1\.1 200 OK\r\nx-which: slow\r\n(.+\r\n)+\r\ns{2000}$/);
});

test.each([10, 20_000, 100_000])('a body of %i bytes arrives whole, with its length', async (bytes) => {
  const { url } = await startLane((_head, _body, reply) =>
    reply.sendWhole(200, ['x-a', 'b'], Buffer.alloc(bytes, 'é', 'latin1')),
  );
  const socket = await openSocket(url);
  socket.setEncoding('latin1');
  socket.write(plainRequest.replace('host', 'connection: close\r\nhost'));
  const text = await readAll(socket);
  expect(text).toContain(`\r\ncontent-length: ${bytes}\r\n`);
  expect(text.slice(text.indexOf('\r\n\r\n') + 4) === 'é'.repeat(bytes)).toBe(true);
});

test('a header with a line break or a second length is not written', async () => {
  const { url } = await startLane((_head, _body, reply) => {
    for (const headers of [
      ['x-a', 'b\r\nx-c: d'],
      ['x-a\r\nx-c', 'd'],
      ['x-a', 'ž'],
      ['Content-Length', '3'],
      ['transfer-encoding', 'chunked'],
    ]) {
      // Also beside one that could be, and was.
      const both = ['x-a', 'b', ...headers];
      expect(() => reply.writeHead(200, headers)).toThrow('cannot be written');
      expect(() => reply.sendWhole(200, both, Buffer.alloc(0))).toThrow('cannot be written');
    }
    reply.destroy();
  });
  const socket = await openSocket(url);
  socket.write(plainRequest);
  expect(await readAll(socket)).toBe('');
});

describe('through the sidecar', () => {
  let upstream: Upstream;
  let sidecar: TestSidecar;
  beforeAll(async () => {
    upstream = await startUpstream(answers(wire, 'An answer'));
    sidecar = await startTestSidecar(chainConfig(wire, [upstream.baseUrl], { cache: { enabled: true } }));
  });
  afterAll(async () => {
    await sidecar.stop();
    await upstream.close();
  });

  const post = (fields: object = {}, headers = ''): string => {
    const body = JSON.stringify({ ...wire.request('Hi'), ...fields });
    return `POST ${wire.path} HTTP/1.1\r\nhost: localhost\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`;
  };

  /** Reads until this many replies are there. */
  async function replies(socket: Socket, count: number): Promise<string[]> {
    let text = '';
    while (text.split('HTTP/1.1 ').length <= count || !text.endsWith('}')) {
      const [chunk] = (await once(socket, 'data')) as [Buffer];
      text += chunk.toString();
    }
    return text.split('HTTP/1.1 ').slice(1);
  }

  /** What doesn't change from one reply to the next. */
  const lasting = (reply: string): string =>
    reply.replace(
      /^(date|x-request-id|request-id|server-timing|cache-status|age|x-sidegate-cost-usd|.*ratelimit.*): .*\r\n/gim,
      '',
    );

  test('head and body of a reply are the same through the lane and through Node', async () => {
    const plain = await openSocket(sidecar.url);
    // Both replies come out of the cache.
    plain.write(post());
    await replies(plain, 1);
    plain.write(post());
    const [byLane = ''] = await replies(plain, 1);
    const other = await openSocket(sidecar.url);
    other.write(post({}, 'te: trailers\r\n'));
    const [byNode = ''] = await replies(other, 1);
    expect(byLane).toMatch(/^200 OK\r\n/);
    expect(lasting(byLane)).toBe(lasting(byNode));
    const names = (reply: string): string[] =>
      [...reply.matchAll(/^([\w-]+): /gm)].map(([, each]) => each ?? '');
    expect(names(byLane).filter((each) => !/cost/.test(each))).toEqual(
      names(byNode).filter((each) => !/cost/.test(each)),
    );
    plain.destroy();
    other.destroy();
  });

  test('a request that arrives in two pieces, split anywhere, gets the same reply', async () => {
    const bytes = post();
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const socket = await openSocket(sidecar.url);
      socket.setNoDelay(true);
      socket.write(bytes.slice(0, cut));
      await turn();
      await turn();
      socket.write(bytes.slice(cut));
      const [reply = ''] = await replies(socket, 1);
      expect(reply, `cut at ${cut}`).toMatch(/^200 OK\r\n/);
      socket.destroy();
    }
  });

  test('pipelined requests are answered in order, plain or not', async () => {
    const socket = await openSocket(sidecar.url);
    const models = ['Hi', 'none-a', 'none-b', 'none-c'].map((model, i) =>
      i === 0 ? post() : post({ model }, i === 3 ? 'te: trailers\r\n' : ''),
    );
    socket.write(`${models.join('')}\r\n${post({ model: 'none-d' })}`);
    const got = await replies(socket, 5);
    expect(got.map((reply) => reply.slice(0, 3))).toEqual(['200', '404', '404', '404', '404']);
    expect(got.map((reply) => /none-./.exec(reply)?.[0])).toEqual([
      undefined,
      'none-a',
      'none-b',
      'none-c',
      'none-d',
    ]);
    socket.destroy();
  });

  test('bytes beyond the limit during a reply are read once it is written', async () => {
    const socket = await openSocket(sidecar.url);
    const asked = upstream.calls.length;
    upstream.answer(() => {});
    socket.write(post({ temperature: 0.5 }));
    const call = await upstream.call(asked);
    const refused = post({ model: 'none', user: 'u'.repeat(1000) });
    const count = 300;
    socket.write(refused.repeat(count));
    answers(wire, 'Late')(call);
    upstream.answer(answers(wire, 'An answer'));
    const got = await replies(socket, count + 1);
    expect(got).toHaveLength(count + 1);
    expect(got.slice(1).every((reply) => reply.startsWith('404'))).toBe(true);
    socket.destroy();
  });

  test('bodies larger than the lane collects arrive whole, in pieces of any size', async () => {
    const socket = await openSocket(sidecar.url);
    for (const [round, length] of [70_000, 500, 400_000, 64_000].entries()) {
      const asked = upstream.calls.length;
      const user = `${round}${'x'.repeat(length)}`;
      const bytes = post({ user });
      for (let at = 0; at < bytes.length; at += 7_919) {
        socket.write(bytes.slice(at, at + 7_919));
        await turn();
      }
      const call = await upstream.call(asked);
      expect(call.json.user).toBe(user);
      const [reply = ''] = await replies(socket, 1);
      expect(reply).toMatch(/^200 OK\r\n/);
    }
    socket.destroy();
  });

  test('a drain closes idle connections at once, and others after their reply', async () => {
    const own = await startTestSidecar(
      chainConfig(wire, [upstream.baseUrl], { listen: { drainMs: 10_000 } }),
    );
    const idle = await openSocket(own.url);
    idle.write(post());
    await replies(idle, 1);
    const asked = upstream.calls.length;
    upstream.answer(() => {});
    const busy = await openSocket(own.url);
    const all = readAll(busy);
    busy.write(post());
    const call = await upstream.call(asked);
    const closed = once(idle, 'close');
    const stopped = own.stop();
    await closed;
    answers(wire, 'Late')(call);
    upstream.answer(answers(wire, 'An answer'));
    expect(await all).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\nConnection: close\r\n.*Late/s);
    await stopped;
  });

  test('"connection: close" is obeyed, and sent in the reply', async () => {
    const socket = await openSocket(sidecar.url);
    socket.write(post({}, 'Connection: close\r\n'));
    const text = await readAll(socket);
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text).toContain('\r\nConnection: close\r\n');
  });
});
