/** Configurations that load: defaults, variables, secrets, keys, warnings, the published schema. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isStringOneByteRepresentation } from 'node:v8';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { type ConfigResult, loadConfig, parseConfig } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import {
  changed,
  digest,
  env,
  listed,
  load,
  read,
  secretText,
  valid,
  warned,
} from '../support/config-samples.ts';
import { cpuMs } from '../support/time.ts';

describe('a valid configuration', () => {
  it('is loaded with defaults, variables and secrets', () => {
    const result = load(stringify(valid));
    expect(listed(result)).toEqual([]);
    if (!result.ok) return;
    expect(result.warnings).toEqual([]);
    expect(result.config.providers.openai?.apiKey).toBe(secretText);
    expect(result.config.providers.anthropic?.apiKey).toBe(secretText);
    expect(result.config.listen.port).toBe(4100);
    expect(result.config.attempt.breaker.failures).toBe(5);
  });

  it.each([
    ['listen.port', '${PORT}', 4321],
    ['listen.port', '${NONE:-7}', 7],
    ['listen.port', '${EMPTY:-8}', 8],
    ['cache.enabled', '${FLAG}', false],
    ['attempt.retriesMax', '${NONE:-2}', 2],
    ['providers.own.baseUrl', 'https://x.example/v1//', 'https://x.example/v1'],
    ['providers.own.baseUrl', 'http://127.0.0.1:${PORT}/v1', 'http://127.0.0.1:4321/v1'],
    ['providers.own.headers', { 'x-a': '$${KEY} $KEY' }, { 'x-a': '${KEY} $KEY' }],
    ['providers.own.headers', { 'x-a': 'file:/run/key' }, { 'x-a': secretText }],
    ['providers.own.apiKey', 'file:/run/key', secretText],
    ['observe.digestKey', 'file:/run/key', secretText],
    [
      'observe.otlp',
      { headers: { authorization: 'file:/run/key' } },
      expect.objectContaining({ headers: { authorization: secretText } }),
    ],
    ['sync', { redis: 'redis://h', ca: 'file:/run/key' }, expect.objectContaining({ ca: secretText })],
    [
      'observe',
      {
        ledger: { path: '/tmp/ledger.db' },
        sinks: { webhook: { url: 'https://x.example/', secret: 'file:/run/key' } },
      },
      expect.objectContaining({
        sinks: expect.objectContaining({ webhook: expect.objectContaining({ secret: secretText }) }),
      }),
    ],
    ['observe.digestKey', 'a ${TENANT} b', 'a acme b'],
    ['authenticate.anonymousTenant', '${TENANT}', 'acme'],
    [
      'listen.allowedHosts',
      ['App.Example', '[fe80::1]', '10.0.0.1'],
      ['app.example', '[fe80::1]', '10.0.0.1'],
    ],
    ['listen.allowedOrigins', ['https://App.Example:8443'], ['https://app.example:8443']],
    ['listen.socket', '/run/sidegate.sock', '/run/sidegate.sock'],
    [
      'providers.constructor',
      { preset: 'simulator' },
      { preset: 'simulator', credential: 'gateway', headers: {}, passHeaders: [], passthrough: false },
    ],
    ['providers.own.simulate', undefined, undefined],
    ['providers.sim.simulate.replyTokens', '${PORT}', 4321],
  ])('takes %s: %j', (path, value, expected) => {
    const result = load(changed(path, value));
    expect(listed(result)).toEqual([]);
    const config = result.ok ? (result.config as unknown) : null;
    expect(path.split('.').reduce((at, step) => (at as Record<string, unknown>)[step], config)).toEqual(
      expected,
    );
  });

  it('keeps a secret from adding YAML', () => {
    const result = load(changed('observe.digestKey', '${ODD}'));
    expect(result.ok && result.config.observe.digestKey).toBe(env.ODD);
  });

  it('lets aliases repeat a whole value', () => {
    const text = `${stringify(valid)}observe: { log: info }\ncache: &c { enabled: false }\n`;
    expect(load(text).ok).toBe(true);
    const shared = stringify(valid).replace('openai:\n    preset: openai', 'openai: &o\n    preset: openai');
    const result = load(shared.replace('  own:\n', '  other: *o\n  own:\n'));
    expect(listed(result)).toEqual([]);
    expect(result.ok && result.config.providers.other?.apiKey).toBe(secretText);
  });

  it.each([
    [env, false],
    [{ ...env, PORT: undefined }, true],
  ])('lets an alias repeat a number from the environment', (variables, assumes) => {
    const text = `${stringify(valid)}batch: { queueMax: &n "\${PORT}", deadlineMs: *n }\n`;
    const result = parseConfig(text, variables, read, assumes);
    expect(listed(result)).toEqual([]);
    if (!assumes)
      expect(result.ok && result.config.batch).toMatchObject({ queueMax: 4321, deadlineMs: 4321 });
  });

  it('takes a catalog file and an address as there, whose names are not known here', () => {
    const text = `${stringify(valid)}catalog: { file: "\${PRICES}" }\nadmin: { host: "\${ADDRESS}" }\n`;
    const result = parseConfig(text, { ...env, PRICES: undefined }, read, true);
    expect([listed(result), result.warnings]).toEqual([[], []]);
    const faults = result.ok ? result.fromCatalogFile.faults : result.faults;
    expect(faults).toEqual([]);
  });

  it('reads a secret once, even if it looks like the name of a file', () => {
    const text = changed('providers.own.apiKey', 'file:/run/odd');
    const shared = text.replace('own:\n', 'own: &o\n').replace('  sim:\n', '  other: *o\n  sim:\n');
    const result = load(shared);
    expect(listed(result)).toEqual([]);
    expect(result.ok && result.config.providers.other?.apiKey).toBe('file:/run/key');
  });

  it('may begin with a byte order mark and end its lines in CRLF', () => {
    const result = load(`\ufeff${stringify(valid).replaceAll('\n', '\r\n')}`);
    expect(listed(result)).toEqual([]);
  });

  it('accepts the example and the Kubernetes config map', () => {
    const keys = { OPENAI_API_KEY: 'a', ANTHROPIC_API_KEY: 'b' };
    const example = loadConfig(
      fileURLToPath(new URL('../../deploy/sidegate.example.yaml', import.meta.url)),
      keys,
    );
    expect(listed(example)).toEqual([]);
    expect(example.warnings).toEqual([]);
    const manifest = readFileSync(new URL('../../deploy/kubernetes.yaml', import.meta.url), 'utf8').split(
      /^---$/m,
    );
    const map = parse(manifest[1] ?? '') as { data: Record<string, string> };
    const inner = parseConfig(map.data['sidegate.yaml'] ?? '', {}, () => 'sk');
    expect(listed(inner)).toEqual([]);
    expect(warned(inner)).toEqual([expect.stringMatching(/^admin\.host: "0\.0\.0\.0" is not loopback/)]);
  });
});

describe('several keys', () => {
  it('stand beside the one, and each may be in a file or the environment', () => {
    const result = load(changed('providers.openai.apiKeys', ['other', 'file:/run/odd']));
    expect(listed(result)).toEqual([]);
    if (result.ok) expect(result.config.providers.openai?.apiKeys).toEqual(['other', 'file:/run/key']);
    const alone = load(
      changed('providers.anthropic', { preset: 'anthropic', apiKeys: ['file:/run/key', '${TENANT}'] }),
    );
    if (alone.ok) expect(alone.config.providers.anthropic?.apiKeys).toEqual([secretText, 'acme']);
    expect(listed(alone)).toEqual([]);
  });

  it('are refused beside the client’s own', () => {
    const text = stringify({
      authenticate: { anonymousTenant: 't' },
      providers: { own: { preset: 'openai', credential: 'client', apiKeys: ['k'] } },
      routes: [{ model: '*', targets: [{ provider: 'own' }] }],
    });
    expect(listed(load(text))).toEqual([
      'providers.own.apiKeys: has no effect together with `credential: client`: remove one of them',
    ]);
  });
});

describe('a warning', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['listen.host', '0.0.0.0', 'listen.host', /not loopback/],
    ['admin.host', '::', 'admin.host', /not loopback/],
    [
      'limits.0.match',
      { tenant: 'acne' },
      'limits[0].match.tenant',
      /no key belongs to the tenant "acne"; did you mean "acme"/,
    ],
    [
      'providers.own',
      { dialect: 'openai', baseUrl: 'http://x.example/v1', apiKey: 'k' },
      'providers.own.baseUrl',
      /unencrypted/,
    ],
    [
      'providers.own',
      { dialect: 'openai', baseUrl: 'http://x.example/v1', apiKeys: ['k'] },
      'providers.own.baseUrl',
      /unencrypted/,
    ],
    [
      'routes.0.targets',
      [{ provider: 'own' }, { provider: 'own', model: 'small' }],
      'routes[0].targets',
      /all targets are at the provider "own": if it is down/,
    ],
  ])('%s = %j', (place, value, path, words) => {
    const result = load(changed(place, value));
    expect(listed(result)).toEqual([]);
    expect(result.warnings.map((warning) => warning.path)).toEqual([path]);
    expect(result.warnings[0]?.message).toMatch(words);
    expect(result.warnings[0]?.line).toBeGreaterThan(1);
  });

  it('is not given for what only this machine reaches', () => {
    expect(warned(load(changed('listen.host', '127.0.0.9')))).toEqual([]);
    expect(warned(load(changed('listen', { host: '0.0.0.0', socket: '/run/s' })))).toEqual([]);
  });
});

describe('many keys', () => {
  it('load in little more than the time YAML itself takes', () => {
    const keys = Array.from({ length: 10_000 }, (_, i) => [
      `    - id: key-${i}`,
      `      sha256: ${digest(`key ${i}`)}`,
      `      tenant: tenant-${i % 50}`,
    ]);
    const base = stringify({ ...valid, authenticate: undefined });
    const text = `${base}authenticate:\n  keys:\n${keys.flat().join('\n')}\n`;
    let result: ConfigResult | null = null;
    const [loads, parses] = [[], []] as [number[], number[]];
    for (let round = 0; round < 2; round++) {
      loads.push(cpuMs(() => (result = load(text))));
      parses.push(cpuMs(() => parse(text)));
    }
    const [loadMs, parseMs] = [Math.min(...loads), Math.min(...parses)];
    console.log(`10,000 keys: loaded in ${loadMs.toFixed(0)} ms, YAML alone ${parseMs.toFixed(0)} ms`);
    expect(result).toMatchObject({ ok: true });
    expect(loadMs).toBeLessThan(parseMs * 3);
    // A fault at the far end is found without a second, slower reading.
    const faultyMs = cpuMs(() => (result = load(`${text}x: 1\n`)));
    expect(listed(result as unknown as ConfigResult)).toHaveLength(1);
    expect(faultyMs).toBeLessThan(parseMs * 4);
  });
});

describe('the published schema', () => {
  it('is the generated one, and knows the keys of the example', () => {
    const text = readFileSync(new URL('../../deploy/sidegate.schema.json', import.meta.url), 'utf8');
    const published = JSON.parse(text) as { properties: Record<string, { anyOf?: unknown }> };
    const made = z.toJSONSchema(configSchema, { io: 'input' });
    expect(Object.keys(published.properties)).toEqual(Object.keys(made.properties ?? {}));
    const example = parse(
      readFileSync(new URL('../../deploy/sidegate.example.yaml', import.meta.url), 'utf8'),
    ) as object;
    for (const key of Object.keys(example)) expect(published.properties).toHaveProperty(key);
    expect(published).toHaveProperty('properties.listen.properties.port.anyOf.1.type', 'string');
  });
});

it.each([
  ['the plain reader', 'model: bench-model-of-some-length # 一'],
  ['the full parser', 'model: !!str bench-model-of-some-length'],
  ['quotes and the environment', 'model: "bench-${ONE}"'],
])('a character beyond Latin-1 widens none of the others: %s', (_, model) => {
  const text = `# …
authenticate: { anonymousTenant: acme }
providers:
  sim: { preset: simulator }
routes:
  - ${model}
    targets: [{ provider: sim, model: 模型 }]
`;
  const result = parseConfig(text, { ONE: '一model-of-some-length'.slice(1) }, () => {
    throw new Error('no file');
  });
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  const [route] = result.config.routes;
  expect(route?.model).toBe('bench-model-of-some-length');
  expect(isStringOneByteRepresentation(route?.model ?? '…')).toBe(true);
  expect(JSON.stringify(route)).toContain('模型');
});
