/** Keys made while the gateway runs: the admin port, the command line, processes that share a file, and their end. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openKeyBook } from '../../src/authenticate/shared-keys.ts';
import { keyTables } from '../../src/authenticate/stored-keys.ts';
import { runCli } from '../../src/cli.ts';
import { configSchema } from '../../src/config/schema.ts';
import { openStore } from '../../src/store/database.ts';
import { ask } from '../support/client.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

const token = 'the token of the admin port';
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const fixed = { id: 'fixed', sha256: sha256('a key of the configuration'), tenant: 'acme' };

let path: string;
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-keys-'));
  path = join(folder, 'store.db');
  onTestFinished(() => rmSync(folder, { recursive: true }));
});

const input = (more: ConfigInput = {}): ConfigInput => ({
  authenticate: { keys: [fixed] },
  admin: { token },
  store: { path },
  cache: { enabled: false },
  providers: { sim: { preset: 'simulator' } },
  routes: [{ model: 'sim', targets: [{ provider: 'sim' }] }],
  ...more,
});

async function start(more: ConfigInput = {}): Promise<TestSidecar> {
  const sidecar = await startTestSidecar(input(more));
  let stopped = false;
  onTestFinished(() => (stopped ? undefined : sidecar.stop()));
  const stop = sidecar.stop;
  return {
    ...sidecar,
    stop: () => {
      stopped = true;
      return stop();
    },
  };
}

/** Asks for a completion; gives the error's code, or `ok`. */
async function call(to: TestSidecar, key: string, headers: Record<string, string> = {}): Promise<string> {
  const body = { model: 'sim', messages: [{ role: 'user', content: 'Hi' }] };
  const reply = await ask(to.url, '/v1/chat/completions', {
    body,
    headers: { 'x-api-key': key, ...headers },
  });
  return reply.status === 200 ? 'ok' : JSON.parse(reply.text).error.code;
}

