/** Access tokens through a sidecar: each rule by name, keys that come and go, and an issuer that is down. */
import { createHmac } from 'node:crypto';
import { exportSPKI, importJWK, type JWTPayload } from 'jose';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { metricIn } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import {
  audience,
  makeSigningKey,
  type SigningKey,
  startIssuer,
  type TestIssuer,
} from '../support/issuer.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { until } from '../support/until.ts';

let key: SigningKey;
let issuer: TestIssuer;
let sidecar: TestSidecar;

const serving = (authenticate: ConfigInput['authenticate'], more: ConfigInput = {}): ConfigInput => ({
  authenticate: { anonymousTenant: undefined, ...authenticate },
  providers: { sim: { preset: 'simulator' } },
  routes: [{ model: 'sim', targets: [{ provider: 'sim' }] }],
  ...more,
});

beforeAll(async () => {
  key = await makeSigningKey('k1');
  issuer = await startIssuer(key);
  sidecar = await startTestSidecar(serving({ oidc: [issuer.entry({ algorithms: ['RS256', 'ES256'] })] }));
});
afterAll(async () => {
  await sidecar.stop();
  await issuer.stop();
});

/** Asks with a token; gives the status, and the error's code and message. */
async function call(token: string, to: TestSidecar = sidecar, headers: Record<string, string> = {}) {
  const body = { model: 'sim', messages: [{ role: 'user', content: 'Hi' }] };
  const reply = await ask(to.url, '/v1/chat/completions', {
    body,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  const error = reply.status === 200 ? null : JSON.parse(reply.text).error;
  return {
    status: reply.status,
    code: error?.code ?? '',
    message: error?.message ?? '',
    id: reply.headers['x-request-id'],
    headers: reply.headers,
  };
}

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const inSeconds = (s: number): number => Math.floor(Date.now() / 1000) + s;
const right = (): JWTPayload => ({
  iss: issuer.url,
  aud: audience,
  sub: 'ann',
  tenant: 'acme',
  exp: inSeconds(300),
});

describe('a token', () => {
  test('that is valid passes, and its claims name the caller', async () => {
    const { status, id } = await call(await issuer.token(key));
    expect(status).toBe(200);
    const record = await sidecar.recordWhere(({ requestId }) => requestId === id);
    expect(record).toMatchObject({ tenant: 'acme', user: 'ann', team: '', keyId: 'idp' });
  });

  test('may come as x-api-key, as the Anthropic SDK sends it', async () => {
    const reply = await ask(sidecar.url, '/v1/models', {
      method: 'GET',
      headers: { 'x-api-key': await issuer.token(key, { jti: 'models' }) },
    });
    expect(reply.status).toBe(200);
  });

  test('lets no header name another user', async () => {
    const { id } = await call(await issuer.token(key), sidecar, { 'x-sidegate-user': 'eve' });
    const record = await sidecar.recordWhere(({ requestId }) => requestId === id);
    expect(record.user).toBe('ann');
  });

  /** Each rule, the token that breaks it, and the code that says so. */
  const broken: [string, () => Promise<string>, string][] = [
    ['alg none', async () => `${base64({ alg: 'none' })}.${base64(right())}.`, 'token_algorithm'],
    [
      'alg none with the key id',
      async () => `${base64({ alg: 'none', kid: 'k1' })}.${base64(right())}.`,
      'token_algorithm',
    ],
    ['HS256 signed with the public key', hsWithPublicKey, 'token_algorithm'],
    [
      'an algorithm not listed',
      async () => issuer.token(await makeSigningKey('k1', 'PS256')),
      'token_algorithm',
    ],
    ["another key's signature", async () => issuer.token(await makeSigningKey('k1')), 'token_signature'],
    [
      'an algorithm that its key is not for',
      async () => issuer.token(await makeSigningKey('k1', 'ES256')),
      'token_unknown_key',
    ],
    ['changed claims', changedClaims, 'token_signature'],
    [
      'no signature',
      async () => `${(await issuer.token(key)).split('.').slice(0, 2).join('.')}.`,
      'token_signature',
    ],
    ['expired', () => issuer.token(key, { exp: inSeconds(-60) }), 'token_expired'],
    ['not yet valid', () => issuer.token(key, { nbf: inSeconds(120) }), 'token_not_yet_valid'],
    ['no exp', () => issuer.token(key, { exp: undefined }), 'token_claims'],
    ['an exp that is text', () => issuer.token(key, { exp: 'never' as never }), 'token_claims'],
    ['wrong audience', () => issuer.token(key, { aud: 'strangers' }), 'token_audience'],
    ['no audience', () => issuer.token(key, { aud: undefined }), 'token_audience'],
    ['wrong issuer', () => issuer.token(key, { iss: 'https://evil.example' }), 'token_issuer'],
    ['no issuer', () => issuer.token(key, { iss: undefined }), 'token_issuer'],
    ['unknown kid', async () => issuer.token(await makeSigningKey('other')), 'token_unknown_key'],
    ['oversized', () => issuer.token(key, { more: 'x'.repeat(9000) }), 'token_oversized'],
    ['no tenant', () => issuer.token(key, { tenant: undefined }), 'token_claims'],
    ['a tenant that is no name', () => issuer.token(key, { tenant: '' }), 'token_claims'],
    ['a user that is no text', () => issuer.token(key, { sub: { a: 1 } as never }), 'token_claims'],
    ['not base64', async () => 'eyJ???.eyJ.x', 'token_malformed'],
    ['no JSON', async () => `${Buffer.from('{"').toString('base64url')}.e30.x`, 'token_malformed'],
    ['encrypted', async () => `${base64({ alg: 'dir', enc: 'A256GCM' })}..a.b.c`, 'token_malformed'],
    ['a critical header nobody knows', () => issuer.token(key, {}, { crit: ['x'], x: 1 }), 'token_malformed'],
  ];

  async function hsWithPublicKey(): Promise<string> {
    const pem = await exportSPKI(
      (await importJWK({ ...key.publicJwk }, 'RS256', { extractable: true })) as never,
    );
    const text = `${base64({ alg: 'HS256', kid: 'k1' })}.${base64(right())}`;
    return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
  }

  async function changedClaims(): Promise<string> {
    const [head, , signature] = (await issuer.token(key)).split('.');
    return `${head}.${base64({ ...right(), tenant: 'other' })}.${signature}`;
  }

  test.each(broken)('%s: 401 that says so, and nothing of the token', async (_, make, code) => {
    const token = await make().catch((cause: unknown) => {
      // jose itself refuses to sign a critical header it doesn't know.
      if (code !== 'token_malformed') throw cause;
      return `${base64({ alg: 'RS256', kid: 'k1', crit: ['x'], x: 1 })}.${base64(right())}.AAAA`;
    });
    const refused = await call(token);
    expect(refused).toMatchObject({ status: 401, code });
    expect(refused.headers['x-should-retry']).toBe('false');
    for (const secret of [token, ...token.split('.'), 'strangers', 'evil', 'acme', 'ann'].filter(
      (part) => part.length > 2,
    ))
      expect(refused.message).not.toContain(secret);
    expect(sidecar.logText()).not.toContain(token);
    expect(await sidecar.metrics()).toContain(
      `sidegate_auth_refusals_total{reason="${code}",outcome="refused"}`,
    );
  });

  test('within the clock skew passes on both ends', async () => {
    expect((await call(await issuer.token(key, { exp: inSeconds(-10) }))).status).toBe(200);
    expect((await call(await issuer.token(key, { nbf: inSeconds(10) }))).status).toBe(200);
  });

  test('that is not a token is a wrong key', async () => {
    expect((await call('sk-other')).code).toBe('wrong_key');
  });
});

test('a verified token is known until it expires, not longer', async () => {
  let wallMs = Date.now();
  const own = await startTestSidecar(serving({ oidc: [issuer.entry({ clockSkewSeconds: 0 })] }), {
    wallClock: () => wallMs,
  });
  onTestFinished(() => own.stop());
  const token = await issuer.token(key, { exp: Math.floor(wallMs / 1000) + 100 });
  expect((await call(token, own)).status).toBe(200);
  wallMs += 98_000;
  expect((await call(token, own)).status).toBe(200);
  wallMs += 3000;
  expect((await call(token, own)).code).toBe('token_expired');
});

test('nested claims, tags, lists of models and endpoints, and a required type', async () => {
  const entry = issuer.entry({
    claims: { tenant: ['org', 'name'], team: 'groups.team', user: 'email', tags: 'scope' },
    models: ['other'],
    endpoints: ['embeddings'],
    type: 'at+jwt',
  });
  const own = await startTestSidecar(serving({ oidc: [entry] }, { mode: 'observe' }));
  onTestFinished(() => own.stop());
  const claims = { org: { name: 'beta' }, 'groups.team': 'core', email: 'ann@x.example', scope: 'a b:c' };
  const { status, id, headers } = await call(await issuer.token(key, claims, { typ: 'at+jwt' }), own);
  expect(status).toBe(200);
  const record = await own.recordWhere(({ requestId }) => requestId === id);
  expect(record).toMatchObject({ tenant: 'beta', team: 'core', user: 'ann@x.example', tags: 'a,b:c' });
  expect(headers['x-sidegate-observed']).toBe('endpoint_forbidden,model_forbidden');
  const untyped = await call(await issuer.token(key, claims), own);
  expect(untyped.headers['x-sidegate-observed']).toBe('token_claims');
});

describe('keys', () => {
  /** How often keys were fetched. */
  const refreshes = async (own: TestSidecar): Promise<number> =>
    metricIn(await own.metrics(), 'sidegate_jwks_refreshes_total', { issuer: 'idp', result: 'ok' }) ?? 0;

  test('that are new are fetched when a token first names them; many tokens share one fetch', async () => {
    const idp = await startIssuer(key);
    onTestFinished(() => idp.stop());
    const own = await startTestSidecar(serving({ oidc: [idp.entry({ cooldownMs: 100 })] }));
    onTestFinished(() => own.stop());
    const old = await idp.token(key);
    expect((await call(old, own)).status).toBe(200);
    const before = idp.fetches;
    const next = await makeSigningKey('k2', 'ES256');
    idp.keys = [next.publicJwk];
    const tokens = await Promise.all(Array.from({ length: 20 }, (_, i) => idp.token(next, { jti: `${i}` })));
    const replies = await Promise.all(tokens.map((token) => call(token, own)));
    expect(replies.map(({ status }) => status)).toEqual(tokens.map(() => 200));
    expect(idp.fetches - before).toBeLessThanOrEqual(2);
    // The old key is gone, but a token that was checked with it stays known.
    expect((await call(old, own)).status).toBe(200);
    expect((await call(await idp.token(key, { jti: 'new' }), own)).code).toBe('token_unknown_key');
  });

  test("that don't exist cause no more fetches than the cooldown allows", async () => {
    const idp = await startIssuer(key);
    onTestFinished(() => idp.stop());
    const own = await startTestSidecar(serving({ oidc: [idp.entry({ cooldownMs: 600_000, waitMs: 50 })] }));
    onTestFinished(() => own.stop());
    await until(async () => (await refreshes(own)) > 0);
    expect((await call(await idp.token(key), own)).status).toBe(200);
    const stranger = await makeSigningKey('k9');
    const tokens = await Promise.all(
      Array.from({ length: 30 }, (_, i) => idp.token(stranger, {}, { kid: `x${i}` })),
    );
    const replies = await Promise.all(tokens.map((token) => call(token, own)));
    expect(new Set(replies.map(({ code }) => code))).toEqual(new Set(['token_unknown_key']));
    expect(idp.fetches).toBe(1);
  });

  test('are fetched in the background before they are needed', async () => {
    const idp = await startIssuer(key);
    onTestFinished(() => idp.stop());
    const own = await startTestSidecar(serving({ oidc: [idp.entry({ refreshSeconds: 1, waitMs: 0 })] }));
    onTestFinished(() => own.stop());
    await idp.fetched(1);
    const next = await makeSigningKey('k2', 'EdDSA');
    idp.keys.push(next.publicJwk);
    // The third fetch began after the second was over.
    await idp.fetched(idp.fetches + 2);
    // It waits for no fetch, so the key must be there already.
    expect((await call(await idp.token(next), own)).status).toBe(200);
    expect(await refreshes(own)).toBeGreaterThanOrEqual(2);
  });

  test('stay in use while the issuer is down', async () => {
    const idp = await startIssuer(key);
    onTestFinished(() => idp.stop());
    const jwksUrl = `${idp.url}/jwks`;
    const own = await startTestSidecar(serving({ oidc: [idp.entry({ refreshSeconds: 1, jwksUrl })] }));
    onTestFinished(() => own.stop());
    expect((await call(await idp.token(key), own)).status).toBe(200);
    idp.status = 500;
    await idp.fetched(idp.fetches + 2);
    expect((await call(await idp.token(key, { jti: 'later' }), own)).status).toBe(200);
    expect(await own.metrics()).toContain('sidegate_jwks_refreshes_total{issuer="idp",result="failed"}');
    expect(own.logText().match(/keys cannot be fetched/g)).toHaveLength(1);
  });

  test('that could never be fetched: 503, and the gateway is ready otherwise', async () => {
    const idp = await startIssuer(key);
    onTestFinished(() => idp.stop());
    idp.status = 500;
    const own = await startTestSidecar(serving({ oidc: [idp.entry({ waitMs: 50 })] }));
    onTestFinished(() => own.stop());
    expect(await call(await idp.token(key), own)).toMatchObject({ status: 503, code: 'callers_unknown' });
    expect((await fetch(`${own.adminUrl}/readyz`)).status).toBe(200);
  });

  test('that are secret, private or invalid are not used', async () => {
    const idp = await startIssuer(key);
    onTestFinished(() => idp.stop());
    const secret = Buffer.from('a secret that is shared by both').toString('base64url');
    const unusable = { ...key.publicJwk, kid: 'unusable', n: 'AQAB' };
    idp.keys = [{ kty: 'oct', k: secret, kid: 'oct' }, null as never, 5 as never, unusable, key.publicJwk];
    const own = await startTestSidecar(serving({ oidc: [idp.entry({ waitMs: 50 })] }));
    onTestFinished(() => own.stop());
    await until(async () => (await refreshes(own)) > 0);
    const text = `${base64({ alg: 'HS256', kid: 'oct' })}.${base64({ ...right(), iss: idp.url })}`;
    const forged = `${text}.${createHmac('sha256', Buffer.from(secret, 'base64url')).update(text).digest('base64url')}`;
    expect((await call(forged, own)).code).toBe('token_algorithm');
    expect((await call(await idp.token(key, {}, { kid: 'unusable' }), own)).status).toBe(401);
    const list = { method: 'GET', headers: { 'x-api-key': await idp.token(key, {}, { kid: 'unusable' }) } };
    expect((await ask(own.url, '/v1/models', list)).status).toBe(401);
    expect((await call(await idp.token(key), own)).status).toBe(200);
  });

  test('of an issuer removed by a reload are dropped, with its tokens', async () => {
    const idp = await startIssuer(key);
    onTestFinished(() => idp.stop());
    const input = serving({ oidc: [idp.entry()] });
    const own = await startTestSidecar(input);
    onTestFinished(() => own.stop());
    const token = await idp.token(key);
    expect((await call(token, own)).status).toBe(200);
    const { configSchema } = await import('../../src/config/schema.ts');
    await own.sidecar.reload(configSchema.parse(serving({ anonymousTenant: undefined, keys: [] })));
    expect((await call(token, own)).code).toBe('wrong_key');
    await own.sidecar.reload(configSchema.parse(serving({ oidc: [idp.entry({ audience: ['other'] })] })));
    expect((await call(token, own)).code).toBe('token_audience');
  });
});
