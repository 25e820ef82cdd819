/** The catalog in the configuration: faults with their places, in it and in its own file, and reload of that file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { formatFaults } from '../../src/config/faults.ts';
import { allFaults, loadConfig } from '../../src/config/load.ts';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { runCommand } from '../support/run-command.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { type SidecarProcess, spawnSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-catalog-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type Catalog = NonNullable<ConfigInput['catalog']>;

const base = {
  authenticate: { anonymousTenant: 'a' },
  providers: {
    openai: { preset: 'openai', apiKey: 'k' },
    own: { preset: 'vllm', models: ['llama-3.1-8b', 'qwen*'] },
    sim: { preset: 'simulator', simulate: { models: ['sim-1'] } },
  },
  routes: [{ model: 'gpt-*', targets: [{ provider: 'openai' }] }],
};

/** Loads the base with a catalog and, if it names `prices.yaml`, that file's text. */
function load(catalog: unknown, prices?: string, more: object = {}): ReturnType<typeof loadConfig> {
  const path = join(folder, 'sidegate.yaml');
  writeFileSync(path, stringify({ ...base, ...more, catalog }));
  if (prices !== undefined) writeFileSync(join(folder, 'prices.yaml'), prices);
  return loadConfig(path, {});
}

const faultsOf = (result: ReturnType<typeof loadConfig>): string[] =>
  allFaults(result).map(({ file = '', path, message }) => `${file}|${path}: ${message}`);
const warningsOf = (result: ReturnType<typeof loadConfig>): string[] =>
  result.warnings.map(({ file = '', path, message }) => `${file}|${path}: ${message}`);

const price = { inputUsdPerMTok: 1, outputUsdPerMTok: 2 };

describe('an entry', () => {
  test.each([
    [{ provider: 'opnai', model: 'm', ...price }, 'provider', /no provider "opnai"; did you mean "openai"/],
    [{ provider: 'own', ...price }, 'model', /is missing/],
    [{ model: 'a*b', ...price }, 'model', /\* only at its end/],
    [{ model: 'm', inputUsdPerMTok: -1 }, 'inputUsdPerMTok', /at least 0/],
    [{ model: 'm', inputUsdPerMTok: 'free' }, 'inputUsdPerMTok', /must be a number/],
    [{ model: 'm', contextTokens: 0 }, 'contextTokens', /at least 1/],
    [{ model: 'm', capabilities: ['sight'] }, 'capabilities[0]', /not one of vision/],
    [{ model: 'm', inputUsdPerMtok: 1 }, 'inputUsdPerMtok', /did you mean "inputUsdPerMTok"/],
    [{ model: 'm' }, '', /has no facts about the model/],
  ])('%j', (entry, place, words) => {
    const inConfig = faultsOf(load({ models: [entry] }));
    const dot = place === '' ? '' : `.${place}`;
    expect(inConfig.map((text) => text.split(':')[0])).toEqual([`|catalog.models[0]${dot}`]);
    expect(inConfig[0]).toMatch(words);
    const inFile = faultsOf(load({ file: 'prices.yaml' }, stringify({ models: [entry] })));
    expect(inFile.map((text) => text.split(':')[0])).toEqual([`prices.yaml|models[0]${dot}`]);
    expect(inFile[0]).toMatch(words);
  });

  test('that is listed twice, or has no effect', () => {
    const models = [
      { provider: 'own', model: 'a', ...price },
      { provider: 'own', model: 'a', ...price },
    ];
    expect(faultsOf(load({ models }))).toEqual([
      '|catalog.models[1].model: duplicate of the model at catalog.models[0]',
    ]);
    const covered = load({
      models: [
        { model: 'a*', ...price },
        { provider: 'own', model: 'ab', ...price },
      ],
    });
    expect(faultsOf(covered)).toEqual([]);
    expect(warningsOf(covered)[0]).toMatch(
      /models\[1\]\.model: has no effect: catalog\.models\[0\] comes first/,
    );
  });

  test('with half a price is warned about if no table has the other half', () => {
    const half = (provider: string, model = 'm') =>
      warningsOf(load({ models: [{ provider, model, inputUsdPerMTok: 1 }] }));
    const incomplete = ['|catalog.models[0]: the price is incomplete: add `outputUsdPerMTok`'];
    expect(half('own')).toEqual(incomplete);
    expect(half('openai')).toEqual(incomplete);
    expect(half('openai', 'ft:gpt-4o-mini:acme::x')).toEqual(incomplete);
    expect(half('openai', 'gpt-4o')).toEqual([]);
    // Some of its models are in the table.
    expect(half('openai', 'gpt-*')).toEqual([]);
    expect(half('*')).toEqual([]);
  });
});

