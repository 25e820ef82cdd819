/** AWS keys: every request is signed over the bytes sent, with keys fetched beforehand. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createSigner, fetchKeys, fixedKeys } from '../../src/upstream/credentials/aws.ts';
import { bedrockWire } from '../support/bedrock-wire.ts';
import { ask } from '../support/client.ts';
import { anthropicWire, openaiWire, testModel } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { partsOf, signatureOf } from '../support/sigv4.ts';
import { eventually } from '../support/until.ts';
import {
  answers,
  type Call,
  refuses,
  type Script,
  startUpstream,
  type Upstream,
} from '../support/upstream.ts';

const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

// No machine that runs these tests may lend its own keys.
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
  vi.stubEnv('HOME', '/nonexistent');
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
});
afterEach(() => void vi.unstubAllEnvs());

/** Published with AWS' signing test suite. */
const vectors = [
  ['get-vanilla', 'GET', '/', '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['post-vanilla', 'POST', '/', '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  ['get-space', 'GET', '/example space/', '652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741'],
  [
    'post-vanilla-query',
    'POST',
    '/?Param1=value1',
    '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11',
  ],
] as const;

test.each(vectors)('the recomputation agrees with the published vector %s', (_, method, target, expected) => {
  const headers = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' };
  const scope = ['20150830', 'us-east-1', 'service', 'aws4_request'];
  const request = { method, target, headers, body: Buffer.alloc(0), secret };
  expect(signatureOf(request, scope, ['host', 'x-amz-date'])).toBe(expected);
});

describe('a signer', () => {
  const nowMs = Date.UTC(2026, 10, 23, 12, 0, 0);
  const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: secret };

  test.each([
    ['/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse', undefined],
    [
      '/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1234%3Ainference-profile%2Feu.x-v1%3A0/converse-stream',
      'token==',
    ],
    ['/base/model/a%20b%27%28%29/converse?x=1&a=%2F', undefined],
  ])('%s', async (path, sessionToken) => {
    const signer = createSigner(
      'a',
      fixedKeys({ ...keys, ...(sessionToken === undefined ? {} : { sessionToken }) }),
      () => nowMs,
    );
    const body = Buffer.from('{"messages":[{"content":[{"text":"Grüße 🎉"}]}]}');
    const before = ['content-type', 'application/json', 'traceparent', '00-1', 'x-amz-extra', 'a  b'];
    const flat = await signer.sign(
      'bedrock-runtime.eu-west-1.amazonaws.com',
      'eu-west-1',
      path,
      before,
      body,
    );
    expect(flat.slice(0, before.length)).toEqual(before);
    const headers: Record<string, string> = { host: 'bedrock-runtime.eu-west-1.amazonaws.com' };
    for (let at = 0; at < flat.length; at += 2) headers[flat[at] ?? ''] = flat[at + 1] ?? '';
    expect(headers['x-amz-date']).toBe('20261123T120000Z');
    expect(headers['x-amz-security-token']).toBe(sessionToken);
    expect(headers['x-amz-content-sha256']).toBe(createHash('sha256').update(body).digest('hex'));
    const { credential, signed, signature } = partsOf(headers.authorization ?? '');
    expect(credential).toEqual(['AKIDEXAMPLE', '20261123', 'eu-west-1', 'bedrock', 'aws4_request']);
    // What proxies on the way may change is not signed.
    expect(signed).not.toContain('traceparent');
    expect(signed).toEqual(
      ['content-type', 'host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))].sort(),
    );
    const request = { method: 'POST', target: path, headers, body, secret };
    expect(signatureOf(request, credential.slice(1), signed)).toBe(signature);
  });

  test('without keys a request goes unsigned', async () => {
    const none = { current: () => null, renew() {}, close() {} };
    const signer = createSigner('a', none, () => nowMs);
    expect(await signer.sign('h', 'r', '/', ['a', 'b'], Buffer.alloc(0))).toEqual(['a', 'b']);
  });
});

/** A sidecar in front of one provider with Bedrock's dialect. */
async function start(
  settings: NonNullable<ConfigInput['providers']>[string],
  ...scripts: Script[]
): Promise<{ sidecar: TestSidecar; upstream: Upstream }> {
  const upstream = await startUpstream(...scripts);
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: {
      amazon: { preset: 'bedrock', baseUrl: upstream.baseUrl.replace(/\/v1$/, ''), ...settings },
    },
    routes: [{ model: testModel, targets: [{ provider: 'amazon', model: 'eu.amazon.nova-lite-v1:0' }] }],
    attempt: { retriesMax: 2, backoffBaseMs: 0 },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  return { sidecar, upstream };
}

/** Whose key signed a request, once the signature has been recomputed from what came. */
function signedBy(call: Call | undefined, secretOf: (id: string) => string): string {
  if (call === undefined) throw new Error('nothing came');
  const headers = call.headers as Record<string, string | undefined>;
  const { credential, signed, signature } = partsOf(headers.authorization ?? '');
  const [id = '', ...scope] = credential;
  const { method, path: target, body } = call;
  expect(signatureOf({ method, target, headers, body, secret: secretOf(id) }, scope, signed)).toBe(signature);
  expect(scope.slice(1)).toEqual(['eu-west-3', 'bedrock', 'aws4_request']);
  return id;
}

const good = answers(bedrockWire, 'Bonjour');
const region = 'eu-west-3';

test('configured access keys sign whole requests and streams, in turn', async () => {
  const accessKeys = [
    { id: 'AKIDONE', secret: 'secret-AKIDONE' },
    { id: 'AKIDTWO', secret: 'secret-AKIDTWO', sessionToken: 'session' },
  ];
  const { sidecar, upstream } = await start({ accessKeys, region }, good);
  const secretOf = (id: string): string => `secret-${id}`;
  const reply = await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi') });
  expect(reply.text).toContain('Bonjour');
  const body = anthropicWire.request('Hi', { stream: true });
  expect(anthropicWire.textOf((await ask(sidecar.url, anthropicWire.path, { body })).text)).toBe('Bonjour');
  expect(upstream.calls.map((call) => signedBy(call, secretOf))).toEqual(['AKIDONE', 'AKIDTWO']);
  expect(upstream.calls.map(({ path }) => path)).toEqual([
    '/model/eu.amazon.nova-lite-v1%3A0/converse',
    '/model/eu.amazon.nova-lite-v1%3A0/converse-stream',
  ]);
  expect(upstream.calls[1]?.headers['x-amz-security-token']).toBe('session');
  expect(sidecar.logText()).not.toMatch(/secret-AKID|"session"/);
});

test('a retry is signed again; a refused key cools down, and the other one answers', async () => {
  const accessKeys = ['AKIDONE', 'AKIDTWO'].map((id) => ({ id, secret: `secret-${id}` }));
  const refusal = refuses(bedrockWire.error(403, 'The security token included in the request is invalid.'));
  const { sidecar, upstream } = await start(
    { accessKeys, region },
    refuses(bedrockWire.error(500, 'x')),
    refusal,
    good,
  );
  const reply = await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi') });
  expect(reply.text).toContain('Bonjour');
  const ids = upstream.calls.map((call) => signedBy(call, (id) => `secret-${id}`));
  expect(ids).toEqual(['AKIDONE', 'AKIDTWO', 'AKIDONE']);
});

test('a Bedrock API key is sent as a bearer token', async () => {
  const { sidecar, upstream } = await start({ apiKey: 'bedrock-api-key', region }, good);
  expect((await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi') })).status).toBe(200);
  expect(upstream.calls[0]?.headers.authorization).toBe('Bearer bedrock-api-key');
  expect(upstream.calls[0]?.headers['x-amz-date']).toBeUndefined();
});

/** An endpoint that gives keys: what it is asked, and what it answers. */
async function startEndpoint(
  answer: (
    request: IncomingMessage,
    body: string,
    count: number,
  ) => [status: number, type: string, body: string],
): Promise<{ url: string; asked: () => number }> {
  let asked = 0;
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const [status, type, text] = answer(request, body, ++asked);
    response.writeHead(status, { 'content-type': type }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked };
}

async function startFile(
  name: string,
  text: string,
): Promise<{ path: string; write(text: string): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-aws-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, name);
  const write = (changed: string): Promise<void> => writeFile(path, changed);
  await write(text);
  return { path, write };
}

const keysAs = (n: number, endMs: number): string =>
  JSON.stringify({
    AccessKeyId: `ASIA${n}`,
    SecretAccessKey: `secret-ASIA${n}`,
    Token: `token-${n}`,
    Expiration: new Date(endMs).toISOString(),
  });

test('a container’s endpoint (ECS, EKS Pod Identity) provides the keys; no request waits, and a refused key is renewed', async () => {
  const token = await startFile('token', 'pod-token');
  const endpoint = await startEndpoint((request, _, count) =>
    request.headers.authorization === 'pod-token'
      ? [200, 'application/json', keysAs(count, Date.now() + 3_600_000)]
      : [403, 'application/json', '{}'],
  );
  vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `${endpoint.url}/v1/credentials`);
  vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', token.path);
  const refusal = refuses(bedrockWire.error(403, 'The security token included in the request is expired'));
  let wallMs = Date.now();
  const upstream = await startUpstream(good, good, refusal, good);
  let nowMs = 0;
  const sidecar = await startTestSidecar(
    {
      cache: { enabled: false },
      providers: {
        amazon: {
          preset: 'bedrock',
          baseUrl: upstream.baseUrl.replace(/\/v1$/, ''),
          credential: 'aws',
          region,
        },
      },
      routes: [{ model: testModel, targets: [{ provider: 'amazon' }] }],
    },
    { wallClock: () => wallMs, clock: () => nowMs },
  );
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const send = () => ask(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi') });
  const secretOf = (id: string): string => `secret-${id}`;
  expect((await send()).status).toBe(200);
  expect((await send()).status).toBe(200);
  expect(endpoint.asked()).toBe(1);
  expect(upstream.calls.map((call) => signedBy(call, secretOf))).toEqual(['ASIA1', 'ASIA1']);
  expect(upstream.calls[0]?.headers['x-amz-security-token']).toBe('token-1');
  // Refused: others are asked for at once, and used once its rest is over.
  wallMs += 60_000;
  const refused = await send();
  expect(refused.status).toBe(502);
  expect(openaiWire.errorOf(refused.text)?.code).toBe('upstream_credential');
  await eventually(() => expect(endpoint.asked()).toBe(2));
  nowMs += 60_001;
  await eventually(async () => expect((await send()).status).toBe(200));
  expect(signedBy(upstream.calls.at(-1), secretOf)).toBe('ASIA2');
  expect(sidecar.logText()).not.toMatch(/secret-ASIA|token-1|pod-token/);
});

test('a web identity (IRSA) is exchanged at the security token service', async () => {
  const token = await startFile('token', 'web-identity-1');
  const given: URLSearchParams[] = [];
  const sts = await startEndpoint((_, body, count) => {
    given.push(new URLSearchParams(body));
    const end = new Date(Date.now() + 3_600_000).toISOString();
    const keys = `<AccessKeyId>ASIA${count}</AccessKeyId><SecretAccessKey>s${count}</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${end}</Expiration>`;
    const result = `<AssumeRoleWithWebIdentityResult><Credentials>${keys}</Credentials></AssumeRoleWithWebIdentityResult>`;
    return [
      200,
      'text/xml',
      `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">${result}</AssumeRoleWithWebIdentityResponse>`,
    ];
  });
  vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', token.path);
  vi.stubEnv('AWS_ROLE_ARN', 'arn:aws:iam::123456789012:role/model-caller');
  vi.stubEnv('AWS_REGION', 'eu-west-3');
  vi.stubEnv('AWS_ENDPOINT_URL_STS', sts.url);
  const first = await fetchKeys();
  expect(first.value).toEqual({ accessKeyId: 'ASIA1', secretAccessKey: 's1', sessionToken: 't' });
  expect(first.expiresMs).toBeGreaterThan(Date.now() + 3_000_000);
  // The platform renews the file.
  await token.write('web-identity-2');
  expect((await fetchKeys()).value.accessKeyId).toBe('ASIA2');
  expect(given.map((form) => form.get('WebIdentityToken'))).toEqual(['web-identity-1', 'web-identity-2']);
  expect(given[0]?.get('RoleArn')).toBe('arn:aws:iam::123456789012:role/model-caller');
});

test('shared files are read again each time, and the environment takes precedence', async () => {
  const profile = (n: number): string =>
    `[default]\naws_access_key_id = AKID${n}\naws_secret_access_key = s${n}\n`;
  const file = await startFile('credentials', profile(1));
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file.path);
  vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent/config');
  expect((await fetchKeys()).value).toEqual({ accessKeyId: 'AKID1', secretAccessKey: 's1' });
  await file.write(profile(2));
  expect((await fetchKeys()).value.accessKeyId).toBe('AKID2');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDENV');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'senv');
  expect(await fetchKeys()).toEqual({
    value: { accessKeyId: 'AKIDENV', secretAccessKey: 'senv' },
    expiresMs: Number.POSITIVE_INFINITY,
  });
});

test('without keys the sidecar starts and logs it, and the provider’s refusal becomes 502', async () => {
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent/credentials');
  vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent/config');
  const refusal = refuses(bedrockWire.error(403, 'Missing Authentication Token'));
  const { sidecar, upstream } = await start({ credential: 'aws', region }, refusal);
  const reply = await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('Hi') });
  expect(reply.status).toBe(502);
  expect(openaiWire.errorOf(reply.text)?.code).toBe('upstream_credential');
  expect(upstream.calls[0]?.headers.authorization).toBeUndefined();
  expect(sidecar.logText()).toMatch(/"platform":"aws".*cannot be fetched/);
});