/** Asks the admin port. */
async function admin(
  to: TestSidecar,
  method: string,
  where: string,
  body?: unknown,
  headers: Record<string, string> = {},
) {
  const answer = await ask(to.adminUrl, where, {
    method,
    body,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  const json = answer.text === '' ? null : JSON.parse(answer.text);
  return { status: answer.status, headers: answer.headers, json };
}

/** Runs `sidegate keys`. */
async function cli(args: string[], env: Record<string, string> = {}) {
  const printed: string[] = [];
  const errors: string[] = [];
  const code = await runCli(['keys', ...args], {
    env,
    print: (text) => void printed.push(text),
    printError: (text) => void errors.push(text),
    terminal: false,
    onSignal() {},
  });
  return { code, output: printed.join('').trim(), errors: errors.join('') };
}

describe('the admin port', () => {
  test('while another process writes, a change is refused at once and can be retried', async () => {
    const sidecar = await start();
    const grant = { id: 'web', tenant: 'acme' };
    const { key } = (await admin(sidecar, 'POST', '/keys', grant)).json;
    const other = new DatabaseSync(path);
    onTestFinished(() => other.close());
    other.exec('BEGIN IMMEDIATE');
    const changes = [
      await admin(sidecar, 'POST', '/keys', { ...grant, id: 'other' }),
      await admin(sidecar, 'DELETE', '/keys/web'),
    ];
    for (const { status, headers, json } of changes) {
      expect([status, headers['content-type']]).toEqual([503, 'application/problem+json']);
      expect([headers['retry-after'], json.title]).toEqual(['1', 'Store busy']);
    }
    expect(await call(sidecar, key)).toBe('ok');
    other.exec('ROLLBACK');
    expect((await admin(sidecar, 'DELETE', '/keys/web')).status).toBe(204);
  });

  test('creates a key that works at once, and is never shown or stored in clear', async () => {
    const sidecar = await start();
    const grant = {
      id: 'web',
      tenant: 'acme',
      team: 'core',
      tags: ['prod'],
      models: ['sim'],
      endpoints: ['chat'],
    };
    const made = await admin(sidecar, 'POST', '/keys', grant);
    expect(made.status).toBe(201);
    const { key } = made.json;
    expect(key).toMatch(/^sg-[\w-]{43}$/);
    expect(await call(sidecar, key)).toBe('ok');
    const record = await sidecar.recordWhere(({ keyId }) => keyId === 'web');
    expect(record).toMatchObject({ tenant: 'acme', team: 'core', tags: 'prod' });
    const list = await admin(sidecar, 'GET', '/keys');
    expect(list.json).toEqual({ keys: [{ ...grant, limits: [], created: expect.any(String) }], next: null });
    await sidecar.stop();
    const stored = readdirSync(join(path, '..')).map((name) =>
      readFileSync(join(path, '..', name), 'latin1'),
    );
    for (const text of [...stored, sidecar.logText(), JSON.stringify(list)]) expect(text).not.toContain(key);
  });

  test('revokes a key at once, and it stays revoked after a restart', async () => {
    const first = await start();
    const keys = await Promise.all(
      ['a', 'b'].map(async (id) => (await admin(first, 'POST', '/keys', { id, tenant: 'acme' })).json.key),
    );
    expect(await Promise.all(keys.map((key) => call(first, key)))).toEqual(['ok', 'ok']);
    expect((await admin(first, 'DELETE', '/keys/a')).status).toBe(204);
    expect((await admin(first, 'DELETE', '/keys/a')).status).toBe(204);
    expect(await Promise.all(keys.map((key) => call(first, key)))).toEqual(['key_revoked', 'ok']);
    await first.stop();
    const second = await start();
    expect(await Promise.all(keys.map((key) => call(second, key)))).toEqual(['key_revoked', 'ok']);
    const { json } = await admin(second, 'GET', '/keys?after=');
    expect(json.keys).toMatchObject([{ id: 'a', revoked: expect.any(String) }, { id: 'b' }]);
  });

  test.each([
    ['no token', 'GET', '/keys', undefined, { authorization: '' }, 401],
    ['a wrong token', 'GET', '/keys', undefined, { authorization: 'Bearer other' }, 401],
    ['a web page', 'POST', '/keys', { id: 'x', tenant: 'x' }, { origin: 'http://127.0.0.1' }, 403],
    ['no JSON', 'POST', '/keys', '{', {}, 400],
    ['another type', 'POST', '/keys', 'id=x', { 'content-type': 'text/plain' }, 415],
    ['a large body', 'POST', '/keys', { id: 'x'.repeat(100_000) }, {}, 413],
    ['a list', 'POST', '/keys', [], {}, 400],
    ['an unknown setting', 'POST', '/keys', { id: 'x', tenant: 'x', tennant: 'x' }, {}, 400],
    ['a digest of its own', 'POST', '/keys', { id: 'x', tenant: 'x', sha256: sha256('x') }, {}, 400],
    [
      'a header that means something else',
      'POST',
      '/keys',
      { id: 'x', tenant: 'x', userHeader: 'Cookie' },
      {},
      400,
    ],
    [
      'a time that has passed',
      'POST',
      '/keys',
      { id: 'x', tenant: 'x', expires: '2020-01-01T00:00:00Z' },
      {},
      400,
    ],
    ['the id of a configured key', 'POST', '/keys', { id: 'fixed', tenant: 'x' }, {}, 409],
    ['a revocation of a configured key', 'DELETE', '/keys/fixed', undefined, {}, 409],
    ['a revocation of nothing', 'DELETE', '/keys/none', undefined, {}, 404],
    ['a broken path', 'DELETE', '/keys/%zz', undefined, {}, 404],
    ['another method', 'PUT', '/keys', undefined, {}, 405],
  ] as const)('refuses %s', async (_, method, where, body, headers, status) => {
    const sidecar = await start();
    const answer = await admin(sidecar, method, where, body, headers);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
    expect((await admin(sidecar, 'GET', '/keys')).json.keys).toEqual([]);
  });

  test('names each fault of a key', async () => {
    const sidecar = await start();
    const { json } = await admin(sidecar, 'POST', '/keys', { id: '', models: [], endpoints: ['chats'] });
    for (const part of ['id: must be', 'tenant: is missing', 'models: must have', 'endpoints[0]: '])
      expect(json.detail).toContain(part);
  });

  test('limits a key by its own limits', async () => {
    const sidecar = await start();
    const limit = { name: 'few', capacity: 1, refillPerSecond: 0.001 };
    const grant = { id: 'web', tenant: 'acme', limits: [limit] };
    const { key } = (await admin(sidecar, 'POST', '/keys', grant)).json;
    expect([await call(sidecar, key), await call(sidecar, key)]).toEqual(['ok', 'rate_limited']);
    expect(await call(sidecar, 'a key of the configuration')).toBe('ok');
    const endless = { ...grant, id: 'b', limits: [{ name: 'few', capacity: 1 }] };
    const { json } = await admin(sidecar, 'POST', '/keys', endless);
    expect(json.detail).toContain('limits[0]: needs `refillPerSecond`');
  });

  test('accepts an id once', async () => {
    const sidecar = await start();
    const grant = { id: 'web', tenant: 'acme' };
    const both = await Promise.all([1, 2].map(() => admin(sidecar, 'POST', '/keys', grant)));
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
  });

  test('says how to switch keys on', async () => {
    const off = await start({ admin: {} });
    expect(await admin(off, 'GET', '/keys')).toMatchObject({
      status: 403,
      json: { detail: expect.stringContaining('admin.token') },
    });
    const storeless = await start({ store: {} });
    expect(await admin(storeless, 'GET', '/keys')).toMatchObject({
      status: 409,
      json: { detail: expect.stringContaining('store.path') },
    });
  });
});

describe('sidegate keys', () => {
  test("creates and revokes keys in the store's file, with effect at a running process's next request", async () => {
    const one = await start();
    const made = await cli(['create', '--id', 'web', '--tenant', 'acme', '--user', 'ann', '--store', path]);
    expect(made).toMatchObject({ code: 0, errors: '' });
    expect(await call(one, made.output)).toBe('ok');
    const listed = await cli(['list', '--store', path]);
    expect(JSON.parse(listed.output)).toMatchObject({ id: 'web', tenant: 'acme', user: 'ann' });
    expect((await admin(one, 'DELETE', '/keys/web')).status).toBe(204);
    expect(await call(one, made.output)).toBe('key_revoked');
    const other = await cli(['create', '--id', 'other', '--tenant', 'acme', '--store', path]);
    expect(await call(one, other.output)).toBe('ok');
    expect((await cli(['revoke', 'other', '--store', path])).code).toBe(0);
    expect(await call(one, other.output)).toBe('key_revoked');
  });

  test('does the same over the admin port', async () => {
    const sidecar = await start();
    const where = ['--admin', sidecar.adminUrl];
    const env = { SIDEGATE_ADMIN_TOKEN: token };
    const made = await cli(
      ['create', '--id', 'web/1', '--tenant', 'acme', '--endpoint', 'chat', ...where],
      env,
    );
    expect(await call(sidecar, made.output)).toBe('ok');
    expect(JSON.parse((await cli(['list', ...where], env)).output)).toMatchObject({ id: 'web/1' });
    expect((await cli(['revoke', 'web/1', ...where], env)).code).toBe(0);
    expect(await call(sidecar, made.output)).toBe('key_revoked');
    expect(await cli(['list', ...where], { SIDEGATE_ADMIN_TOKEN: 'wrong' })).toMatchObject({
      code: 1,
      errors: expect.stringContaining('401'),
    });
    expect((await cli(['list', ...where])).errors).toContain('SIDEGATE_ADMIN_TOKEN');
  });

  test('makes no store of its own, whose keys would open nothing', async () => {
    const config = `${path}.yaml`;
    const missing = join(`${path}-elsewhere`, 'store.db');
    writeFileSync(
      config,
      `store: { path: "${missing}" }\nproviders: { p: { dialect: openai, baseUrl: "http://127.0.0.1:9/v1" } }\n` +
        'routes: [{ model: m, targets: [{ provider: p }] }]\n',
    );
    for (const args of [['create', '--id', 'web', '--tenant', 'acme'], ['list'], ['revoke', 'web']])
      expect(await cli([...args, '--config', config])).toEqual({
        code: 1,
        output: '',
        errors: expect.stringContaining(`there is no store ${missing}`),
      });
    expect(existsSync(missing)).toBe(false);
  });

  test('says what is wrong', async () => {
    expect((await cli([])).code).toBe(2);
    expect((await cli(['revoke'])).code).toBe(2);
    expect((await cli(['create', '--color', 'red'])).code).toBe(2);
    expect((await cli(['list', '--store', join(path, 'none')])).errors).toContain('there is no store');
    expect((await cli(['list', '--admin', 'nowhere'], { SIDEGATE_ADMIN_TOKEN: 'x' })).errors).toContain(
      'URL',
    );
    await start();
    expect((await cli(['create', '--id', 'x', '--store', path])).errors).toContain('tenant: is missing');
    expect((await cli(['revoke', 'x', '--store', path])).errors).toContain('no stored key');
  });
});

test('a key that is both in the configuration and in the store is refused, at start and at reload', async () => {
  const sidecar = await start();
  const { key } = (await admin(sidecar, 'POST', '/keys', { id: 'web', tenant: 'acme' })).json;
  await admin(sidecar, 'DELETE', '/keys/web');
  const twice = input({ authenticate: { keys: [{ id: 'again', sha256: sha256(key), tenant: 'acme' }] } });
  await expect(sidecar.sidecar.reload(configSchema.parse(twice))).rejects.toThrow('the key again');
  expect(await call(sidecar, key)).toBe('key_revoked');
  await sidecar.stop();
  await expect(startTestSidecar(twice)).rejects.toThrow('the key again');
});

test('a key of another pod with an id of the configuration opens nothing, and keeps this pod from nothing', async () => {
  const store = await openStore(path, [keyTables]);
  const theirs = { id: fixed.id, body: JSON.stringify({ id: fixed.id, tenant: 'other' }), createdMs: 1 };
  openKeyBook(store).adopt([{ ...theirs, digest: sha256('theirs'), revokedMs: null }], {
    born: 'redis',
    version: 1,
  });
  store.close();
  // By itself, somebody made it here by mistake.
  await expect(startTestSidecar(input())).rejects.toThrow(`a key with the id ${fixed.id} is in the store`);
  const sidecar = await start({ sync: { redis: 'redis://127.0.0.1:9' } });
  const answers = await Promise.all(
    ['theirs', 'a key of the configuration'].map((key) => call(sidecar, key)),
  );
  expect(answers).toEqual(['wrong_key', 'ok']);
  const again = configSchema.parse(input({ sync: { redis: 'redis://127.0.0.1:9' }, mode: 'enforce' }));
  await sidecar.sidecar.reload(again);
});

test('a key expires at its time, stored or configured', async () => {
  let wallMs = Date.parse('2026-06-01T00:00:00Z');
  const expires = '2026-06-01T02:00:00+01:00';
  const keys = [{ ...fixed, sha256: sha256('k'), expires }];
  const sidecar = await startTestSidecar(input({ authenticate: { keys } }), { wallClock: () => wallMs });
  onTestFinished(() => sidecar.stop());
  const { key } = (await admin(sidecar, 'POST', '/keys', { id: 'web', tenant: 'acme', expires })).json;
  wallMs += 3_599_999;
  expect([await call(sidecar, key), await call(sidecar, 'k')]).toEqual(['ok', 'ok']);
  wallMs += 1;
  expect([await call(sidecar, key), await call(sidecar, 'k')]).toEqual(['key_expired', 'key_expired']);
});

test('an expired or revoked key is refused even if calls without a key are allowed', async () => {
  const keys = [{ ...fixed, sha256: sha256('k'), expires: '2020-01-01T00:00:00Z' }];
  const sidecar = await start({ authenticate: { keys, anonymousTenant: 'local' } });
  const { key } = (await admin(sidecar, 'POST', '/keys', { id: 'web', tenant: 'acme' })).json;
  await admin(sidecar, 'DELETE', '/keys/web');
  expect(await Promise.all([key, 'k', 'unknown'].map((each) => call(sidecar, each)))).toEqual([
    'key_revoked',
    'key_expired',
    'ok',
  ]);
});

test('a key defines which endpoints it may use and which header names its user', async () => {
  const keys = [
    { ...fixed, id: 'embed', sha256: sha256('embed'), endpoints: ['embeddings' as const] },
    { ...fixed, id: 'own', sha256: sha256('own'), userHeader: 'X-My-User' },
    { ...fixed, id: 'none', sha256: sha256('none'), userHeader: 'none' },
  ];
  const sidecar = await start({ authenticate: { keys } });
  expect(await call(sidecar, 'embed')).toBe('endpoint_forbidden');
  expect(
    (await ask(sidecar.url, '/v1/models', { method: 'GET', headers: { 'x-api-key': 'embed' } })).status,
  ).toBe(200);
  const headers = { 'x-my-user': 'ann', 'x-sidegate-user': 'eve' };
  for (const [key, user] of [
    ['own', 'ann'],
    ['none', ''],
  ] as const) {
    expect(await call(sidecar, key, headers)).toBe('ok');
    expect((await sidecar.recordWhere(({ keyId }) => keyId === key)).user).toBe(user);
  }
  expect(await call(sidecar, 'own', { 'x-my-user': 'a b' })).toBe('invalid_header');
});

test('if the store cannot be read: 503, and configured keys still work', async () => {
  const sidecar = await start();
  const { key } = (await admin(sidecar, 'POST', '/keys', { id: 'web', tenant: 'acme' })).json;
  const { DatabaseSync } = await import('node:sqlite');
  const other = new DatabaseSync(path);
  other.exec('ALTER TABLE key RENAME TO elsewhere');
  other.close();
  expect(await call(sidecar, key)).toBe('callers_unknown');
  expect(await call(sidecar, 'a key of the configuration')).toBe('ok');
});
