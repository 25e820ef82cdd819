/** A session lasts no longer than the key that opened it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import {
  connect,
  created,
  done,
  key,
  startSessions,
  startSessionUpstream,
  usage,
} from '../support/session-upstream.ts';

const path = '/v1/realtime?model=gpt-realtime';
const token = 'a-token-of-the-admin-port';
const revoked = expect.objectContaining({
  type: 'error',
  error: expect.objectContaining({ code: 'key_revoked' }),
});

const withStore = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-revoked-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return { store: { path: join(folder, 'store') }, admin: { token }, authenticate: {} };
};

/** A stored key, and what revokes it. */
async function storedKey(adminUrl: string) {
  const ask = (method: string, at: string, body: string | null) =>
    fetch(`${adminUrl}${at}`, {
      method,
      body,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    });
  const made = await ask('POST', '/keys', JSON.stringify({ id: 'web', tenant: 'a' }));
  const { key: text } = (await made.json()) as { key: string };
  return { text, revoke: () => ask('DELETE', '/keys/web', null) };
}

test('no message of a revoked key reaches the provider', async () => {
  const upstream = await startSessionUpstream();
  const sidecar = await startSessions(upstream, await withStore());
  const { text, revoke } = await storedKey(sidecar.adminUrl);
  const client = connect(sidecar.url, path, { authorization: `Bearer ${text}` });
  const [side] = await Promise.all([upstream.opened(), client.open]);
  client.socket.send('before');
  expect(await side.next()).toBe('before');
  await revoke();
  client.socket.send('after');
  expect(JSON.parse(await client.next())).toEqual(revoked);
  expect((await client.closed)[0]).toBe(1008);
  expect(await side.closed).toEqual([1000, '']);
  expect(side.messages).toEqual([]);
  expect(await sidecar.recordWhere(({ status }) => status === 101)).toMatchObject({ error: 'key_revoked' });
});

test('a client that only listens is let go after the reply that is running', async () => {
  const upstream = await startSessionUpstream();
  const sidecar = await startSessions(upstream, await withStore());
  const { text, revoke } = await storedKey(sidecar.adminUrl);
  const client = connect(sidecar.url, path, { authorization: `Bearer ${text}` });
  const [side] = await Promise.all([upstream.opened(), client.open]);
  side.socket.send(created);
  await client.next();
  await revoke();
  side.socket.send(done(usage(1, 2)));
  expect(JSON.parse(await client.next())).toMatchObject({ type: 'response.done' });
  expect(JSON.parse(await client.next())).toEqual(revoked);
  expect((await client.closed)[0]).toBe(1008);
});

test('a key that a new configuration no longer has ends its sessions, and no others', async () => {
  const upstream = await startSessionUpstream();
  const provider = { dialect: 'openai', baseUrl: upstream.url, apiKey: 'k', passthrough: 'unscrubbed' };
  const config = (...names: string[]) =>
    ({
      providers: { first: provider },
      authenticate: { keys: names.map((name) => key(name, 'a')) },
      listen: { port: 0 },
      admin: { port: 0 },
    }) as never;
  const sidecar = await startSessions(upstream, config('k-1', 'k-2'));
  const [one, two] = ['k-1', 'k-2'].map((name) =>
    connect(sidecar.url, path, { authorization: `Bearer ${name}` }),
  );
  await Promise.all([one?.open, two?.open]);
  await sidecar.sidecar.reload(configSchema.parse(config('k-2')));
  one?.socket.send('x');
  two?.socket.send('y');
  expect(JSON.parse((await one?.next()) ?? '')).toEqual(revoked);
  await expect
    .poll(() => upstream.sides.flatMap(({ messages }) => messages.map(({ data }) => `${data}`)))
    .toEqual(['y']);
});

test('a key that expires ends its sessions', async () => {
  const upstream = await startSessionUpstream();
  let nowMs = Date.now();
  const keys = [key('k-1', 'a', { expires: new Date(nowMs + 60_000).toISOString() })];
  const sidecar = await startSessions(upstream, { authenticate: { keys } }, {}, { wallClock: () => nowMs });
  const client = connect(sidecar.url, path, { authorization: 'Bearer k-1' });
  const [side] = await Promise.all([upstream.opened(), client.open]);
  nowMs += 59_000;
  client.socket.send('before');
  expect(await side.next()).toBe('before');
  nowMs += 2000;
  client.socket.send('after');
  expect(JSON.parse(await client.next())).toEqual(revoked);
});
