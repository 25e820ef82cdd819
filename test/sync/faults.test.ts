/** What Redis may do wrong: each request is served at once from the pod's share, and the log says it once. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { metricIn } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { type RedisProcess, startRedis } from '../support/redis.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';
import { answers, startUpstream } from '../support/upstream.ts';

async function redisFor(...settings: string[]): Promise<RedisProcess> {
  const redis = await startRedis('redis-server', settings);
  onTestFinished(() => redis.stop());
  return redis;
}

function clientOf(redis: RedisProcess): Redis {
  const client = new Redis(redis.url);
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

/** A sidecar with a limit that no test reaches. */
async function podFor(sync: object): Promise<TestSidecar> {
  const own = await startUpstream(answers(wire, 'good'));
  onTestFinished(() => own.close());
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: { own: { dialect: 'openai', baseUrl: own.baseUrl } },
    routes: [{ model: 'any', targets: [{ provider: 'own' }] }],
    attempt: { retriesMax: 0 },
    limits: [{ name: 'much', per: [], capacity: 100_000, refillPerSecond: 10_000 }],
    sync,
  });
  onTestFinished(() => sidecar.stop());
  return sidecar;
}

const post = (to: TestSidecar) => ask(to.url, wire.path, { body: { ...wire.request('hi'), model: 'any' } });
const metric = async (of: TestSidecar, name: string, labels = {}) =>
  metricIn(await of.metrics(), name, labels);
const linesWith = (of: TestSidecar, text: string): string[] =>
  of
    .logText()
    .split('\n')
    .filter((line) => line.includes(text));
const isDown = (of: TestSidecar) => linesWith(of, 'cannot be leased').length > 0;
const isUp = async (of: TestSidecar) => (await metric(of, 'sidegate_leases_up')) === 1;
const failures = async (of: TestSidecar) =>
  (await metric(of, 'sidegate_lease_calls_total', { outcome: 'failed' })) ?? 0;

/** Requests are served, calls go on to fail, and the log has said so once, with the reason. */
async function expectServedAlone(of: TestSidecar, reason: string): Promise<void> {
  await until(() => isDown(of));
  const before = await failures(of);
  await until(async () => {
    expect((await post(of)).status).toBe(200);
    return (await failures(of)) >= before + 2;
  });
  const lines = linesWith(of, 'cannot be leased');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(reason);
  expect(await isUp(of)).toBe(false);
}

/** Once the fault is mended limits are leased again, which is said once. */
async function expectBack(of: TestSidecar): Promise<void> {
  await until(() => isUp(of));
  expect((await post(of)).status).toBe(200);
  expect(linesWith(of, 'shared limits are leased')).toHaveLength(1);
}

/** A certificate that its own server signed. */
function certificate() {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const what = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const whose = ['-subj', '/CN=redis', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...what, '-keyout', key, '-out', cert, ...whose], {
    stdio: 'ignore',
  });
  return { key, cert };
}

/** Has a server listen with TLS too; gives the port. */
async function tlsPort(redis: RedisProcess, key: string, cert: string): Promise<number> {
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as AddressInfo;
  free.close();
  await once(free, 'close');
  await clientOf(redis).call(
    ...(['CONFIG', 'SET', 'tls-auth-clients', 'no', 'tls-key-file', key] as const),
    ...['tls-cert-file', cert, 'tls-port', String(port)],
  );
  return port;
}

