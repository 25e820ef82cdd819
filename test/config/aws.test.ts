/** Bedrock in the configuration: what is taken, secrets from files, and faults with their places. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { configSchema } from '../../src/config/schema.ts';
import { createProvider } from '../../src/upstream/provider.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-aws-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function load(provider: unknown, env: Record<string, string> = {}): ReturnType<typeof loadConfig> {
  const path = join(folder, 'sidegate.yaml');
  const config = {
    authenticate: { anonymousTenant: 'a' },
    providers: { p: provider },
    routes: [{ model: 'm', targets: [{ provider: 'p' }] }],
  };
  writeFileSync(path, stringify(config));
  return loadConfig(path, env);
}

const keys = { id: 'AKIDONE', secret: 's1' };
const own = { dialect: 'bedrock', baseUrl: 'https://models.internal' };

describe('what is accepted', () => {
  test.each([
    ['a key of its own', { preset: 'bedrock', apiKey: 'k' }],
    ['the machine’s keys', { preset: 'bedrock', credential: 'aws' }],
    ['the machine’s keys in a region', { preset: 'bedrock', credential: 'aws', region: 'eu-west-3' }],
    ['access keys', { preset: 'bedrock', accessKeys: [keys, { ...keys, id: 'AKIDTWO' }] }],
    ['access keys beside the machine’s', { preset: 'bedrock', credential: 'aws', accessKeys: [keys] }],
    [
      'an endpoint of one’s own that names its region',
      { ...own, baseUrl: 'https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com', credential: 'aws' },
    ],
    ['an endpoint with its region beside it', { ...own, credential: 'aws', region: 'eu-west-1' }],
    ['the simulator', { preset: 'simulator-bedrock' }],
  ])('%s', (_, provider) => {
    expect(load(provider)).toMatchObject({ ok: true, warnings: [] });
  });

  test('access keys from the environment and from files', () => {
    writeFileSync(join(folder, 'secret'), 'from-file\n');
    const accessKeys = [{ id: '${AWS_ID}', secret: `file:${join(folder, 'secret')}` }];
    const result = load({ preset: 'bedrock', accessKeys }, { AWS_ID: 'AKIDENV' });
    if (!result.ok) throw new Error(JSON.stringify(result.faults));
    expect(result.config.providers.p?.accessKeys).toEqual([{ id: 'AKIDENV', secret: 'from-file' }]);
  });
});

describe('a fault', () => {
  test.each([
    [{ preset: 'bedrock' }, 'providers.p', /apiKey: \$\{AWS_BEARER_TOKEN_BEDROCK\}.*`credential: aws`/],
    [{ preset: 'bedrock', credential: 'aws', apiKey: 'k' }, 'providers.p.apiKey', /`credential: aws`/],
    [
      { preset: 'bedrock', accessKeys: [keys], apiKeys: ['k'] },
      'providers.p.apiKeys',
      /together with `accessKeys`/,
    ],
    [{ preset: 'bedrock', credential: 'client', accessKeys: [keys] }, 'providers.p.accessKeys', /client/],
    [{ preset: 'bedrock', credential: 'google' }, 'providers.p.credential', /cannot be `google`/],
    [
      { preset: 'bedrock', accessKeys: [keys, keys] },
      'providers.p.accessKeys[1].id',
      /duplicate of the access key/,
    ],
    [
      { preset: 'bedrock', accessKeys: [{ ...keys, id: 'a b' }] },
      'providers.p.accessKeys[0].id',
      /a header cannot carry/,
    ],
    [{ preset: 'bedrock', accessKeys: [{ id: 'a' }] }, 'providers.p.accessKeys[0].secret', /missing/],
    [{ preset: 'bedrock', apiKey: 'k', region: 'Paris!' }, 'providers.p.region', /such as eu-central-1/],
    [{ ...own, credential: 'aws' }, 'providers.p', /needs `region`/],
    [{ ...own, accessKeys: [keys] }, 'providers.p', /needs `region`/],
    [
      { preset: 'bedrock', accessKeys: [keys], passthrough: true },
      'providers.p.passthrough',
      /nothing of the bedrock dialect is passed on/,
    ],
    [{ preset: 'openai', credential: 'aws' }, 'providers.p.credential', /providers of dialect bedrock only/],
    [{ preset: 'openai', apiKey: 'k', region: 'eu-west-1' }, 'providers.p.region', /no effect/],
    [{ preset: 'openai', apiKey: 'k', accessKeys: [keys] }, 'providers.p.accessKeys', /no effect/],
  ])('%j', (provider, place, words) => {
    const result = load(provider);
    const faults = result.ok ? [] : result.faults;
    expect(faults.map(({ path }) => path)).toEqual([place]);
    expect(faults[0]?.message).toMatch(words);
    expect(JSON.stringify(faults)).not.toContain('AKIDONE');
  });
});

test.each([
  [{}, 'https://bedrock-runtime.us-east-1.amazonaws.com'],
  [{ region: 'ap-northeast-1' }, 'https://bedrock-runtime.ap-northeast-1.amazonaws.com'],
  [{ region: 'cn-north-1' }, 'https://bedrock-runtime.cn-north-1.amazonaws.com.cn'],
  [{ region: 'eu-west-1', baseUrl: 'https://x.example/base' }, 'https://x.example/base'],
])('the endpoint of %j', (more, expected) => {
  const config = configSchema.parse({ providers: { p: { preset: 'bedrock', apiKey: 'k', ...more } } });
  const settings = config.providers.p;
  if (settings === undefined) throw new Error('no provider');
  expect(createProvider('p', settings, config.attempt, null).baseUrl).toBe(expected);
});
