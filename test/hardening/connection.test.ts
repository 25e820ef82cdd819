/** One connection has one reading: requests in order, nothing behind the last, no reply inside another. */
import { once } from 'node:events';
import { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { crowdMax } from '../../src/listen/turns.ts';
import { chainConfig } from '../support/chain.ts';
import { ask, openSocket } from '../support/client.ts';
import { type RawReply, readReplies } from '../support/raw-replies.ts';
import { type Wire, wires } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, type Call, hangs, startUpstream, type Upstream } from '../support/upstream.ts';

const wire = wires[0] as Wire;
let upstream: Upstream;
let sidecar: TestSidecar;
beforeAll(async () => {
  upstream = await startUpstream(answers(wire, 'An answer'));
  sidecar = await startTestSidecar(chainConfig(wire, [upstream.baseUrl], { listen: { inFlightMax: 8 } }));
});
afterAll(async () => {
  await sidecar.stop();
  await upstream.close();
});

const host = 'Host: 127.0.0.1\r\n';
const unusual = 'TE: x\r\n';
const body = (fields: object = {}): string => JSON.stringify({ ...wire.request('Hi'), ...fields });

function post(headers = '', content = body(), path: string = wire.path): string {
  return `POST ${path} HTTP/1.1\r\n${host}${headers}Content-Length: ${content.length}\r\n\r\n${content}`;
}

/** For what hangs: longer than anything here takes. */
const patienceMs = 60_000;

/** Everything that is received until the connection closes, or until there are `count` final replies. */
async function receive(socket: Socket, count: number): Promise<{ replies: RawReply[]; rest: string }> {
  let text = '';
  socket.setEncoding('latin1');
  socket.on('error', () => {});
  await new Promise<void>((resolve) => {
    const late = setTimeout(() => {
      text += '(still open)';
      socket.destroy();
    }, patienceMs);
    const done = (): void => {
      clearTimeout(late);
      resolve();
    };
    socket.on('close', done);
    socket.on('data', (chunk) => {
      text += chunk;
      if (readReplies(text).replies.filter(({ status }) => status >= 200).length >= count) done();
    });
  });
  const { replies, rest } = readReplies(text);
  return { replies: [...replies], rest };
}

