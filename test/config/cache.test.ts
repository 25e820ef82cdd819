/** Warnings about a cache that can't be what its settings say. */
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';

const warnings = (more: object): string[] => {
  const config = {
    authenticate: { anonymousTenant: 'a' },
    providers: { own: { dialect: 'openai', baseUrl: 'http://127.0.0.1:8000/v1' } },
    routes: [{ model: 'm', targets: [{ provider: 'own' }] }],
    ...more,
  };
  const result = parseConfig(JSON.stringify(config), {}, () => '');
  return result.warnings.map(({ path, message }) => `${path}: ${message}`);
};

const cache = { secret: '0123456789abcdef' };
const sync = { redis: 'redis://127.0.0.1:6379' };

describe('a cache', () => {
  test.each([
    [{ cache }, /^cache\.secret: has no effect without `sync\.redis`/],
    [{ cache, sync }, /^cache\.secret: needs `scrub\.secret` too/],
    [
      { cache: { routes: { nowhere: { semantic: 'off' } } } },
      /^cache\.routes\.nowhere: no route has this `model`/,
    ],
  ])('%j is warned of', (text, warning) => {
    expect(warnings(text)).toEqual([expect.stringMatching(warning)]);
  });

  test('that all pods can share is not', () => {
    expect(warnings({ cache, sync, scrub: { secret: 'fedcba9876543210' } })).toEqual([]);
  });
});
