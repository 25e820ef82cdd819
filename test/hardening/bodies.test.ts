/** Bodies: the head decides whether one is read, and all of them together have a bound. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chainConfig } from '../support/chain.ts';
import { ask, openSocket, readAll } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream, type Upstream } from '../support/upstream.ts';

const wire = wires[0] as Wire;
const sha256 = createHash('sha256').update('sk-app').digest('hex');
let upstream: Upstream;
let sidecar: TestSidecar;
beforeAll(async () => {
  upstream = await startUpstream(answers(wire, 'An answer'));
  sidecar = await startTestSidecar(
    chainConfig(wire, [upstream.baseUrl], {
      listen: { bodiesMaxBytes: 1024 * 1024, bodyTimeoutMs: 60_000 },
      authenticate: { keys: [{ id: 'app', sha256, tenant: 'acme' }] },
    }),
  );
});
afterAll(async () => {
  await sidecar.stop();
  await upstream.close();
});

const head = (key: string, more: string): string =>
  `POST ${wire.path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${key}\r\n${more}\r\n`;

test.each([
  ['of 15 MB', 'content-length: 15000000\r\n'],
  ['of 1 kB', 'content-length: 1000\r\n'],
  ['in chunks', 'transfer-encoding: chunked\r\n'],
  ['that waits for 100 Continue', 'content-length: 1000\r\nexpect: 100-continue\r\n'],
])('H4: a wrong key is refused before the body %s arrives', async (_, more) => {
  const socket = await openSocket(sidecar.url);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.write(head('sk-nope', more));
  while (!text.includes('wrong_key')) await once(socket, 'data');
  expect(text).toMatch(/^HTTP\/1\.1 401 /);
  socket.destroy();
});

/** A request whose body is on its way: its head, and this many bytes of it. */
async function uploading(bytes: number, more = ''): Promise<Socket> {
  const socket = await openSocket(sidecar.url);
  socket.on('error', () => {});
  socket.write(head('sk-app', `${more}content-length: 4000000\r\n`));
  await new Promise<void>((resolve) => void socket.write(Buffer.alloc(bytes, ' '), () => resolve()));
  return socket;
}

test('H4: bodies take no more memory than is meant for them, and give it back', async () => {
  const headers = { authorization: 'Bearer sk-app' };
  const large = { headers, body: wire.request('x'.repeat(900_000)) };
  // A single body may be larger than the bound.
  const alone = await ask(sidecar.url, wire.path, { headers, body: wire.request('x'.repeat(2_000_000)) });
  expect(alone.status).toBe(200);
  const small = { headers, body: wire.request('Hi') };
  // Once more if the later one came first.
  const hold = async (): Promise<Socket> => {
    for (;;) {
      const held = await uploading(900_000);
      expect((await ask(sidecar.url, wire.path, small)).status).toBe(200);
      const reply = await ask(sidecar.url, wire.path, large);
      if (reply.status === 503) expect(reply.text).toContain('overloaded');
      if (reply.status === 503) return held;
      held.destroy();
    }
  };
  const held = await hold();
  // A small one still has room.
  expect((await ask(sidecar.url, wire.path, small)).status).toBe(200);
  held.destroy();
  while ((await ask(sidecar.url, wire.path, large)).status !== 200);
});

test('H4: an upload that is refused while it arrives is answered, and its connection closed', async () => {
  const uploads = [await uploading(1_000_000), await uploading(1_000_000)];
  const text = await Promise.race(uploads.map(readAll));
  expect(text).toMatch(/^HTTP\/1\.1 503 .*Connection: close/is);
  for (const upload of uploads) upload.destroy();
});

test('H4: batch requests on their way to the queue take half of that memory, and leave the rest to others', async () => {
  const batch = 'x-sidegate-priority: batch\r\n';
  const uploads = [await uploading(400_000, batch), await uploading(400_000, batch)];
  const text = await Promise.race(uploads.map(readAll));
  expect(text).toMatch(/^HTTP\/1\.1 503 .*Connection: close/is);
  const headers = { authorization: 'Bearer sk-app' };
  const large = { headers, body: wire.request('x'.repeat(500_000)) };
  expect((await ask(sidecar.url, wire.path, large)).status).toBe(200);
  for (const upload of uploads) upload.destroy();
});
