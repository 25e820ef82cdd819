/** What bounds sessions: sizes, numbers, time, memory and a shutdown. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { realWorld } from '../../src/base/world.ts';
import { configSchema } from '../../src/config/schema.ts';
import { closeTimeoutMs } from '../../src/upstream/web-socket.ts';
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

const sessions = (more: object) => ({ listen: { sessions: more } });

test('the size of a message, of either side', async () => {
  const upstream = await startSessionUpstream(({ socket }) =>
    socket.on('message', (data) => socket.send('x'.repeat(Number(data.toString())))),
  );
  const sidecar = await startSessions(upstream, sessions({ messageMaxBytes: 2000 }));
  const client = connect(sidecar.url, path);
  const [side] = await Promise.all([upstream.opened(), client.open]);
  client.socket.send('2000');
  expect(await client.next()).toHaveLength(2000);
  client.socket.send('x'.repeat(2001));
  expect((await client.closed)[0]).toBe(1009);
  expect(await side.closed).toEqual([1001, '']);
  const other = connect(sidecar.url, path);
  await other.open;
  other.socket.send('2001');
  expect(JSON.parse(await other.next())).toMatchObject({ error: { code: 'upstream_failed' } });
  expect((await other.closed)[0]).toBe(1011);
  // In pieces, too.
  const third = connect(sidecar.url, path);
  await third.open;
  third.socket.send('x'.repeat(1200), { fin: false });
  third.socket.send('x'.repeat(1200), { fin: true });
  expect((await third.closed)[0]).toBe(1009);
});

test('the number of sessions, of which those that are refused are none', async () => {
  const upstream = await startSessionUpstream();
  const sidecar = await startSessions(upstream, {
    ...sessions({ max: 2 }),
    authenticate: { keys: [key('k-a', 'a')] },
  });
  const open = () => connect(sidecar.url, path, { authorization: 'Bearer k-a' });
  const [one, two] = [open(), open()];
  await Promise.all([one.open, two.open]);
  for (let i = 0; i < 3; i++) expect((await connect(sidecar.url, path).refused).status).toBe(503);
  const third = await open().refused;
  expect([third.status, JSON.parse(third.body).error.message]).toEqual([
    503,
    expect.stringContaining('2 sessions are open already'),
  ]);
  one.socket.close();
  await sidecar.recordWhere(({ status }) => status === 101);
  await expect
    .poll(async () => {
      const next = open();
      return Promise.race([next.open.then(() => 'open'), next.refused.then(() => 'refused')]);
    })
    .toBe('open');
});

test('of several workers, each has its part of the number', async () => {
  const upstream = await startSessionUpstream();
  const sidecar = await startSessions(
    upstream,
    { workers: 2, ...sessions({ max: 4 }) },
    {},
    { startThread: realWorld.startThread },
  );
  // Connections are spread evenly.
  const open = Array.from({ length: 4 }, () => connect(sidecar.url, path));
  await Promise.all(open.map((client) => client.open));
  const refused = [connect(sidecar.url, path), connect(sidecar.url, path)];
  for (const { status, body } of await Promise.all(refused.map((client) => client.refused)))
    expect([status, body]).toEqual([503, expect.stringContaining('2 sessions are open already')]);
});

test('silence and duration', async () => {
  const upstream = await startSessionUpstream();
  const quiet = await startSessions(upstream, sessions({ idleMs: 50 }));
  const silent = connect(quiet.url, path);
  expect(JSON.parse(await silent.next())).toMatchObject({ error: { code: 'session_over' } });
  expect(await silent.closed).toEqual([1001, expect.stringContaining('idleMs')]);
  expect(await quiet.recordWhere(({ error }) => error === 'session_over')).toMatchObject({ status: 101 });
  const short = await startSessions(upstream, sessions({ durationMs: 50 }));
  expect(await connect(short.url, path).closed).toEqual([1001, expect.stringContaining('durationMs')]);
});

describe('pace', () => {
  const piece = Buffer.alloc(64 * 1024, 'x');
  const pieces = 1024;

  test('a provider is read no faster than its client reads, and nothing is lost', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const client = connect(sidecar.url, path);
    const [side] = await Promise.all([upstream.opened(), client.open]);
    client.socket.pause();
    for (let i = 0; i < pieces; i++) side.socket.send(piece);
    // Until nothing moves: what isn't here yet is in the buffers of sockets and a bounded rest in between.
    let before = -1;
    await expect
      .poll(
        () => {
          const still = side.socket.bufferedAmount === before;
          before = side.socket.bufferedAmount;
          return still;
        },
        { interval: 200, timeout: 20_000 },
      )
      .toBe(true);
    expect(side.socket.bufferedAmount).toBeGreaterThan((pieces * piece.length) / 2);
    client.socket.resume();
    await expect.poll(() => client.messages.length, { timeout: 20_000 }).toBe(pieces);
  });

  test('a client is read no faster than its provider reads', async () => {
    const upstream = await startSessionUpstream(({ socket }) => socket.pause());
    const sidecar = await startSessions(upstream);
    const client = connect(sidecar.url, path);
    const [side] = await Promise.all([upstream.opened(), client.open]);
    for (let i = 0; i < pieces; i++) client.socket.send(piece);
    let before = -1;
    await expect
      .poll(
        () => {
          const still = client.socket.bufferedAmount === before;
          before = client.socket.bufferedAmount;
          return still;
        },
        { interval: 200, timeout: 20_000 },
      )
      .toBe(true);
    expect(client.socket.bufferedAmount).toBeGreaterThan((pieces * piece.length) / 2);
    side.socket.resume();
    await expect.poll(() => side.messages.length, { timeout: 20_000 }).toBe(pieces);
  });

  test('a client gets all that its provider said before it closed, however slowly it reads', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream, sessions({ messageMaxBytes: 64 * 1024 * 1024 }));
    const client = connect(sidecar.url, path);
    const [side] = await Promise.all([upstream.opened(), client.open]);
    client.socket.pause();
    // More than the buffers of sockets take.
    side.socket.send(Buffer.alloc(pieces * piece.length * 0.5, 'x'));
    side.socket.close(4000, 'that was all');
    await sidecar.recordWhere(({ status }) => status === 101);
    // Longer than a peer has for its part of a closing that it could read.
    await new Promise((resolve) => setTimeout(resolve, closeTimeoutMs + 500));
    client.socket.resume();
    expect(await client.closed).toEqual([4000, 'that was all']);
    expect(client.messages.map(({ data }) => data.length)).toEqual([pieces * piece.length * 0.5]);
  });

  test('a client that takes nothing is let go', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream, { listen: { clientTimeoutMs: 200 } });
    const client = connect(sidecar.url, path);
    const [side] = await Promise.all([upstream.opened(), client.open]);
    client.socket.pause();
    for (let i = 0; i < pieces; i++) side.socket.send(piece);
    expect(await sidecar.recordWhere(({ abandoned }) => abandoned)).toMatchObject({ status: 101 });
    expect((await side.closed)[0]).toBe(1001);
  });
});

describe('a shutdown', () => {
  test('ends sessions at once, but for replies in progress, which have until the deadline', async () => {
    const upstream = await startSessionUpstream(({ socket }) =>
      socket.on('message', (data) => socket.send(data.toString())),
    );
    const sidecar = await startSessions(upstream, { listen: { drainMs: 60_000 } });
    const [idle, busy] = [connect(sidecar.url, path), connect(sidecar.url, path)];
    await Promise.all([idle.open, busy.open]);
    busy.socket.send(created);
    await busy.next();
    const drained = sidecar.stop();
    expect(await idle.closed).toEqual([1001, expect.stringContaining('shutting down')]);
    expect(busy.socket.readyState).toBe(busy.socket.OPEN);
    busy.socket.send(done(usage(1, 2)));
    await busy.next((text) => text.includes('response.done'));
    expect(JSON.parse(await busy.next())).toMatchObject({ error: { code: 'draining' } });
    expect((await busy.closed)[0]).toBe(1001);
    await drained;
    expect(sidecar.records().filter(({ error }) => error === 'draining')).toMatchObject([
      { outputTokens: 0 },
      { outputTokens: 2 },
    ]);
  });

  test('ends the rest at the deadline', async () => {
    const upstream = await startSessionUpstream(({ socket }) => socket.send(created));
    const sidecar = await startSessions(upstream, { listen: { drainMs: 100 } });
    const client = connect(sidecar.url, path);
    await client.next();
    await sidecar.stop();
    expect((await client.closed)[0]).toBe(1001);
  });
});

test("a message that names another tenant's file ends the session", async () => {
  const upstream = await startSessionUpstream(({ socket }) =>
    socket.on('message', (data) => socket.send(`got ${data}`)),
  );
  const sidecar = await startSessions(upstream, {
    authenticate: { keys: [key('k-a', 'a'), key('k-b', 'b')] },
  });
  const client = connect(sidecar.url, path, { authorization: 'Bearer k-a' });
  await client.open;
  const naming = (id: string): string => JSON.stringify({ type: 'conversation.item.create', file_id: id });
  client.socket.send(naming('file-unknown1'));
  client.socket.send('after');
  expect(await client.next()).toBe(`got ${naming('file-unknown1')}`);
  expect(await client.next()).toBe('got after');
  const form = new FormData();
  form.set('purpose', 'user_data');
  form.set('file', new Blob(['x']), 'x.txt');
  const authorization = 'Bearer k-b';
  const made = await fetch(`${sidecar.url}/v1/files`, {
    method: 'POST',
    headers: { authorization },
    body: form,
  });
  expect(await made.json()).toMatchObject({ id: 'file-b1' });
  client.socket.send(naming('file-b1'));
  client.socket.send('behind');
  expect(JSON.parse(await client.next())).toMatchObject({ error: { code: 'object_not_found' } });
  expect((await client.closed)[0]).toBe(1008);
  // Its own tenant's session may.
  const own = connect(sidecar.url, path, { authorization });
  await own.open;
  own.socket.send(naming('file-b1'));
  expect(await own.next()).toBe(`got ${naming('file-b1')}`);
});

test('a session outlasts its provider, and all that was kept for requests to it', async () => {
  const upstream = await startSessionUpstream();
  const sidecar = await startSessions(upstream);
  const client = connect(sidecar.url, path);
  await Promise.all([upstream.opened(), client.open]);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const config = configSchema.parse({
    authenticate: { anonymousTenant: 'test' },
    listen: { port: 0 },
    admin: { port: 0 },
  });
  await sidecar.sidecar.reload(config);
  await vi.advanceTimersByTimeAsync(config.attempt.totalTimeoutMs + config.batch.deadlineMs);
  vi.useRealTimers();
  client.socket.close(1000, 'done');
  expect((await sidecar.recordWhere(({ status }) => status === 101)).error ?? '').toBe('');
});