/** Sends pieces, the first of which is read before the next is sent, and reads until the connection closes. */
async function exchange(...pieces: string[]): Promise<{ statuses: number[]; rest: string; calls: number }> {
  const asked = upstream.calls.length;
  const socket = await openSocket(sidecar.url);
  socket.setNoDelay(true);
  const received = receive(socket, Number.POSITIVE_INFINITY);
  for (const piece of pieces) {
    if (!socket.writable) break;
    await new Promise<void>((resolve) => void socket.write(piece, () => resolve()));
    // The next piece is a packet of its own.
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const { replies, rest } = await received;
  return { statuses: replies.map(({ status }) => status), rest, calls: upstream.calls.length - asked };
}

const last = (headers = ''): string => post(`Connection: close\r\n${headers}`);

test('H2: no interim reply is written before the head is admitted, or into an earlier reply', async () => {
  const expecting = last('Content-Type: text/plain\r\nExpect: 100-continue\r\n');
  const { statuses, rest, calls } = await exchange(post(unusual) + expecting);
  expect({ statuses, rest, calls }).toEqual({ statuses: [200, 415], rest: '', calls: 1 });
});

test('H2: 100 Continue is sent when it is the turn of an admitted request', async () => {
  const asked = upstream.calls.length;
  upstream.answer(() => {}, answers(wire, 'Second'));
  const socket = await openSocket(sidecar.url);
  const received = receive(socket, 2);
  const content = body();
  socket.write(
    `${post(unusual)}POST ${wire.path} HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: ${content.length}\r\n\r\n`,
  );
  answers(wire, 'First')(await upstream.call(asked));
  socket.write(content);
  const { replies, rest } = await received;
  upstream.answer(answers(wire, 'An answer'));
  expect(rest).toBe('');
  expect(replies.map(({ status }) => status)).toEqual([200, 100, 200]);
  socket.destroy();
});

test.each([
  ['GET /v1/models HTTP/1.1\r\n', 200],
  ['GET /nowhere HTTP/1.1\r\n', 404],
])('H3: nothing is read behind a request with Upgrade: %j', async (line, status) => {
  const smuggled = post(unusual);
  const found = await exchange(
    `${line}${host}Connection: Upgrade\r\nUpgrade: x\r\n\r\nPOST ${wire.path} HTTP/1.1\r\n${host}Content-Length: ${smuggled.length}\r\n\r\n`,
    smuggled,
  );
  expect(found).toEqual({ statuses: [status], rest: '', calls: 0 });
});

test('H3: a request with Upgrade and a body, as the JDK sends it, is answered', async () => {
  const found = await exchange(
    post('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n'),
  );
  expect(found).toEqual({ statuses: [200], rest: '', calls: 1 });
});

test.each(['\0', 'GET\r\n', '\x16\x03\x01'])(
  'H5: bytes that are no request, behind a good one, don’t take the place of its reply: %j',
  async (garbage) => {
    for (const headers of ['', unusual]) {
      const together = await exchange(post(headers) + garbage);
      expect(together, headers).toEqual({ statuses: [200, 400], rest: '', calls: 1 });
      const apart = await exchange(post(headers), garbage);
      expect(apart, headers).toEqual({ statuses: [200, 400], rest: '', calls: 1 });
    }
  },
);

test('H5: bytes that are no request, while a reply is under way, wait until it is written', async () => {
  for (const headers of ['', unusual]) {
    const asked = upstream.calls.length;
    upstream.answer(() => {});
    const socket = await openSocket(sidecar.url);
    const received = receive(socket, 2);
    socket.write(post(headers, body({ stream: true })));
    const call = await upstream.call(asked);
    socket.write('\0garbage\r\n\r\n');
    answers(wire, 'Whole')(call as Call);
    const { replies, rest } = await received;
    upstream.answer(answers(wire, 'An answer'));
    expect(replies.map(({ status }) => status)).toEqual([200, 400]);
    expect(replies[0]?.body).toContain('Whole');
    expect(replies[0]?.body).toContain('[DONE]');
    expect(rest).toBe('');
  }
});

test('H5: what follows bytes that are no request doesn’t reset the connection before their answer is read', async () => {
  const flood = `POST ${wire.path} HTTP/1.1\r\n${host}x-flood: ${'y'.repeat(20_000)}`;
  const wrong = post('Content-Length: many\r\n');
  const torn = `POST ${wire.path} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`;
  for (const [begin, status] of [
    [flood, 431],
    [wrong, 400],
    [torn, 400],
  ] as const) {
    const { port, hostname } = new URL(sidecar.url);
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true, noDelay: true });
    const faults: Error[] = [];
    socket.on('error', (fault) => faults.push(fault));
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write(begin);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString('latin1')).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    for (let i = 0; i < 3; i++) {
      socket.write('z'.repeat(2000));
      // A packet of its own, and time for a reset to come back.
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    socket.end();
    await closed;
    expect(faults, begin.slice(0, 80)).toEqual([]);
  }
});

