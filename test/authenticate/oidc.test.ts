/** Tokens of a real OpenID provider, and its keys changing under load: no request fails. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { Provider } from 'oidc-provider';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask } from '../support/client.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

const resource = 'https://sidegate.example';
const client = { client_id: 'shop', client_secret: 'a secret of the shop' };

async function makeKey(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' };
}

/** The provider with these signing keys; the first one signs. Its keys are fixed, so a rotation is a new one. */
function providerWith(issuer: string, keys: JWK[]): Provider {
  return new Provider(issuer, {
    jwks: { keys: keys as never },
    clients: [
      {
        ...client,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'chat',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
}

let current: ReturnType<Provider['callback']>;
const server = createServer((req, res) => void current(req, res));
let issuer = '';
let sidecar: TestSidecar;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  current = providerWith(issuer, [await makeKey('first')]).callback();
  sidecar = await startTestSidecar({
    authenticate: {
      anonymousTenant: undefined,
      oidc: [
        {
          id: 'provider',
          issuer,
          audience: [resource],
          type: 'at+jwt',
          cooldownMs: 100,
          tenant: 'shop',
          claims: { user: 'client_id' },
        },
      ],
    },
    cache: { enabled: false },
    providers: { sim: { preset: 'simulator' } },
    routes: [{ model: 'sim', targets: [{ provider: 'sim' }] }],
  });
});
afterAll(async () => {
  await sidecar.stop();
  server.close();
  server.closeAllConnections();
});

async function fetchToken(): Promise<string> {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ ...client, grant_type: 'client_credentials', resource, scope: 'chat' }),
  });
  const { access_token: token } = (await answer.json()) as { access_token?: string };
  if (token === undefined) throw new Error(`no token, but status ${answer.status}`);
  return token;
}

const kidOf = (token: string): string =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;

async function call(token: string): Promise<number> {
  const body = { model: 'sim', messages: [{ role: 'user', content: 'Hi' }] };
  const headers = { authorization: `Bearer ${token}` };
  return (await ask(sidecar.url, '/v1/chat/completions', { body, headers })).status;
}

test('keys change under load, and no request fails', async () => {
  const statuses: number[] = [];
  const signers = new Set<string>();
  const rotations = [
    ['second', 'first'],
    ['third', 'second'],
    ['fourth', 'third'],
  ];
  const keys = new Map([['first', await makeKey('first')]]);
  for (const kid of ['second', 'third', 'fourth']) keys.set(kid, await makeKey(kid));
  let running = true;
  /** One caller after another token, each of them asked with twice. */
  const caller = async (): Promise<void> => {
    while (running) {
      const token = await fetchToken();
      signers.add(kidOf(token));
      statuses.push(await call(token), await call(token));
    }
  };
  const callers = Array.from({ length: 20 }, caller);
  const until = async (count: number): Promise<void> => {
    while (statuses.length < count) await Promise.race([...callers, new Promise((r) => setTimeout(r, 10))]);
  };
  await until(80);
  for (const kids of rotations) {
    // All at once: what is signed from now on has a key that the sidecar has never seen.
    current = providerWith(
      issuer,
      kids.map((kid) => keys.get(kid) as JWK),
    ).callback();
    await until(statuses.length + 120);
  }
  running = false;
  await Promise.all(callers);
  expect(statuses.length).toBeGreaterThanOrEqual(400);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect(signers).toEqual(new Set(['first', 'second', 'third', 'fourth']));
  const { tenant, user } = sidecar.records()[0] ?? {};
  expect({ tenant, user }).toEqual({ tenant: 'shop', user: 'shop' });
});

test('200 callers at once with tokens of a new key wait for one fetch and pass', async () => {
  current = providerWith(issuer, [await makeKey('fifth')]).callback();
  const tokens: string[] = [];
  for (let i = 0; i < 200; i++) tokens.push(await fetchToken());
  const before = await fetches();
  const statuses = await Promise.all(tokens.map(call));
  expect(statuses.filter((status) => status === 200)).toHaveLength(200);
  expect((await fetches()) - before).toBeLessThanOrEqual(2);
});

async function fetches(): Promise<number> {
  const line = /sidegate_jwks_refreshes_total\{issuer="provider",result="ok"\} (\d+)/.exec(
    await sidecar.metrics(),
  );
  return Number(line?.[1]);
}
