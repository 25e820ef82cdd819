/** Entra ID tokens: each way to get one, from servers on loopback; renewed from changing files, sent to Azure. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { silent } from '../../src/base/telemetry.ts';
import { realWorld } from '../../src/base/world.ts';
import { configSchema } from '../../src/config/schema.ts';
import { fetchToken, resourceOf } from '../../src/upstream/credentials/azure.ts';
import { createUpstreams } from '../../src/upstream/upstreams.ts';
import { ask } from '../support/client.ts';
import { openaiWire, testModel } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

interface Asked {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: URLSearchParams;
}

/** A server that gives tokens. @param give status and body for each request, by its number */
async function tokenServer(
  give: (index: number) => readonly [status: number, body: unknown],
): Promise<{ origin: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((req, res) => {
    let text = '';
    req.on('data', (chunk) => (text += chunk));
    req.on('end', () => {
      asked.push({ url: req.url ?? '', headers: req.headers, body: new URLSearchParams(text) });
      const [status, body] = give(asked.length - 1);
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const granted = (value: string): [number, unknown] => [
  200,
  { access_token: value, token_type: 'Bearer', expires_in: 3600 },
];
const here = 'https://cognitiveservices.azure.com';
const scope = `${here}/.default`;
const names = [
  'AZURE_TENANT_ID',
  'AZURE_CLIENT_ID',
  'AZURE_CLIENT_SECRET',
  'AZURE_FEDERATED_TOKEN_FILE',
  'AZURE_AUTHORITY_HOST',
  'AZURE_POD_IDENTITY_AUTHORITY_HOST',
  'IDENTITY_ENDPOINT',
  'IDENTITY_HEADER',
];
const environment = (values: Readonly<Record<string, string>>): void => {
  for (const name of names) vi.stubEnv(name, values[name] ?? '');
};
beforeEach(() => {
  environment({});
  return () => vi.unstubAllEnvs();
});

async function tokenFile(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-azure-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'token');
  await writeFile(path, text);
  return path;
}

describe('each way to get a token', () => {
  test('workload identity: the assertion is the file’s content at that time', async () => {
    const { origin, asked } = await tokenServer((index) => granted(`t${index}`));
    const path = await tokenFile('first.assertion.x\n');
    environment({
      AZURE_TENANT_ID: 'my-tenant',
      AZURE_CLIENT_ID: 'my-client',
      AZURE_FEDERATED_TOKEN_FILE: path,
      AZURE_AUTHORITY_HOST: `${origin}/`,
    });
    const token = await fetchToken(here);
    expect(token.value).toBe('t0');
    expect(token.expiresMs - Date.now()).toBeGreaterThan(3_500_000);
    await writeFile(path, 'second.assertion.x');
    expect((await fetchToken(here)).value).toBe('t1');
    expect(asked.map(({ url }) => url)).toEqual(Array(2).fill('/my-tenant/oauth2/v2.0/token'));
    expect(Object.fromEntries(asked[0]?.body ?? [])).toEqual({
      grant_type: 'client_credentials',
      scope,
      client_id: 'my-client',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: 'first.assertion.x',
    });
    expect(asked[1]?.body.get('client_assertion')).toBe('second.assertion.x');
  });

  test('a client secret', async () => {
    const { origin, asked } = await tokenServer(() => granted('by-secret'));
    environment({
      AZURE_TENANT_ID: 'my-tenant',
      AZURE_CLIENT_ID: 'my-client',
      AZURE_CLIENT_SECRET: 's3cret~+/=',
      AZURE_AUTHORITY_HOST: origin,
    });
    expect((await fetchToken(here)).value).toBe('by-secret');
    expect(Object.fromEntries(asked[0]?.body ?? [])).toEqual({
      grant_type: 'client_credentials',
      scope,
      client_id: 'my-client',
      client_secret: 's3cret~+/=',
    });
  });

  const endS = String(Math.floor(Date.now() / 1000) + 7200);

  test('a managed identity of a virtual machine', async () => {
    const { origin, asked } = await tokenServer(() => [200, { access_token: 'by-imds', expires_on: endS }]);
    environment({ AZURE_POD_IDENTITY_AUTHORITY_HOST: origin, AZURE_CLIENT_ID: 'mine' });
    expect(await fetchToken(here)).toEqual({ value: 'by-imds', expiresMs: Number(endS) * 1000 });
    const { url = '', headers } = asked[0] ?? {};
    const { pathname, searchParams } = new URL(url, origin);
    expect(pathname).toBe('/metadata/identity/oauth2/token');
    expect(Object.fromEntries(searchParams)).toEqual({
      'api-version': '2018-02-01',
      resource: 'https://cognitiveservices.azure.com',
      client_id: 'mine',
    });
    expect(headers?.metadata).toBe('true');
  });

  test('a managed identity of App Service', async () => {
    const { origin, asked } = await tokenServer(() => [200, { access_token: 'by-app', expires_on: endS }]);
    environment({ IDENTITY_ENDPOINT: `${origin}/msi/token`, IDENTITY_HEADER: 'platform-secret' });
    expect((await fetchToken(here)).value).toBe('by-app');
    const { url = '', headers } = asked[0] ?? {};
    expect(url).toBe('/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com');
    expect(headers?.['x-identity-header']).toBe('platform-secret');
  });

  test.each([
    ['https://own.openai.azure.us/openai/v1', 'us'],
    ['https://own.cognitiveservices.azure.cn/openai/v1', 'cn'],
    ['https://own.azure-api.us/openai', 'us'],
    ['https://own.openai.azure.com/openai/v1', 'com'],
    ['https://llm.example.us/openai', 'com'],
  ])('the token for %s is of its cloud', async (baseUrl, cloud) => {
    const { origin, asked } = await tokenServer(() => granted('t'));
    environment({
      AZURE_TENANT_ID: 't',
      AZURE_CLIENT_ID: 'c',
      AZURE_CLIENT_SECRET: 's',
      AZURE_AUTHORITY_HOST: origin,
    });
    await fetchToken(resourceOf(baseUrl));
    expect(asked[0]?.body.get('scope')).toBe(`https://cognitiveservices.azure.${cloud}/.default`);
  });

  test.each([
    ['https://login.microsoftonline.us/', 'us'],
    ['https://login.chinacloudapi.cn', 'cn'],
    ['https://login.microsoftonline.com', 'com'],
  ])('behind a name of one’s own, the token is of the cloud of %s', async (authority, cloud) => {
    const { origin, asked } = await tokenServer(() => [200, { access_token: 't', expires_on: endS }]);
    environment({ AZURE_POD_IDENTITY_AUTHORITY_HOST: origin, AZURE_AUTHORITY_HOST: authority });
    await fetchToken(resourceOf('https://llm.internal/openai/v1'));
    const { searchParams } = new URL(asked[0]?.url ?? '', origin);
    expect(searchParams.get('resource')).toBe(`https://cognitiveservices.azure.${cloud}`);
  });

  test.each([
    ['a refusal', [400, { error: 'invalid_client', error_description: 'AADSTS700016' }]],
    ['a failure', [500, {}]],
    ['no token', [200, { token_type: 'Bearer' }]],
  ] as const)('%s is a failure, and says nothing of the secret', async (_, answer) => {
    const { origin } = await tokenServer(() => answer);
    const secret = 's3cret';
    environment({
      AZURE_TENANT_ID: 't',
      AZURE_CLIENT_ID: 'c',
      AZURE_CLIENT_SECRET: secret,
      AZURE_AUTHORITY_HOST: origin,
    });
    const failure = await fetchToken(here).catch((cause: unknown) => cause);
    expect(failure).toBeInstanceOf(Error);
    expect(String(failure)).not.toContain(secret);
    environment({ AZURE_POD_IDENTITY_AUTHORITY_HOST: origin });
    await expect(fetchToken(here)).rejects.toThrow('managed identity');
  });
});

const azureIn = (cloud: string) => ({
  preset: 'azure',
  baseUrl: `https://own.openai.azure.${cloud}/openai/v1`,
  credential: 'azure' as const,
});

test('providers of one cloud have one token, which a reload keeps while no other is to be had', async () => {
  let up = true;
  const { origin, asked } = await tokenServer(() => (up ? granted('kept') : [503, {}]));
  environment({
    AZURE_TENANT_ID: 't',
    AZURE_CLIENT_ID: 'c',
    AZURE_CLIENT_SECRET: 's',
    AZURE_AUTHORITY_HOST: origin,
  });
  const upstreams = createUpstreams(realWorld, silent);
  onTestFinished(() => upstreams.close());
  const azure = azureIn('com');
  await upstreams.update(configSchema.parse({ providers: { one: azure, two: azure } }));
  expect(asked).toHaveLength(1);
  up = false;
  const changed = { ...azure, headers: { 'x-team': 'web' } };
  await upstreams.update(configSchema.parse({ providers: { one: changed, three: azure } }));
  for (const name of ['one', 'three'])
    expect(upstreams.provider(name)?.credentials[0]?.headers).toContain('Bearer kept');
});

test('providers wait for their tokens together, not one after another', async () => {
  const held: (() => void)[] = [];
  let over = 0;
  const identity = createServer((_, res) => {
    res.on('close', () => over++);
    held.push(() => res.writeHead(404).end());
    identity.emit('asked');
  });
  await once(identity.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void identity.close());
  const { port } = identity.address() as AddressInfo;
  environment({ AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://127.0.0.1:${port}` });
  const providers = Object.fromEntries(['com', 'us', 'cn'].map((cloud) => [cloud, azureIn(cloud)]));
  const config = configSchema.parse({ providers });
  const upstreams = createUpstreams(realWorld, silent);
  onTestFinished(() => upstreams.close());
  const started = upstreams.update(config);
  while (held.length < 3) await once(identity, 'asked');
  expect(over).toBe(0);
  for (const answer of held) answer();
  expect([...(await started).keys()]).toEqual(['com', 'us', 'cn']);
});

test('requests carry the token; without one they are sent without, and the log says what to check', async () => {
  const { origin } = await tokenServer(() => granted('entra-token'));
  const upstream = await startUpstream(answers(openaiWire, 'From Azure'));
  const base = upstream.baseUrl.replace(/\/v1$/, '/openai/v1');
  environment({
    AZURE_TENANT_ID: 't',
    AZURE_CLIENT_ID: 'c',
    AZURE_FEDERATED_TOKEN_FILE: await tokenFile('an.assertion.x'),
    AZURE_AUTHORITY_HOST: origin,
  });
  const config = {
    cache: { enabled: false },
    providers: { azure: { preset: 'azure', baseUrl: base, credential: 'azure' as const } },
    routes: [{ model: testModel, targets: [{ provider: 'azure' }] }],
  };
  const sidecar = await startTestSidecar(config);
  vi.stubEnv('AZURE_FEDERATED_TOKEN_FILE', '/nonexistent/token-file');
  const lost = await startTestSidecar(config);
  onTestFinished(async () => {
    await Promise.all([sidecar.stop(), lost.stop()]);
    await upstream.close();
  });
  const post = (url: string) => ask(url, openaiWire.path, { body: openaiWire.request('Hi') });
  expect((await post(sidecar.url)).text).toContain('From Azure');
  expect((await post(lost.url)).status).toBe(200);
  const [first, second] = upstream.calls;
  expect([first?.headers.authorization, first?.headers['api-key']]).toEqual([
    'Bearer entra-token',
    undefined,
  ]);
  expect(second?.headers.authorization).toBeUndefined();
  expect(lost.logText()).toMatch(/"platform":"azure".*cannot be fetched/);
  expect(sidecar.logText()).not.toContain('entra-token');
});