describe('a Redis that refuses', () => {
  test('a wrong password', async () => {
    const redis = await redisFor('--requirepass', 'right');
    const pod = await podFor({ redis: `redis://:wrong@127.0.0.1:${redis.port}` });
    await expectServedAlone(pod, 'it refuses the user or the password');
    expect(pod.logText()).not.toContain('wrong@');
    const client = new Redis(redis.url.replace('redis://', 'redis://:right@'));
    onTestFinished(() => client.disconnect());
    await client.config('SET', 'requirepass', 'wrong');
    await expectBack(pod);
  });

  test('no password', async () => {
    const redis = await redisFor('--requirepass', 'right');
    await expectServedAlone(await podFor({ redis: redis.url }), 'it asks for a password');
  });

  test('a user without the right to run scripts', async () => {
    const redis = await redisFor();
    const client = clientOf(redis);
    await client.call('ACL', 'SETUSER', 'pod', 'on', '>secret', '~*', '&*', '+@all', '-evalsha', '-eval');
    const pod = await podFor({ redis: `redis://pod:secret@127.0.0.1:${redis.port}` });
    await expectServedAlone(pod, 'its user may not run what leases need');
    await client.call('ACL', 'SETUSER', 'pod', '+evalsha', '+eval');
    await expectBack(pod);
  });

  test('a certificate that nobody vouches for', async () => {
    const { key, cert } = certificate();
    const redis = `rediss://127.0.0.1:${await tlsPort(await redisFor(), key, cert)}`;
    await expectServedAlone(await podFor({ redis }), 'its certificate is not trusted');
    await expectBack(await podFor({ redis, ca: readFileSync(cert, 'utf8') }));
  });

  test('a server that is too old', async () => {
    // What the script says where Redis doesn't tell its version, which only 7.0 began to do.
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        for (const command of String(chunk).matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g))
          socket.write(/evalsha/i.test(command[1] ?? '') ? '-TOOOLD Redis 7.0 is needed\r\n' : '+OK\r\n');
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    await expectServedAlone(await podFor({ redis: `redis://127.0.0.1:${port}` }), 'it is older than 7.0');
  });

  test('a full server', async () => {
    const redis = await redisFor();
    const client = clientOf(redis);
    await client.config('SET', 'maxmemory', '1');
    const pod = await podFor({ redis: redis.url });
    await expectServedAlone(pod, 'it is full');
    await client.config('SET', 'maxmemory', '0');
    await expectBack(pod);
  });

  test('a read-only replica', async () => {
    const master = await redisFor();
    const replica = await redisFor('--replicaof', '127.0.0.1', String(master.port));
    const pod = await podFor({ redis: replica.url });
    await expectServedAlone(pod, 'it is a read-only replica');
    await clientOf(replica).call('REPLICAOF', 'NO', 'ONE');
    await expectBack(pod);
  });

  test('a clock key that holds something else', async () => {
    const redis = await redisFor();
    const client = clientOf(redis);
    await client.lpush('sidegate:1:{0}:clock', 'mine');
    const pod = await podFor({ redis: redis.url });
    await expectServedAlone(pod, 'its keys hold something else');
    await client.del('sidegate:1:{0}:clock');
    await expectBack(pod);
  });
});

describe('keys of a limit', () => {
  /** A sidecar in contact, the key of its limit, and a client of its Redis. */
  async function inContact() {
    const redis = await redisFor();
    const client = clientOf(redis);
    const pod = await podFor({ redis: redis.url });
    await until(async () => {
      expect((await post(pod)).status).toBe(200);
      return (await client.keys('sidegate:1:{0}:m:*')).length === 1;
    });
    const [key = ''] = await client.keys('sidegate:1:{0}:m:*');
    return { client, pod, key };
  }
  const foreign = (of: TestSidecar) => metric(of, 'sidegate_lease_foreign_limits');

  test.each<[string, (client: Redis, key: string) => Promise<unknown>]>([
    ['of another type', (client, key) => client.multi().del(key).set(key, 'mine').exec()],
    ['written by hand', (client, key) => client.hset(key, 's', 'mine')],
    ['that is no number', (client, key) => client.hset(key, 's', Buffer.alloc(120, 0xff))],
  ])('a value %s', async (_, spoil) => {
    const { client, pod, key } = await inContact();
    await spoil(client, key);
    await until(async () => {
      expect((await post(pod)).status).toBe(200);
      return (await foreign(pod)) === 1;
    });
    for (let i = 0; i < 20; i++) expect((await post(pod)).status).toBe(200);
    await client.del(key);
    await until(async () => {
      expect((await post(pod)).status).toBe(200);
      return (await foreign(pod)) === 0;
    });
    expect(linesWith(pod, 'hold something else')).toHaveLength(1);
    expect(linesWith(pod, 'can be used again')).toHaveLength(1);
    expect(isDown(pod)).toBe(false);
  });

  test('of another schema version are left alone', async () => {
    const { client, pod, key } = await inContact();
    const other = key.replace('sidegate:1:', 'sidegate:2:');
    await client.set(other, 'theirs');
    const calls = () => metric(pod, 'sidegate_lease_calls_total', { outcome: 'answered' });
    const before = (await calls()) ?? 0;
    await until(async () => ((await calls()) ?? 0) >= before + 2);
    expect((await post(pod)).status).toBe(200);
    expect(await client.get(other)).toBe('theirs');
    expect(await foreign(pod)).toBe(0);
  });

  test('that are flushed come back, and nobody notices', async () => {
    const { client, pod, key } = await inContact();
    await client.flushall();
    await until(async () => {
      expect((await post(pod)).status).toBe(200);
      return (await client.exists(key)) === 1;
    });
    expect(isDown(pod)).toBe(false);
    expect(linesWith(pod, 'shared limits are leased')).toHaveLength(1);
  });
});
