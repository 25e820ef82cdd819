/** What one worker or pod knows of an entry holds in all: that it was found wrong, and how old it is. */
import { expect, test } from 'vitest';
import { type Cache, createCache } from '../../src/cache/cache.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { CacheNews } from '../../src/exchange/shared-cache.ts';
import { inspect } from '../../src/inspect/inspect.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import { createWorkerClaims } from '../../src/store/claims.ts';
import { keyOf, seal, unseal } from '../../src/sync/cache-wire.ts';
import { cacheAlone, sampleExchange, sampleIdentity, sampleReply } from '../support/samples.ts';

const config = configSchema.parse({ cache: { semantic: { mode: 'on' }, singleFlight: true } });
const policy = createScrubPolicies(config.scrub, Buffer.alloc(32)).of('acme');
const [question, reworded] = [
  'How can I change my shipping address?',
  'How do I update my delivery address?',
];
const key = keyOf('a secret of the deployment', 'stream');

function asking(text: string, headers = {}) {
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] });
  const exchange = sampleExchange({ headers, body });
  const request = inspect(exchange, policy.request, Buffer.alloc(32));
  if ('code' in request) throw new Error('refused');
  return { exchange, request, identity: sampleIdentity({ tenant: 'acme', user: 'ann' }) };
}

/** A pod whose news go to others. */
function pod(others: readonly { readonly cache: Cache }[] = []) {
  const cache = createCache(config.cache, {
    ...cacheAlone,
    peers: {
      tell(news: CacheNews) {
        const told = unseal(key, seal(key, news, 'pod', 0) ?? Buffer.alloc(0));
        for (const other of others) if (told !== null) other.cache.hear(told.news, 0, 0);
      },
    },
    openClaims: (table, onWanted) =>
      createWorkerClaims({ table, name: `${Math.random()}`, worker: 0, tell: () => {}, onWanted }),
  });
  const of = (text: string, headers = {}) => {
    const { exchange, request, identity } = asking(text, headers);
    const place = cache.place('acme', 'm');
    const scope = { policy: policy.name, routeVersion: '1', credential: '' };
    const found = cache.key(exchange, identity, request, place, scope);
    if (found === null) throw new Error('not cached');
    return { exchange, request, place, key: found, asked: cache.ask(found, exchange, request, place) };
  };
  return {
    cache,
    of,
    store(text: string) {
      const { place, key, asked } = of(text);
      cache.put({ key, place, askedMs: 0, tags: [], asked }, sampleReply('answer'), 0);
    },
    near(text: string) {
      const { key, exchange, request, place } = of(text);
      return cache.near(key, exchange, request, place, 0).hit;
    },
  };
}

test('an answer that was found wrong at one pod is not served by another one', () => {
  const two = pod();
  const one = pod([two]);
  one.store(question);
  expect([one.near(reworded)?.level, two.near(reworded)?.level]).toEqual(['semantic', 'semantic']);
  expect(one.cache.feedback('acme', 'req_sample', false)).toBe(true);
  expect([one.near(reworded), two.near(reworded)]).toEqual([null, null]);
  // To its own question the answer is right.
  expect(two.of(question).key).toBe(one.of(question).key);
  expect(two.near(`${question} Thanks!`)?.level).toBe('normalised');
});

test('what was found right stays', () => {
  const two = pod();
  const one = pod([two]);
  one.store(question);
  one.near(reworded);
  expect(one.cache.feedback('acme', 'req_sample', true)).toBe(true);
  expect(two.near(reworded)?.level).toBe('semantic');
});

test('a request that shares flights with other workers gets no reply older than it takes', async () => {
  const one = pod();
  one.store(question);
  const shared = async (maxAge: number) => {
    const { key, place, exchange } = one.of(question, { 'cache-control': `max-age=${maxAge}` });
    const seen = one.cache.share(key, place, exchange, 30_000);
    return seen.kind === 'join' ? await seen.wait(exchange.cancellation, 1000) : seen;
  };
  expect(await shared(60)).toMatchObject({ kind: 'stored' });
  expect(await shared(10)).toMatchObject({ kind: 'new' });
});