describe('the file', () => {
  test('comes after the entries of the configuration', () => {
    const models: Catalog['models'] = [{ model: 'first', ...price }];
    const result = load(
      { file: 'prices.yaml', models },
      stringify({ models: [{ model: 'second', ...price }] }),
    );
    expect(faultsOf(result)).toEqual([]);
    expect(result.ok && result.config.catalog.models.map(({ model }) => model)).toEqual(['first', 'second']);
  });

  test('is named in its faults, with line and column', () => {
    const text = 'models:\n  - provider: openai\n    model: m\n    inputUsdPerMTok: dear\n    prise: 1\n';
    const result = load({ file: 'prices.yaml' }, text);
    expect(formatFaults('sidegate.yaml', allFaults(result))).toBe(
      'prices.yaml:4:22 models[0].inputUsdPerMTok: must be a number, not text\n' +
        'prices.yaml:5:5 models[0].prise: there is no such setting; the settings here are provider, model, inputUsdPerMTok, ' +
        'outputUsdPerMTok, cachedInputUsdPerMTok, cacheWriteUsdPerMTok, usdPerSearchUnit, contextTokens, outputMaxTokens, capabilities',
    );
  });

  test.each([
    ['that is missing', undefined, '|catalog.file', /there is no such file/],
    ['that is empty', '', 'prices.yaml|', /the file is empty: it needs `models`/],
    ['that is a list', '- a\n', 'prices.yaml|', /must be a mapping/],
    ['that is no YAML', 'models: [\n', 'prices.yaml|', /bracket/],
    [
      'with another key',
      'models: []\nfile: x\n',
      'prices.yaml|file',
      /no such setting; the settings here are models/,
    ],
  ])('%s', (_, text, place, words) => {
    const faults = faultsOf(load({ file: 'prices.yaml' }, text));
    expect(faults.length).toBe(1);
    expect(faults[0]?.split(':')[0]).toBe(place);
    expect(faults[0]).toMatch(words);
  });

  test('with a fault leaves the configuration usable, with the entries that are kept', () => {
    const models: Catalog['models'] = [{ model: 'first', ...price }];
    const path = join(folder, 'sidegate.yaml');
    writeFileSync(path, stringify({ ...base, catalog: { file: 'prices.yaml', models } }));
    writeFileSync(join(folder, 'prices.yaml'), 'models: nonsense\n');
    const kept = [{ provider: '*', model: 'second', ...price }];
    const names = (result: ReturnType<typeof loadConfig>): unknown =>
      result.ok && result.config.catalog.models.map(({ model }) => model);
    expect(names(loadConfig(path, {}, false, kept))).toEqual(['first', 'second']);
    expect(names(loadConfig(path, {}))).toEqual(['first']);
  });

  test('with a fault is refused by a check', async () => {
    const path = join(folder, 'sidegate.yaml');
    writeFileSync(path, stringify({ ...base, catalog: { file: 'prices.yaml' } }));
    const { code, err } = await runCommand(['check', path]);
    expect(code).toBe(1);
    expect(err).toContain('catalog.file: the file it names cannot be used');
  });
});

