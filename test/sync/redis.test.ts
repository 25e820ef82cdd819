/** The Redis that tests start for themselves. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { startRedis } from '../support/redis.ts';

/** Sends one inline command and gives the first line of the answer. */
async function ask(socket: Socket, command: string): Promise<string> {
  socket.write(`${command}\r\n`);
  const [answer]: Buffer[] = await once(socket, 'data');
  return String(answer).split('\r\n')[0] ?? '';
}

test('starts, answers, stores nothing on disk, and has ended after stop', async () => {
  const redis = await startRedis();
  const socket = connect(redis.port, '127.0.0.1');
  expect(redis.url).toBe(`redis://127.0.0.1:${redis.port}`);
  expect(await ask(socket, 'PING')).toBe('+PONG');
  socket.write('CONFIG GET save\r\n');
  const [answer]: Buffer[] = await once(socket, 'data');
  expect(String(answer)).toBe('*2\r\n$4\r\nsave\r\n$0\r\n\r\n');

  socket.on('error', () => {});
  await Promise.all([once(socket, 'close'), redis.stop()]);
  await redis.stop();
  const refused = connect(redis.port, '127.0.0.1');
  const [error]: NodeJS.ErrnoException[] = await once(refused, 'error');
  expect(error?.code).toBe('ECONNREFUSED');
});

test('two at once do not share data', async () => {
  const [a, b] = await Promise.all([startRedis(), startRedis()]);
  const [toA, toB] = [connect(a.port, '127.0.0.1'), connect(b.port, '127.0.0.1')];
  expect(await ask(toA, 'SET who a')).toBe('+OK');
  expect(await ask(toB, 'EXISTS who')).toBe(':0');
  toA.destroy();
  toB.destroy();
  await Promise.all([a.stop(), b.stop()]);
});

test('says how to get a missing program', async () => {
  await expect(startRedis('no-such-redis-server')).rejects.toThrow(
    'no-such-redis-server is not installed: `apt-get install redis-server` gets it',
  );
});

test('reports the output of a program that ends at once', async () => {
  await expect(startRedis('false')).rejects.toThrow('ended before it was ready');
});
