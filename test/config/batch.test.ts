/** What `check` says of the batch queue and of self-hosted engines. */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadConfig, parseConfig } from '../../src/config/load.ts';

const own = { dialect: 'openai', baseUrl: 'http://127.0.0.1:8000/v1' };
const targets = (...names: string[]): object[] => names.map((provider) => ({ provider }));

function check(more: object, route: object, providers: object = {}) {
  const config = {
    authenticate: { anonymousTenant: 'a' },
    providers: { vllm: { ...own, engine: 'vllm' }, other: own, ...providers },
    routes: [{ model: 'm', targets: targets('vllm', 'other'), ...route }],
    ...more,
  };
  const result = parseConfig(JSON.stringify(config), {}, () => '');
  return {
    faults: result.ok ? [] : result.faults.map(({ path, message }) => `${path}: ${message}`),
    warnings: result.warnings.map(({ path, message }) => `${path}: ${message}`),
  };
}

const overflow = { queueDepth: 8 };
const least = { strategy: 'least_loaded', overflow };

describe('refused', () => {
  test.each([
    ['an overflow of another strategy', { overflow }, {}, /^routes\[0\]\.overflow: has no effect without/],
    [
      'no own engine',
      { ...least, targets: targets('other') },
      {},
      /^routes\[0\]\.overflow: no target is a self-hosted engine/,
    ],
    [
      'no hosted target',
      { ...least, targets: targets('vllm') },
      {},
      /^routes\[0\]\.overflow: all targets are self-hosted/,
    ],
    ['an unknown engine', {}, { x: { ...own, engine: 'vlm' } }, /^providers\.x\.engine: .*vllm/],
    ['a probe of nothing', {}, { x: { ...own, probe: {} } }, /^providers\.x\.probe: has no effect without/],
    ['an unknown class', { priority: 'night' }, {}, /^routes\[0\]\.priority: .*batch/],
    ['an unknown strategy', { strategy: 'best' }, {}, /^routes\[0\]\.strategy: .*least_loaded/],
    [
      'a negative depth',
      { ...least, overflow: { queueDepth: -1 } },
      {},
      /^routes\[0\]\.overflow\.queueDepth: /,
    ],
  ])('%s', (_, route, providers, fault) => {
    const { faults } = check({}, route, providers);
    expect(faults).toEqual([expect.stringMatching(fault)]);
  });

  test.each([
    ['own', ['vllm', 'other'], /all targets are self-hosted/],
    ['hosted', ['other', 'vllm'], null],
  ])('an overflow whose other target is a route that asks %s first', (_, nested, fault) => {
    const routes = [
      { model: 'm', ...least, targets: [...targets('vllm'), { route: 'pool' }] },
      { model: 'pool', targets: targets(...nested) },
    ];
    expect(check({ routes }, {}).faults).toEqual(fault === null ? [] : [expect.stringMatching(fault)]);
  });

  test('a share that allows no request', () => {
    expect(check({ batch: { interactiveShare: 0 } }, {}).faults).toEqual([
      expect.stringMatching(/^batch\.interactiveShare: /),
    ]);
  });

  test('a fault elsewhere causes no second one', () => {
    const { faults } = check({}, { ...least, targets: targets('vlm', 'vllm') });
    expect(faults).toEqual([expect.stringMatching(/no provider "vlm"/)]);
  });
});

describe('a warning', () => {
  test('a queue that can use up all connections', () => {
    expect(check({ batch: { queueMax: 4096 } }, {}).warnings).toEqual([
      expect.stringMatching(/^batch\.queueMax: each waiting request holds a connection/),
    ]);
    expect(check({ listen: { connectionsMax: 500 } }, {}).warnings).toEqual([
      expect.stringMatching(/^listen\.connectionsMax: each/),
    ]);
    expect(check({ batch: { queueMax: 4095 } }, {}).warnings).toEqual([]);
  });
});

test('the vLLM example is valid', () => {
  const path = fileURLToPath(new URL('../../deploy/vllm.example.yaml', import.meta.url));
  const result = loadConfig(path, { OPENAI_API_KEY: 'k' });
  expect(result.ok ? [] : result.faults).toEqual([]);
  expect(result.warnings).toEqual([]);
});