describe('a model that no provider has', () => {
  const routed = (model: string, provider: string, own?: string) =>
    faultsOf(load({}, undefined, { routes: [{ model, targets: [{ provider, model: own }] }] }));

  test.each([
    ['llama-3.1-8b', 'own', undefined],
    ['x', 'own', 'qwen-2'],
    ['qwen*', 'own', undefined],
    ['llama*', 'own', undefined],
    ['own/*', 'own', '*'],
    ['sim-1', 'sim', undefined],
    ['anything', 'openai', undefined],
  ])('%s at %s as %s is served', (model, provider, own) => {
    expect(routed(model, provider, own)).toEqual([]);
  });

  test.each([
    [
      'llama-3.1-80b',
      'own',
      undefined,
      'routes[0].model',
      /no model "llama-3.1-80b"; did you mean "llama-3.1-8b"/,
    ],
    ['x', 'own', 'gpt', 'routes[0].targets[0].model', /the provider has no model "gpt"/],
    ['mistral*', 'own', undefined, 'routes[0].model', /no model "mistral\*"/],
    ['sim-2', 'sim', undefined, 'routes[0].model', /did you mean "sim-1"/],
    ['x', 'openai', 'gpt-*', 'routes[0].targets[0].model', /only if the route's model does/],
  ])('%s at %s as %s is refused', (model, provider, own, place, words) => {
    const faults = routed(model, provider, own);
    expect(faults.map((text) => text.split(':')[0])).toEqual([`|${place}`]);
    expect(faults[0]).toMatch(words);
  });
});

describe('while it runs', () => {
  /** A sidecar whose model `m` has a price in a file only, and what a request to it costs. */
  async function start(text: string) {
    const prices = join(folder, 'prices.yaml');
    writeFileSync(prices, text);
    const upstream = await startUpstream(answers(openaiWire, 'hello'));
    onTestFinished(() => upstream.close());
    const sidecar: SidecarProcess = await spawnSidecar(
      stringify({
        authenticate: { anonymousTenant: 'a' },
        listen: { port: 0 },
        admin: { port: 0 },
        cache: { enabled: false },
        providers: { p: { dialect: 'openai', baseUrl: upstream.baseUrl } },
        routes: [{ model: 'm', targets: [{ provider: 'p' }] }],
        catalog: { file: prices },
      }),
    );
    onTestFinished(() => sidecar.stop().then(() => {}));
    return {
      write: (next: string) => writeFileSync(prices, next),
      lines: () =>
        sidecar
          .output()
          .split('\n')
          .filter((line) => line.includes('catalog file')),
      sees: (pattern: RegExp) => sidecar.outputMatching(pattern),
      metric: async () =>
        /^sidegate_catalog_file_ok (\d)/m.exec(
          await (await fetch(`${sidecar.adminUrl}/metrics`)).text(),
        )?.[1],
      async cost(): Promise<unknown> {
        const body = openaiWire.request('hi', { model: 'm' });
        const { status, headers } = await ask(sidecar.url, openaiWire.path, { body });
        expect(status).toBe(200);
        return headers['x-sidegate-cost-usd'];
      },
    };
  }

  const priced = (usd: number): string =>
    stringify({ models: [{ model: 'm', inputUsdPerMTok: usd, outputUsdPerMTok: usd }] });
  const refused = /"level":50.*"reason":"[^"]*prices.yaml:1:\d+ models.*the catalog file cannot be used/;

  test('a file that becomes nonsense changes no price, and is said once', async () => {
    const sidecar = await start(priced(1000));
    const before = await sidecar.cost();
    expect(Number(before)).toBeGreaterThan(0);
    expect(await sidecar.metric()).toBe('1');
    sidecar.write('models: nonsense\n');
    await sidecar.sees(refused);
    expect(await sidecar.cost()).toBe(before);
    expect(await sidecar.metric()).toBe('0');
    sidecar.write(priced(2000));
    await sidecar.sees(/"level":30.*nothing is wrong with the catalog file any more/);
    expect(Number(await sidecar.cost())).toBeCloseTo(2 * Number(before), 9);
    expect(await sidecar.metric()).toBe('1');
    expect(sidecar.lines()).toHaveLength(2);
  });

  test('a file that is nonsense at the start stops no request; its prices apply once it is corrected', async () => {
    const sidecar = await start('models: nonsense\n');
    await sidecar.sees(refused);
    expect(await sidecar.metric()).toBe('0');
    // Nobody knows the price.
    expect(Number((await sidecar.cost()) ?? 0)).toBe(0);
    sidecar.write(priced(1000));
    await sidecar.sees(/nothing is wrong with the catalog file any more/);
    expect(Number(await sidecar.cost())).toBeGreaterThan(0);
  });
});
