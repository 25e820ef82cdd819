/** Stage cache: what separates answers, what may be kept, and for how long. */
import type { IncomingHttpHeaders } from 'node:http';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Answered, type Cache, createCache as createCacheWith } from '../../src/cache/cache.ts';
import { type CacheKey, type CacheScope, cacheControl } from '../../src/cache/key.ts';
import type { Place } from '../../src/cache/places.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { endpoints } from '../../src/exchange/endpoint.ts';
import type { Identity } from '../../src/exchange/identity.ts';
import type { ModelRequest } from '../../src/exchange/request.ts';
import { createScrubPolicies, type ScrubPolicy } from '../../src/scrub/policy.ts';
import { createReplyStore, everyone } from '../../src/store/replies.ts';
import {
  cacheAlone,
  type ExchangeSample,
  sampleExchange,
  sampleIdentity,
  sampleReply,
  sampleRequest,
} from '../support/samples.ts';

const createCache = (config: Config['cache']): Cache => createCacheWith(config, cacheAlone);
const settings = (cache: Partial<Config['cache']> = {}): Config['cache'] =>
  configSchema.parse({ cache }).cache;
const policyOf = (email: 'tokenise' | 'off'): ScrubPolicy =>
  createScrubPolicies(configSchema.parse({ scrub: { request: { email } } }).scrub, Buffer.alloc(32)).of(
    'acme',
  );
const masking = policyOf('tokenise');

/** The only place of most tests. */
const at = (cache: Cache): Place => cache.place('acme', 'm');

/** A request without a question that others may ask. */
const answered = (key: CacheKey, place: Place, askedMs = 0, tags: readonly string[] = []): Answered => ({
  key,
  place,
  askedMs,
  tags,
  asked: null,
});

interface Asked {
  readonly exchange?: ExchangeSample;
  readonly identity?: Partial<Identity>;
  readonly request?: Partial<ModelRequest> & { text?: string };
  readonly scope?: Partial<CacheScope>;
}

function keyOf(cache: Cache, { exchange, identity, request, scope }: Asked = {}): CacheKey | null {
  const whole: CacheScope = { policy: masking.name, routeVersion: 'v1', credential: '', ...scope };
  const caller = sampleIdentity(identity);
  const place = cache.place(caller.tenant, 'm');
  return cache.key(sampleExchange(exchange), caller, sampleRequest(request), place, whole);
}