test('H6: nothing is processed behind a reply that ends the connection', async () => {
  const chunked = `POST /nowhere HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
  const big = post(unusual, 'x'.repeat(100_000), '/nowhere');
  for (const refused of [chunked, big]) {
    const found = await exchange(refused + post(unusual) + post());
    expect(found).toEqual({ statuses: [404], rest: '', calls: 0 });
  }
  const found = await exchange(last(unusual) + post(unusual) + post());
  expect(found).toEqual({ statuses: [200], rest: '', calls: 1 });
});

test('a short body of a refused request is discarded, and its connection kept', async () => {
  for (const headers of ['', unusual]) {
    const found = await exchange(post(headers, body(), '/nowhere') + last(headers));
    expect(found, headers).toEqual({ statuses: [404, 200], rest: '', calls: 1 });
    const refused = post(headers, body(), '/nowhere');
    const cut = refused.length - 20;
    const apart = await exchange(refused.slice(0, cut), refused.slice(cut) + last(headers));
    expect(apart, headers).toEqual({ statuses: [404, 200], rest: '', calls: 1 });
  }
});

test('H11: pipelined requests of one connection take turns, and don’t count as in flight while they wait', async () => {
  for (const headers of ['', unusual]) {
    const count = 50;
    const socket = await openSocket(sidecar.url);
    const received = receive(socket, count);
    socket.write(post(headers).repeat(count));
    const { replies, rest } = await received;
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(count);
    expect(rest).toBe('');
    socket.destroy();
  }
});

test('H4, H11: what connections send ahead of their replies is bounded, for all of them together', async () => {
  const busy = await startUpstream(hangs);
  const own = await startTestSidecar(chainConfig(wire, [busy.baseUrl]));
  onTestFinished(async () => {
    await own.stop();
    await busy.close();
  });
  const ahead = `GET /x HTTP/1.1\r\n${host}\r\n`.repeat(2000);
  const sockets: Socket[] = [];
  let closed = 0;
  // Each is paused behind 16 requests and what was read with them: soon there are too many.
  while (closed === 0 && sockets.length <= crowdMax / 16) {
    const socket = await openSocket(own.url);
    socket.on('error', () => {});
    socket.on('close', () => {
      closed += 1;
    });
    socket.resume();
    sockets.push(socket);
    const asked = busy.call(busy.calls.length);
    socket.write(post(unusual) + ahead);
    await Promise.race([asked, new Promise((resolve) => socket.on('close', resolve))]);
  }
  expect(closed).toBeGreaterThan(0);
  for (const socket of sockets) socket.destroy();
  busy.answer(answers(wire, 'An answer'));
  expect((await ask(own.url, wire.path, { body: wire.request('Hi') })).status).toBe(200);
});

test('H4: the bodies that a connection sends ahead of its replies are not read before their turn', async () => {
  const busy = await startUpstream(hangs);
  const own = await startTestSidecar(chainConfig(wire, [busy.baseUrl]));
  onTestFinished(async () => {
    await own.stop();
    await busy.close();
  });
  const large = post(unusual, body({ user: 'x'.repeat(60_000) }));
  const pushed = vi.spyOn(IncomingMessage.prototype, 'push');
  onTestFinished(() => pushed.mockRestore());
  const socket = await openSocket(own.url);
  const received = receive(socket, 17);
  for (let i = 0; i < 17; i++) socket.write(large);
  const first = await busy.call(0);
  // All of it was sent before these: it is read by the time they are answered, if it is read at all.
  for (let i = 0; i < 20; i++) await ask(own.url, '/v1/models', { method: 'GET' });
  const bytes = pushed.mock.calls.reduce((sum, [chunk]) => sum + (chunk === null ? 0 : chunk.length), 0);
  expect(bytes).toBeLessThan(4 * 60_000);
  busy.answer(answers(wire, 'An answer'));
  answers(wire, 'An answer')(first);
  const { replies } = await received;
  expect(replies.map(({ status }) => status)).toEqual(Array(17).fill(200));
  socket.destroy();
});

test.each([
  [
    'HTTP/1.0 with chunks',
    `POST ${wire.path} HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ['HTTP/0.9', `GET /v1/models HTTP/0.9\r\n${host}\r\n`, 400],
  ['HTTP/2.0', `GET /v1/models HTTP/2.0\r\n${host}\r\n`, 400],
  [
    'a Host that is no name',
    `POST ${wire.path} HTTP/1.1\r\nHost: a b\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`,
    400,
  ],
  ['a Host with a path', `GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1/x\r\nConnection: close\r\n\r\n`, 400],
  ['an unknown Host', `GET /v1/models HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n`, 403],
  ['an absolute target', `GET http://127.0.0.1/v1/models HTTP/1.1\r\n${host}Connection: close\r\n\r\n`, 200],
  [
    'an absolute target of another host',
    `GET http://evil.test/v1/models HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
    403,
  ],
  [
    'an absolute target for another Host',
    `GET http://127.0.0.1/v1/models HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n`,
    200,
  ],
  [
    'two keys',
    `GET /v1/models HTTP/1.1\r\n${host}X-Goog-Api-Key: a\r\nX-Goog-Api-Key: b\r\nConnection: close\r\n\r\n`,
    400,
  ],
])('%s', async (_, bytes, status) => {
  const found = await exchange(bytes);
  expect(found).toEqual({ statuses: [status], rest: '', calls: 0 });
});

test('a client that asks for a tunnel is refused, and may break off', async () => {
  const found = await exchange(`CONNECT 127.0.0.1:80 HTTP/1.1\r\n${host}\r\n`);
  expect(found).toEqual({ statuses: [400], rest: '', calls: 0 });
  const socket = await openSocket(sidecar.url);
  socket.on('error', () => {});
  socket.write(`CONNECT 127.0.0.1:80 HTTP/1.1\r\n${host}\r\n`);
  await new Promise((resolve) => socket.once('data', resolve));
  // A reset of which nobody takes notice would end the process.
  socket.resetAndDestroy();
  expect(await exchange(last(unusual))).toMatchObject({ statuses: [200] });
});

test('H16: a refused client keeps its connection for 10 s, a served one for 120 s', async () => {
  for (const headers of ['', unusual]) {
    const socket = await openSocket(sidecar.url);
    const received = receive(socket, 3);
    socket.write(post(headers, '{}') + post(headers) + post(headers, '{}', '/nowhere'));
    const { replies } = await received;
    socket.destroy();
    expect(replies.map(({ status, headers: given }) => [status, given['keep-alive']])).toEqual([
      [400, 'timeout=10'],
      [200, 'timeout=120'],
      [404, 'timeout=10'],
    ]);
  }
});
