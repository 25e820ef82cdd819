/** The presets: each row is valid, and its requests reach the right path with the right credential. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isLoopback } from '../../src/base/node-http.ts';
import { hasTable } from '../../src/catalog/prices.ts';
import { demoBanner, demoConfig } from '../../src/commands/demo.ts';
import { isPattern, type Preset, presets } from '../../src/dialects/presets.ts';
import { bedrockWire } from '../support/bedrock-wire.ts';
import { ask as post } from '../support/client.ts';
import { cohereWire } from '../support/cohere-wire.ts';
import { readDocument } from '../support/documents.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { anthropicWire, openaiWire, testModel, type Wire } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream, type Upstream } from '../support/upstream.ts';

const rows = Object.entries(presets);
const real = rows.filter((row): row is [string, Preset & { baseUrl: string }] => row[1].baseUrl !== null);

describe('every row', () => {
  test('there are at least thirty, hosted and self-hosted', () => {
    const local = real.filter(([, { baseUrl }]) => isLoopback(new URL(baseUrl).hostname));
    expect(local.length).toBeGreaterThanOrEqual(6);
    expect(real.length - local.length).toBeGreaterThanOrEqual(24);
  });

  test.each(real)('%s', (name, { baseUrl, docs, credentialEnv, prices }) => {
    const { protocol, hostname, search, hash } = new URL(baseUrl);
    expect(protocol === 'https:' || isLoopback(hostname)).toBe(true);
    // Vertex takes the machine's own credential.
    if (name !== 'vertex') expect(credentialEnv === null).toBe(isLoopback(hostname));
    expect(credentialEnv ?? 'A_KEY').toMatch(/^[A-Z][A-Z0-9_]*_(KEY|TOKEN|TOKEN_BEDROCK)$/);
    expect([baseUrl.endsWith('/'), search, hash]).toEqual([false, '', '']);
    expect(docs).toMatch(/^https:\/\/[a-z0-9.-]+\/[^ ]*$/);
    if (prices !== null) expect(hasTable(prices)).toBe(true);
  });

  test('no two have the same URL and dialect, except for servers that share a local port', () => {
    const places = real.flatMap(([, { dialect, baseUrl }]) =>
      isLoopback(new URL(baseUrl).hostname) ? [] : [`${dialect} ${baseUrl}`],
    );
    expect(new Set(places).size).toBe(places.length);
  });

  test('the page on adding one shows the last row as the source has it', () => {
    const [row = ''] = readDocument('docs/internals/adding-a-provider.md').fences.flatMap(({ text }) =>
      text.includes("'openai-responses'") ? [text.trim()] : [],
    );
    expect(row).not.toBe('');
    const source = readFileSync(new URL('../../src/dialects/presets.ts', import.meta.url), 'utf8');
    expect(source).toContain(row);
  });

  test('no model of the demo belongs to two presets', () => {
    const models = rows.flatMap(([, preset]) => preset.models);
    expect(new Set(models).size).toBe(models.length);
    for (const model of models) {
      const wider = models.filter((other) => other !== model && model.startsWith(other.replace(/\*$/, '')));
      expect([model, wider]).toEqual([model, []]);
    }
  });
});

describe('through the sidecar', () => {
  let upstream: Upstream;
  let sidecar: TestSidecar;
  const wires: Readonly<Partial<Record<string, Wire>>> = {
    anthropic: anthropicWire,
    gemini: geminiWire,
    responses: responsesWire,
  };
  /** What a client of the preset's dialect speaks, or OpenAI's where it has none. */
  const wireOf = (preset: Preset): Wire => wires[preset.dialect] ?? openaiWire;
  const prediction = JSON.stringify({ id: 'p', status: 'succeeded', output: ['ok'], error: null });

  beforeAll(async () => {
    upstream = await startUpstream((call) => {
      if (call.path.endsWith('/predictions'))
        return call.whole(201, { 'content-type': 'application/json' }, prediction);
      const wire = Object.entries({
        '/messages': anthropicWire,
        ':generateContent': geminiWire,
        '/v2/chat': cohereWire,
        '/converse': bedrockWire,
        '/responses': responsesWire,
      }).find(([end]) => call.path.endsWith(end));
      return answers(wire?.[1] ?? openaiWire, 'ok')(call);
    });
    const { origin } = new URL(upstream.baseUrl);
    const moved = (baseUrl: string): string => origin + new URL(baseUrl).pathname.replace(/\/$/, '');
    sidecar = await startTestSidecar({
      cache: { enabled: false },
      providers: Object.fromEntries(
        real.map(([name, { baseUrl, credentialEnv }]) => [
          name,
          {
            preset: name,
            baseUrl: moved(baseUrl),
            ...(credentialEnv === null ? {} : { apiKey: `key-of-${name}` }),
          },
        ]),
      ),
      routes: real.map(([name]) => ({ model: `${name}/*`, targets: [{ provider: name, model: '*' }] })),
    });
  });
  afterAll(async () => {
    await sidecar.stop();
    await upstream.close();
  });

  const ask = async (name: string, preset: Preset) => {
    const wire = wireOf(preset);
    const body = wire.request('Hello', { model: `${name}/owner/model-1` });
    // Where the path names the model, its slash is written as one of a name.
    const path = wire.path.replace(testModel, encodeURIComponent(`${name}/owner/model-1`));
    const reply = await post(sidecar.url, path, { body });
    const call = upstream.calls.at(-1);
    if (call === undefined) throw new Error('nothing was asked');
    return { reply, call };
  };

  test.each(real)('%s', async (name, preset) => {
    const { reply, call } = await ask(name, preset);
    expect(reply.status).toBe(200);
    const path = new URL(preset.baseUrl).pathname.replace(/\/$/, '');
    const { authorization, 'x-api-key': apiKey, 'x-goog-api-key': googleKey } = call.headers;
    const key = preset.credentialEnv === null ? undefined : `key-of-${name}`;
    if (preset.dialect === 'gemini') {
      expect(call.path).toMatch(/\/models\/owner(?:\/|%2F)model-1:generateContent$/);
      expect(call.path.startsWith(path)).toBe(true);
      return expect([authorization, googleKey]).toEqual([undefined, key]);
    }
    if (preset.dialect === 'bedrock') {
      expect(call.path).toBe('/model/owner%2Fmodel-1/converse');
      return expect([authorization, apiKey]).toEqual([`Bearer ${key}`, undefined]);
    }
    const ends: Readonly<Record<string, string>> = {
      anthropic: '/messages',
      responses: '/responses',
      cohere: '/chat',
      replicate: '/models/owner/model-1/predictions',
    };
    const deployment = preset.quirks.deployments === true ? '/deployments/owner%2Fmodel-1' : '';
    expect(call.path).toBe(path + deployment + (ends[preset.dialect] ?? '/chat/completions'));
    if (preset.dialect !== 'replicate') expect(call.json.model).toBe('owner/model-1');
    if (preset.quirks.apiKeyHeader === true)
      return expect([authorization, call.headers['api-key']]).toEqual([undefined, key]);
    const inKey = preset.dialect === 'anthropic' && preset.quirks.bearer !== true;
    expect([authorization, apiKey]).toEqual(
      inKey ? [undefined, key] : [key === undefined ? undefined : `Bearer ${key}`, undefined],
    );
  });
});

