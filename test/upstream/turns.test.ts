/** Streams that come as fast as they can share the event loop with each other and with everybody else. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Connections, openConnections } from '../../src/upstream/connect.ts';
import type { ReplyHandler, Sending } from '../../src/upstream/sending.ts';
import { turnBytes } from '../../src/upstream/turns.ts';
import { createAuthority } from '../support/certificates.ts';

const streams = 40;
const bytesEach = 1024 * 1024;
const pattern = Buffer.from(Array.from({ length: 251 }, (_, i) => i));
/** What each stream says: none of its parts is like the next. */
const content = Buffer.alloc(bytesEach, pattern);
const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n';

const authority = createAuthority();

/** A provider that floods whoever asks for `/flood`, and answers others at once. */
async function provider(framing: 'length' | 'closing', secured: boolean): Promise<Connections> {
  const sockets: Socket[] = [];
  const serve = (socket: Socket): void => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      if (!bytes.includes('/flood'))
        return void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}');
      socket.write(`${head}${framing === 'length' ? `content-length: ${bytesEach}\r\n` : ''}\r\n`);
      if (framing === 'length') socket.write(content);
      else socket.end(content);
    });
  };
  const pair = authority.issue('localhost');
  const server: Server = secured ? createTlsServer(pair, serve) : createServer(serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const origin = secured ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
  const connections = openConnections(origin, 20_000, () => true, {
    proxy: null,
    tls: secured ? { ca: authority.cert } : undefined,
  });
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await connections.close();
  });
  return connections;
}

interface Taken {
  /** Bytes so far; -1: they aren't what was sent. */
  bytes: number;
  sending: Sending | null;
  readonly done: Promise<Error | null>;
}

/** Asks for a stream. @param onData called with each part of it */
function flood(connections: Connections, onData: (taken: Taken, chunk: Buffer) => void): Taken {
  const taken: Omit<Taken, 'done'> = { bytes: 0, sending: null };
  const done = new Promise<Error | null>((resolve) => {
    const handler: ReplyHandler = {
      streams: true,
      onRequestStart(sending) {
        taken.sending = sending;
      },
      onResponseStart() {},
      onResponseData(_, chunk) {
        const expected = content.subarray(taken.bytes, taken.bytes + chunk.length);
        taken.bytes = expected.equals(chunk) ? taken.bytes + chunk.length : -1;
        onData(taken as Taken, chunk);
      },
      onResponseEnd: () => resolve(null),
      onResponseError: (_, error) => resolve(error),
    };
    connections.dispatch({ path: '/flood', method: 'GET', headers: [], body: null }, handler);
  });
  return Object.assign(taken, { done });
}

/** Resolves when a short request is answered. */
const quick = (connections: Connections): Promise<void> =>
  new Promise((resolve, reject) => {
    connections.dispatch(
      { path: '/quick', method: 'GET', headers: [], body: null },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd: resolve,
        onResponseError: (_, error) => reject(error),
      },
    );
  });

/** Counts in which turn of the event loop something happens. */
function countTurns(): { now: number } {
  const turns = { now: 0 };
  let over = false;
  const next = (): void => {
    turns.now += 1;
    if (!over) setImmediate(next);
  };
  setImmediate(next);
  onTestFinished(() => {
    over = true;
  });
  return turns;
}

describe.each([
  ['length', false],
  ['closing', false],
  ['length', true],
  ['closing', true],
] as const)('streams that end by their %s, over TLS: %s', (framing, secured) => {
  test('H12: take a bounded part of each turn of the event loop, and all of them arrive', async () => {
    const connections = await provider(framing, secured);
    const turns = countTurns();
    const inTurn = new Map<number, number>();
    const all = Array.from({ length: streams }, () =>
      flood(connections, (_, chunk) => inTurn.set(turns.now, (inTurn.get(turns.now) ?? 0) + chunk.length)),
    );
    expect(await Promise.all(all.map(({ done }) => done))).toEqual(Array(streams).fill(null));
    for (const { bytes } of all) expect(bytes).toBe(bytesEach);
    // One read more than there was room for, and the head's read of a stream that begins, which isn't counted.
    expect(Math.max(...inTurn.values())).toBeLessThan(4 * turnBytes);
  });

  test('H12: leave room for a short request between them', async () => {
    const connections = await provider(framing, secured);
    let total = 0;
    // Opens a connection, which is free for the second one.
    const opened = quick(connections);
    const all = Array.from({ length: streams }, () =>
      flood(connections, (_, chunk) => {
        total += chunk.length;
      }),
    );
    await opened;
    const before = total;
    await quick(connections);
    expect(before).toBeLessThan(streams * bytesEach);
    expect(total - before).toBeLessThan(40 * turnBytes);
    await Promise.all(all.map(({ done }) => done));
  });

  test('H12: may be paused, resumed and given up while they wait, and nothing is lost', async () => {
    const connections = await provider(framing, secured);
    let count = 0;
    const givenUp = new Set<Taken>();
    const all = Array.from({ length: streams }, () =>
      flood(connections, (taken) => {
        count += 1;
        const { sending } = taken;
        if (count % 7 === 0) {
          sending?.pause();
          setTimeout(() => sending?.resume(), count % 5);
        } else if (count % 61 === 0) {
          givenUp.add(taken);
          sending?.abort(new Error('enough'));
        }
      }),
    );
    await Promise.all(all.map((taken) => Promise.race([taken.done, until(() => givenUp.has(taken))])));
    expect(givenUp.size).toBeGreaterThan(0);
    for (const taken of all) {
      if (givenUp.has(taken)) expect(taken.bytes).toBeGreaterThan(0);
      else expect(taken.bytes).toBe(bytesEach);
    }
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}
