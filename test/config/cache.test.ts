/** Warnings about a cache, and replies kept for repeats, that can't be what their settings say. */
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

const faults = (more: object): string[] => {
  const config = {
    authenticate: { anonymousTenant: 'a' },
    providers: {
      own: { dialect: 'openai', baseUrl: 'http://127.0.0.1:8000/v1' },
      claude: { dialect: 'anthropic', baseUrl: 'http://127.0.0.1:8000/v1' },
      theirs: { dialect: 'openai', baseUrl: 'http://127.0.0.1:8000/v1', credential: 'client' },
    },
    routes: [{ model: 'm', targets: [{ provider: 'own' }] }],
    cache: { semantic: { embedder: { model: 'm', dimensions: 384, ...more } } },
  };
  const result = parseConfig(JSON.stringify(config), {}, () => '');
  return result.ok ? [] : result.faults.map(({ path, message }) => `${path}: ${message}`);
};

describe("a cache's embedder", () => {
  const path = 'cache.semantic.embedder.';
  test.each([
    [{ provider: 'own' }, []],
    [{ provider: 'onw' }, [`${path}provider: there is no provider "onw"; did you mean "own"?`]],
    [{ provider: 'claude' }, [`${path}provider: "claude" has no embeddings: its dialect is anthropic`]],
    [
      { provider: 'theirs' },
      [`${path}provider: "theirs" has \`credential: client\`: the cache has no client's credential`],
    ],
    [
      { provider: 'own', dimensions: 5000 },
      [expect.stringMatching(/^cache\.semantic\.embedder\.dimensions/)],
    ],
    [{ provider: 'own', timeoutMs: 0 }, [expect.stringMatching(/^cache\.semantic\.embedder\.timeoutMs/)]],
  ])('%j', (embedder, expected) => expect(faults(embedder)).toEqual(expected));
});

describe('a cache', () => {
  test.each([
    [{ cache }, /^cache\.secret: has no effect without `sync\.redis`/],
    [{ cache, sync }, /^cache\.secret: needs `scrub\.secret` too/],
    [{ sync, replay: { scope: 'shared' } }, /^replay\.scope: `shared` needs `scrub\.secret` too/],
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