describe('a provider without stream_options', () => {
  let upstream: Upstream;
  let sidecar: TestSidecar;
  // Such a provider tells usage in the event that has the finish reason.
  const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
  const event = (delta: object, rest: object = {}): string =>
    `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: null, ...rest }] })}\n\n`;
  const last = event({}, { finish_reason: 'stop' }).replace(
    /\}\n\n$/,
    `,"usage":${JSON.stringify(usage)}}\n\n`,
  );

  beforeAll(async () => {
    upstream = await startUpstream((call) => {
      call.streamHead();
      call.end(event({ role: 'assistant', content: 'ok' }) + last + openaiWire.end);
    });
    sidecar = await startTestSidecar({
      cache: { enabled: false },
      providers: { mistral: { preset: 'mistral', baseUrl: upstream.baseUrl, apiKey: 'k' } },
      routes: [{ model: 'm', targets: [{ provider: 'mistral' }] }],
    });
  });
  afterAll(async () => {
    await sidecar.stop();
    await upstream.close();
  });

  const messages = '"messages":[{"role":"user","content":"\\"stream_options\\": hello"}]';
  test.each([
    [
      'is not asked for usage',
      `{"model":"m","stream":true,${messages}}`,
      `{"model":"m","stream":true,${messages}}`,
    ],
    [
      'loses it in the middle',
      `{"model":"m", "stream_options" : {"include_usage":true} ,"stream":true,${messages}}`,
      `{"model":"m" ,"stream":true,${messages}}`,
    ],
    [
      'loses it in front',
      `{"stream_options":{"include_usage":false} , "model":"m","stream":true,${messages}}`,
      `{ "model":"m","stream":true,${messages}}`,
    ],
    [
      'loses it at the end',
      `{"model":"m","stream":true,${messages},"stream_options":null}`,
      `{"model":"m","stream":true,${messages}}`,
    ],
  ])('%s, and is counted anyway', async (_, body, sent) => {
    const reply = await post(sidecar.url, '/v1/chat/completions', { body });
    expect(reply.status).toBe(200);
    expect(openaiWire.textOf(reply.text)).toBe('ok');
    expect(upstream.calls.at(-1)?.body.toString()).toBe(sent);
    const id = reply.headers['x-request-id'];
    const record = await sidecar.recordWhere(({ requestId }) => requestId === id);
    expect(record).toMatchObject({ inputTokens: 7, outputTokens: 3 });
  });
});