describe('scope', () => {
  const others: [string, Asked][] = [
    ['tenant', { identity: { tenant: 'beta' } }],
    ['user', { identity: { user: 'ann' } }],
    ['body', { request: { text: 'hello ' } }],
    ['model', { request: { model: 'n' } }],
    ['scrub policy', { scope: { policy: policyOf('off').name } }],
    [
      'set of placeholders for what a recogniser found',
      { request: { checked: true, masked: new Map([['[PERSON_AAAAAA]', 'Ann']]) } },
    ],
    ['route version', { scope: { routeVersion: 'v2' } }],
    ["client's own credential", { scope: { credential: 'c' } }],
    ['endpoint', { exchange: { endpoint: 'messages' } }],
    ...['anthropic-beta', 'anthropic-version', 'openai-beta', 'openai-organization', 'openai-project'].map(
      (name): [string, Asked] => [name, { exchange: { headers: { [name]: 'x' } } }],
    ),
  ];

  test.each(others)('another %s is another answer', (_, asked) => {
    const cache = createCache(settings());
    const key = keyOf(cache);
    const other = keyOf(cache, asked);
    expect(key).not.toBeNull();
    expect(other).not.toBe(key);
  });

  test('no two endpoints have the same key, but for the paths of one', () => {
    const cache = createCache(settings());
    const cached = endpoints.filter((endpoint) => endpoint.cached);
    const scope: CacheScope = { policy: masking.name, routeVersion: 'v1', credential: '' };
    const keys = cached.map((endpoint) =>
      cache.key(
        { ...sampleExchange(), endpoint },
        sampleIdentity(),
        sampleRequest(),
        cache.place('t', 'm'),
        scope,
      ),
    );
    const names = new Set(cached.map(({ name, dialect }) => `${dialect} ${name}`));
    expect(new Set(keys).size).toBe(names.size);
  });

  test('the same request has the same key, whatever irrelevant headers it has', () => {
    const cache = createCache(settings());
    const headers: IncomingHttpHeaders = {
      'user-agent': 'a',
      authorization: 'Bearer b',
      traceparent: 'c',
      accept: 'd',
    };
    expect(keyOf(cache, { exchange: { headers } })).toBe(keyOf(cache));
    expect(keyOf(cache, { identity: { team: 't', keyId: 'k', tags: ['x'] } })).toBe(keyOf(cache));
  });

  test('users of a tenant share entries only if that is enabled', () => {
    const shared = createCache(settings({ shareUsers: true }));
    expect(keyOf(shared, { identity: { user: 'ann' } })).toBe(keyOf(shared, { identity: { user: 'bob' } }));
    expect(keyOf(shared, { identity: { tenant: 'beta' } })).not.toBe(keyOf(shared));
  });

  test('no two scopes have the same key', () => {
    const cache = createCache(settings());
    // No header or configured name can hold a NUL.
    const word = fc.string({ maxLength: 3 }).map((text) => text.replaceAll('\0', ''));
    const scopes = fc.record({
      tenant: word,
      user: word,
      credential: word,
      routeVersion: word,
      beta: word,
      project: word,
    });
    const key = (s: {
      tenant: string;
      user: string;
      credential: string;
      routeVersion: string;
      beta: string;
      project: string;
    }) =>
      keyOf(cache, {
        exchange: { headers: { 'anthropic-beta': s.beta, 'openai-project': s.project } },
        identity: { tenant: s.tenant, user: s.user },
        scope: { credential: s.credential, routeVersion: s.routeVersion },
      });
    fc.assert(
      fc.property(scopes, scopes, (a, b) => {
        expect(key(a) === key(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  test('token counts are not cached, and a cache switched off has no keys', () => {
    expect(keyOf(createCache(settings()), { exchange: { endpoint: 'count_tokens' } })).toBeNull();
    expect(keyOf(createCache(settings({ enabled: false })))).toBeNull();
  });
});

describe('a purge', () => {
  const hits = (cache: Cache, keys: readonly CacheKey[], nowMs: number): boolean[] =>
    keys.map((key) => cache.get(key, at(cache), nowMs) !== null);
  const put = (cache: Cache, text: string, askedMs: number, tags: readonly string[] = []): CacheKey => {
    const key = keyOf(cache, { request: { text } });
    if (key === null) throw new Error('no key');
    cache.put(answered(key, at(cache), askedMs, tags), sampleReply(text), askedMs + 5);
    return key;
  };

  test('by age spares what was asked for later', () => {
    const cache = createCache(settings());
    const keys = [1000, 2000, 3000].map((askedMs) => put(cache, `at ${askedMs}`, askedMs));
    cache.purge({ olderThanMs: 1000 }, 3000);
    expect(hits(cache, keys, 3000)).toEqual([false, false, true]);
    cache.purge({ olderThanMs: 2000 }, 3000);
    expect(hits(cache, keys, 3000)).toEqual([false, false, true]);
  });

  test('by tag spares the others, and what comes later with that tag', () => {
    const cache = createCache(settings());
    const keys = [put(cache, 'a', 0, ['x']), put(cache, 'b', 0, ['y', 'x']), put(cache, 'c', 0, ['y'])];
    cache.purge({ tag: 'x', route: 'm' }, 10);
    cache.purge({ tag: 'y', route: 'other' }, 10);
    expect(hits(cache, keys, 10)).toEqual([false, false, true]);
    expect(hits(cache, [put(cache, 'a', 20, ['x'])], 30)).toEqual([true]);
  });

  test('also covers replies that were on their way, here and in other pods', () => {
    const cache = createCache(settings());
    cache.purge({ tag: 'x' }, 0);
    at(cache);
    cache.purge({ tag: 'x' }, 100);
    const keys = [put(cache, 'a', 98, ['x']), put(cache, 'b', 98), put(cache, 'c', 101, ['x'])];
    expect(hits(cache, keys, 110)).toEqual([false, true, true]);
    const told = (ageMs: number): boolean => {
      const key = keyOf(cache, { request: { text: `told ${ageMs}` } });
      if (key === null) throw new Error('no key');
      const of = { tenant: 'acme', route: 'm', key, question: null, tags: ['x'], reply: sampleReply('x') };
      return cache.hear({ kind: 'entry', ...of, ageMs, maxAgeMs: Number.POSITIVE_INFINITY }, 5, 110);
    };
    expect([told(4), told(5), told(40)]).toEqual([true, false, false]);
    const purge = { kind: 'purge', tenant: 'acme', route: null, tag: null, olderThanMs: 5 } as const;
    expect(cache.hear(purge, 4, 110)).toBe(true);
    expect(hits(cache, keys, 110)).toEqual([false, false, false]);
    expect(told(2)).toBe(true);
  });

  test('another pod tells of is kept as long as its request said, and never in place of a newer one', () => {
    const cache = createCache(settings({ ttlSeconds: 60 }));
    const key = put(cache, 'a', 1000);
    const body = (nowMs: number): string | undefined => cache.get(key, at(cache), nowMs)?.body.toString();
    const hear = (text: string, ageMs: number, maxAgeMs: number): boolean => {
      const of = { tenant: 'acme', route: 'm', key, question: null, tags: [], reply: sampleReply(text) };
      return cache.hear({ kind: 'entry', ...of, ageMs, maxAgeMs }, 0, 1100);
    };
    expect(hear('older', 101, 60_000)).toBe(false);
    expect(body(1100)).toBe('a');
    expect(hear('newer', 99, 10_000)).toBe(true);
    expect([body(11_099), body(11_100)]).toEqual(['newer', undefined]);
  });

  test('of very many tags forgets none of them', () => {
    const cache = createCache(settings());
    const keys = Array.from({ length: 600 }, (_, i) => put(cache, `${i}`, i, [`tag ${i}`]));
    for (let i = 0; i < 600; i++) cache.purge({ tag: `tag ${i}` }, 1000 + i);
    expect(hits(cache, keys, 2000)).not.toContain(true);
    const later = put(cache, 'later', 2000, ['tag 7']);
    expect(hits(cache, [later], 2000)).toEqual([true]);
  });
});

test.each([
  [undefined, true, true, Number.POSITIVE_INFINITY],
  ['no-cache', false, true, Number.POSITIVE_INFINITY],
  ['No-Cache', false, true, Number.POSITIVE_INFINITY],
  ['max-age=60, no-cache', false, true, 60_000],
  ['no-store', false, false, Number.POSITIVE_INFINITY],
  ['no-cache, no-store', false, false, Number.POSITIVE_INFINITY],
  ['max-age=60', true, true, 60_000],
  ['Max-Age = "60"', true, true, 60_000],
  ['s-maxage=60', true, true, Number.POSITIVE_INFINITY],
  ['max-age=0', false, true, 0],
  ['max-age=soon', false, true, 0],
  ['max-age', false, true, 0],
])('Cache-Control: %s reads %s, writes %s, up to an age of %d ms', (value, read, write, maxAgeMs) => {
  const headers: IncomingHttpHeaders = value === undefined ? {} : { 'cache-control': value };
  expect(cacheControl(sampleExchange({ headers }))).toEqual({ read, write, maxAgeMs });
});

describe('bounds', () => {
  const put = (cache: Cache, text: string, body: string, nowMs: number): CacheKey => {
    const key = keyOf(cache, { request: { text } });
    if (key === null) throw new Error('no key');
    cache.put(answered(key, at(cache), nowMs), sampleReply(body), nowMs);
    return key;
  };

  test('an entry expires after its time to live, to the millisecond of the given clock', () => {
    const cache = createCache(settings({ ttlSeconds: 10 }));
    const key = put(cache, 'a', 'answer', 1_000);
    expect(cache.get(key, at(cache), 10_999)?.body.toString()).toBe('answer');
    expect(cache.get(key, at(cache), 11_000)).toBeNull();
    expect(cache.size).toBe(0);
    expect(cache.bytes).toBe(0);
  });

  test('a hit does not extend it', () => {
    const cache = createCache(settings({ ttlSeconds: 10 }));
    const key = put(cache, 'a', 'answer', 0);
    cache.get(key, at(cache), 9_999);
    expect(cache.get(key, at(cache), 10_000)).toBeNull();
  });

  test('the least recently used entry is dropped first', () => {
    const cache = createCache(settings({ entriesMax: 2 }));
    const [a, b] = [put(cache, 'a', '1', 0), put(cache, 'b', '2', 0)];
    cache.get(a, at(cache), 0);
    const c = put(cache, 'c', '3', 0);
    expect([a, b, c].map((key) => cache.get(key, at(cache), 0) !== null)).toEqual([true, false, true]);
    expect(cache.size).toBe(2);
  });

  test('memory stays within its limit whatever is stored', () => {
    const bytesMax = 8192;
    const cache = createCache(settings({ bytesMax, entryMaxBytes: 4096 }));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 6000 }))),
        (puts) => {
          for (const [name, length] of puts) {
            put(cache, String(name), 'x'.repeat(length), 0);
            expect(cache.bytes).toBeLessThanOrEqual(bytesMax);
          }
        },
      ),
    );
    expect(cache.size).toBeGreaterThan(0);
  });

  test('a reply larger than an entry may be is not stored', () => {
    const cache = createCache(settings({ entryMaxBytes: 1024 }));
    expect(cache.get(put(cache, 'a', 'x'.repeat(1025), 0), at(cache), 0)).toBeNull();
    expect(cache.get(put(cache, 'a', 'x'.repeat(1024), 0), at(cache), 0)).not.toBeNull();
  });

  test('a tenant that stores much pushes out its own entries, not those of others', () => {
    const cache = createCache(settings({ entriesMax: 10 }));
    const [acme, beta] = [cache.place('acme', 'm'), cache.place('beta', 'm')];
    const key = (tenant: string, text: string): CacheKey => {
      const found = keyOf(cache, { identity: { tenant }, request: { text } });
      if (found === null) throw new Error('not cached');
      return found;
    };
    const few = ['1', '2', '3'].map((text) => key('beta', text));
    for (const one of few) cache.put(answered(one, beta), sampleReply('x'), 0);
    for (let i = 0; i < 50; i++) cache.put(answered(key('acme', `${i}`), acme), sampleReply('x'), 0);
    expect(cache.size).toBe(10);
    expect(few.map((one) => cache.get(one, beta, 0) !== null)).toEqual([true, true, true]);
  });

  test('storing a key again counts it once', () => {
    const cache = createCache(settings());
    put(cache, 'a', 'x'.repeat(1000), 0);
    const before = cache.bytes;
    put(cache, 'a', 'x'.repeat(1000), 0);
    expect([cache.size, cache.bytes]).toEqual([1, before]);
  });

  test('a new configuration shrinks it at once, and disabling it empties it', () => {
    const cache = createCache(settings());
    const keys = ['a', 'b', 'c'].map((text) => put(cache, text, text, 0));
    cache.update(settings({ entriesMax: 1 }));
    expect(keys.map((key) => cache.get(key, at(cache), 0) !== null)).toEqual([false, false, true]);
    cache.update(settings({ enabled: false }));
    expect([cache.size, cache.bytes]).toEqual([0, 0]);
  });

  test('a store without room for a reply drops it, and the earlier one of the same key', () => {
    const store = createReplyStore({ entriesMax: 10, bytesMax: 1024, ttlMs: 1000 });
    store.put(everyone, 'k', sampleReply('small'), 0);
    store.put(everyone, 'k', sampleReply('x'.repeat(1024)), 0);
    expect(store.get(everyone, 'k', 0)).toBeNull();
    expect([store.size, store.bytes]).toEqual([0, 0]);
  });
});
