/** Clients that ask nothing don't shut the port: as many as there may be connections leave room for who asks. */
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chainConfig } from '../support/chain.ts';
import { ask, openSocket } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream, type Upstream } from '../support/upstream.ts';

/** `listen.connectionsMax` as it is by default. */
const connectionsMax = 4096;
const wire = wires[0] as Wire;
let upstream: Upstream;
let sidecar: TestSidecar;
beforeAll(async () => {
  upstream = await startUpstream(answers(wire, 'An answer'));
  sidecar = await startTestSidecar(chainConfig(wire, [upstream.baseUrl]));
});
afterAll(async () => {
  await sidecar.stop();
  await upstream.close();
});

const get = 'GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n';

test.each([
  ['say nothing', '', false],
  ['were answered on Node’s path', `${get}TE: x\r\n\r\n`, true],
  ['begin a request and go no further', 'POST /v1/chat/compl', false],
])(
  'H16: 4,096 connections that %s',
  async (_, text, answered) => {
    const sockets: Socket[] = [];
    /** A connection that has sent this, and was answered if that asks for an answer. */
    const open = async (): Promise<void> => {
      const socket = await openSocket(sidecar.url);
      sockets.push(socket);
      socket.on('error', () => {});
      const replied = answered ? new Promise((resolve) => socket.once('data', resolve)) : null;
      socket.resume();
      if (text !== '') socket.write(text);
      await replied;
    };
    for (let i = 0; i < connectionsMax; i += 64) await Promise.all(Array.from({ length: 64 }, open));
    const status = (): Promise<number> =>
      ask(sidecar.url, wire.path, { body: wire.request('Hi') }).then(
        (reply) => reply.status,
        () => 0,
      );
    // One that has begun a request is left its time to end it, two checks of half a second each.
    const tries = text.endsWith('\r\n\r\n') || text === '' ? 1 : 1000;
    let last = 0;
    for (let i = 0; i < tries && last !== 200; i++) last = await status();
    expect(last).toBe(200);
    // It wasn't the time for a head that ended them all.
    expect(sockets.filter(({ closed, readableEnded }) => closed || readableEnded).length).toBeLessThan(100);
    for (const socket of sockets) socket.destroy();
    // They are gone before the next ones come.
    while (sockets.some(({ closed }) => !closed)) await new Promise((resolve) => setImmediate(resolve));
  },
  120_000,
);