describe('the demo', () => {
  const keys = {
    ...Object.fromEntries(rows.map(([name, { credentialEnv }]) => [credentialEnv ?? '', `k-${name}`])),
    AZURE_OPENAI_ENDPOINT: 'https://my-resource.openai.azure.com/',
  };
  const sidecar = { dataUrl: 'http://127.0.0.1:1', adminUrl: 'http://127.0.0.1:2', simulated: ['simulator'] };
  const banner = (env: Record<string, string>): string =>
    demoBanner(demoConfig(env), sidecar as unknown as Parameters<typeof demoBanner>[1], 'sidegate');

  test('has a line for each provider, and no line too long to read', () => {
    const lines = banner(keys)
      .split('\n')
      .filter((line) => !line.includes('curl'));
    const widths = lines.map((line) => line.length);
    expect(Math.max(...widths)).toBeLessThanOrEqual(132);
    for (const [name, { credentialEnv, quirks }] of real)
      expect([name, lines.filter((line) => line.startsWith(`    ${name} `)).length]).toEqual([
        name,
        // A deployment needs the version of its API, which no variable tells.
        credentialEnv === null || quirks.deployments === true ? 0 : 1,
      ]);
  });

  test('serves Azure only if its endpoint is in the environment', () => {
    const { AZURE_OPENAI_ENDPOINT: _, ...unplaced } = keys;
    expect(demoConfig(unplaced).providers).not.toHaveProperty('azure');
    expect(demoConfig(keys).providers.azure?.baseUrl).toBe('https://my-resource.openai.azure.com/openai/v1');
    expect(real.filter(([, preset]) => isPattern(preset)).map(([name]) => name)).toEqual([
      'azure',
      'azure-responses',
      'azure-deployments',
    ]);
  });

  test('names each missing key once', () => {
    const text = banner({ OPENAI_API_KEY: 'k' });
    const words = text.split(/\s+/);
    for (const key of new Set(rows.flatMap(([, { credentialEnv }]) => credentialEnv ?? [])))
      expect([key, words.filter((word) => word === key).length]).toEqual([
        key,
        key === 'OPENAI_API_KEY' ? 0 : 1,
      ]);
  });
});
