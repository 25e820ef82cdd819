import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { generated } from '../../src/exchange/chunks.ts';
import { respond } from '../../src/listen/respond.ts';
import { openSocket, readAll } from '../support/client.ts';
import { plainRequest, startLane, times } from '../support/lane.ts';

test('a stream may be silent for longer than a connection may be idle, and its connection is closed when idle after it', async () => {
  const { url } = await startLane(
    (_head, _body, reply) => {
      async function* chunks(): AsyncGenerator<Buffer> {
        yield Buffer.from('begin');
        await sleep(100);
        yield Buffer.from('end');
      }
      const stream = generated(chunks(), () => {});
      void respond({ kind: 'stream', status: 200, headers: [], keepAlive: '', chunks: stream }, reply, times);
    },
    { idleMs: 20, firstMs: 20 },
  );
  const asked = await openSocket(url);
  asked.write(plainRequest);
  expect(await readAll(asked)).toMatch(/5\r\nbegin\r\n3\r\nend\r\n0\r\n\r\n$/);
});

test('chunks of every size have their length before them', async () => {
  const { url } = await startLane((_head, _body, reply) => {
    async function* chunks(): AsyncGenerator<Buffer> {
      for (const size of sizes) yield Buffer.alloc(size, 'x');
    }
    const stream = generated(chunks(), () => {});
    void respond({ kind: 'stream', status: 200, headers: [], keepAlive: '', chunks: stream }, reply, times);
  });
  // Around each further digit, and where a chunk has no room in the buffer for replies.
  const sizes = [1, 15, 16, 17, 255, 256, 4095, 4096, 16_100, 16_384, 70_000];
  const asked = await openSocket(url);
  asked.write(plainRequest.replace('host', 'connection: close\r\nhost'));
  const body = (await readAll(asked)).split('\r\n\r\n').slice(1).join('\r\n\r\n');
  expect(body).toBe(
    `${sizes.map((size) => `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`).join('')}0\r\n\r\n`,
  );
});

test('a client that never reads the end of a stream is disconnected', async () => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const { url } = await startLane((_head, _body, reply) => {
    // Ends as soon as something waits for the client, but too little for its reading to be waited for.
    async function* chunks(): AsyncGenerator<Buffer> {
      while (reply.writableLength === 0) yield Buffer.alloc(16 * 1024, 'x');
    }
    reply.on('close', () => resolve(true));
    const stream = generated(chunks(), () => {});
    void respond({ kind: 'stream', status: 200, headers: [], keepAlive: '', chunks: stream }, reply, times);
  });
  const socket = await openSocket(url);
  socket.pause();
  socket.write(plainRequest);
  expect(await promise).toBe(true);
  socket.destroy();
});

test('small chunks that wait for a client that never reads take little more than their bytes', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const { url } = await startLane((_head, _body, reply) => {
    reply.writeHead(200, []);
    // More than the system's buffers hold, so that all that follows waits.
    reply.write(Buffer.alloc(16 * 1024 * 1024));
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 2000; i++) reply.write(Buffer.from('data: {}'));
    resolve(process.memoryUsage().arrayBuffers - before);
    reply.destroy();
  });
  const socket = await openSocket(url);
  socket.pause();
  socket.write(plainRequest);
  // 32 MB when each of them held a buffer for whole replies.
  expect(await promise).toBeLessThan(2 * 1024 * 1024);
  socket.destroy();
});
