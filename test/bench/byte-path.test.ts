/** What the byte path's benchmark rests on: latencies that leave no wait out, and sections that are replaced in place. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { run } from '../../bench/load/client.ts';
import { sectionOf, withSection } from '../../bench/report.ts';

const reply = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}';

test('at a given rate, a wait of the server is in the latency of every request that was due meanwhile', async () => {
  let waits = true;
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('data', () => {
      if (!waits) return void socket.write(reply);
      // It answers nothing for a while: one request waits here, and the others for a connection.
      setTimeout(() => {
        waits = false;
        socket.write(reply);
      }, 400);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const order = { port, mode: 'miss', connections: 1, requestsMax: 1000, durationMs: 500, key: 'k' } as const;
  const report = await run({ ...order, ratePerSecond: 100 });
  expect([report.errors, report.firstError]).toEqual([0, '']);
  // Of requests due in 500 ms, most were due while it waited.
  expect(report.requests).toBeGreaterThan(20);
  expect(report.p50Us).toBeGreaterThan(50_000);
});

test('a section is replaced in its place, or added at the end', () => {
  const page = '# A\n\none\n\n## B\n\ntwo\n\n## C\n\nthree\n';
  expect(withSection(page, '## B\n\nnew')).toBe('# A\n\none\n\n## B\n\nnew\n\n## C\n\nthree\n');
  expect(withSection(page, '## D\n\nfour\n')).toBe(`${page}\n## D\n\nfour\n`);
  expect(sectionOf(page, '## B')).toBe('## B\n\ntwo\n\n');
  expect(sectionOf(page, '## D')).toBeNull();
});
