/** Who may use the admin port, and that silent clients don't keep others out. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSocket, rawExchange } from '../support/client.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

let sidecar: TestSidecar;
beforeAll(async () => {
  sidecar = await startTestSidecar({ admin: { allowedHosts: ['Gate.internal'] } });
});
afterAll(() => sidecar.stop());

const get = (path: string, headers: string, version = '1.1'): Promise<string> =>
  rawExchange(sidecar.adminUrl, `GET ${path} HTTP/${version}\r\n${headers}connection: close\r\n\r\n`);

test.each(['/metrics', '/healthz', '/readyz', '/keys'])('H7: a rebound page can’t read %s', async (path) => {
  for (const host of [
    'evil.example',
    'evil.example:4101',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '',
  ])
    expect(await get(path, `host: ${host}\r\n`), host).toMatch(/^HTTP\/1\.1 403 .*admin\.allowedHosts/s);
  for (const host of ['[::1', 'a b', 'me@localhost'])
    expect(await get(path, `host: ${host}\r\n`), host).toMatch(/^HTTP\/1\.1 40[03] /);
});

test('probes reach it by name, by address, and without any', async () => {
  for (const host of [
    'localhost:4101',
    '127.0.0.1',
    '[::1]:4101',
    '10.1.2.3:4101',
    '[fd00::7]',
    'gate.internal:80',
  ])
    expect(await get('/healthz', `host: ${host}\r\n`), host).toMatch(/^HTTP\/1\.1 200 /);
  expect(await get('/healthz', '', '1.0')).toMatch(/^HTTP\/1\.1 200 /);
});

test('H10: 64 silent connections don’t keep a probe waiting', async () => {
  const silent: Socket[] = [];
  for (let i = 0; i < 64; i++) silent.push(await openSocket(sidecar.adminUrl));
  for (const socket of silent) socket.on('error', () => {});
  const first = once(silent[0] as Socket, 'close');
  for (let i = 0; i < 10; i++)
    expect(await get('/healthz', 'host: localhost\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  await first;
  for (const socket of silent) socket.destroy();
});

test('H11: requests that a connection sends ahead of its replies are refused, and one after the other served', async () => {
  const ahead = 'GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(1000);
  const last = 'GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';
  const text = await rawExchange(sidecar.adminUrl, ahead + last);
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(text.match(/HTTP\/1\.1 200 /g)?.length).toBeLessThan(20);
  expect(text).toContain('One at a time');
  const socket = await openSocket(sidecar.adminUrl);
  socket.setEncoding('utf8');
  for (let i = 0; i < 3; i++) {
    socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    const [reply] = await once(socket, 'data');
    expect(reply).toMatch(/^HTTP\/1\.1 200 /);
  }
  socket.destroy();
});
