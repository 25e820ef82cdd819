/** The playground between a page and the data port. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { play } from '../../src/admin/playground.ts';

async function serving(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a reply that the data port breaks off is broken off for the page', async () => {
  const data = await serving((_, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write('data: {}\n\n', () => res.destroy());
  });
  const page = await serving((req, res) => void play(req, res, data, {}));
  const body = JSON.stringify({ path: '/v1/messages', key: '', body: '{}' });
  const reply = await fetch(page, { method: 'POST', body });
  expect(reply.status).toBe(200);
  await expect(reply.text()).rejects.toThrow();
});
