/** Providers that don't keep to HTTP: interim replies (faults row 35), partial content, heads that can't be read. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { chainConfig } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

const wire = wires[0] as Wire;

/** Asks twice through a sidecar whose provider answers each request with these bytes. */
async function answered(bytes: string): Promise<Awaited<ReturnType<typeof ask>>[]> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
      const [head = '', body = ''] = text.split('\r\n\r\n');
      if (body.length < Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 1)) return;
      text = '';
      socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const sidecar = await startTestSidecar(
    chainConfig(wire, [`http://127.0.0.1:${port}/v1`], { attempt: { breaker: { failures: 100 } } }),
  );
  onTestFinished(async () => {
    await sidecar.stop();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const body = wire.request('Hi');
  return [await ask(sidecar.url, wire.path, { body }), await ask(sidecar.url, wire.path, { body })];
}

const content = wire.whole('An answer');
const whole = (status = 200, more = ''): string =>
  `HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\n${more}content-length: ${Buffer.byteLength(content)}\r\n\r\n${content}`;

test.each([
  ['100', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ['102', 'HTTP/1.1 102 Processing\r\n\r\n'],
  ['103', 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'],
  ['several', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'],
])('H9, row 35: interim replies are passed over: %s', async (_, interim) => {
  for (const reply of await answered(interim + whole())) {
    expect(reply.status).toBe(200);
    expect(reply.text).toContain('An answer');
  }
});

test.each([
  ['205', whole(205)],
  ['206', whole(206, 'content-range: bytes 0-9/100\r\n')],
  ['a head of 1 MB', whole(200, `x-long: ${'y'.repeat(1_000_000)}\r\n`)],
  ['two lengths', whole(200, 'content-length: 3\r\n')],
  ['a length in words', 'HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n'],
])('H14: no answer, and no reason to wait: %s', async (_, bytes) => {
  for (const reply of await answered(bytes)) {
    expect(reply.status).toBe(502);
    expect(reply.headers['retry-after']).toBeUndefined();
  }
});

test('H13: a model never leaves the base path, and is valid text', async () => {
  const asked: string[] = [];
  const upstream = await startUpstream((call) => {
    asked.push(call.path);
    answers(wire, 'An answer')(call);
  });
  const base = {
    preset: 'azure-deployments',
    baseUrl: `${upstream.baseUrl}/base`,
    apiKey: 'k',
    apiVersion: '1',
  };
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: { azure: base },
    routes: [{ model: 'be:*', targets: [{ provider: 'azure', model: '*' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  for (const model of ['be:..', 'be:.', 'be:\ud800', 'be:a\udc00b']) {
    const reply = await ask(sidecar.url, wire.path, { body: { ...wire.request('Hi'), model } });
    expect(reply.status, model).toBe(400);
    expect(reply.text).toContain('"param":"model"');
  }
  const good = await ask(sidecar.url, wire.path, { body: { ...wire.request('Hi'), model: 'be:...' } });
  expect([good.status, asked.length]).toEqual([200, 1]);
});
