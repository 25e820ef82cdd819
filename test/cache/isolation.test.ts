/** What never shares an answer: any other field, tenant, user, header, policy or route, at every level of the cache. */
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { type Cache, createCache } from '../../src/cache/cache.ts';
import { configSchema } from '../../src/config/schema.ts';
import { endpoints } from '../../src/exchange/endpoint.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { inspect } from '../../src/inspect/inspect.ts';
import { decide } from '../../src/native/search.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import { cacheAlone, sampleExchange, sampleIdentity, sampleReply } from '../support/samples.ts';

const question = 'How can I change my shipping address?';
const reworded = 'How do I update my delivery address?';

/** Values of a JSON document. */
type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

const turns: Json = [
  { role: 'user', content: 'I moved to Berlin.' },
  { role: 'assistant', content: 'Noted.' },
];
const tools: Json = [{ type: 'function', function: { name: 'find', parameters: { type: 'object' } } }];
const shared = { temperature: 0, top_p: 0.5, seed: 3, metadata: { a: 'b' }, stream: false };

/** A body of each endpoint that answers questions, around a question. */
const bodies: Readonly<Record<string, (text: string) => Json>> = {
  chat: (text) => ({
    model: 'm',
    ...shared,
    max_tokens: 50,
    tools,
    response_format: { type: 'text' },
    messages: [{ role: 'system', content: 'Be brief.' }, ...turns, { role: 'user', content: text }],
  }),
  messages: (text) => ({
    model: 'm',
    ...shared,
    max_tokens: 50,
    system: [{ type: 'text', text: 'Be brief.' }],
    messages: [
      ...turns,
      {
        role: 'user',
        content: [
          { type: 'image', source: { data: 'eA==' } },
          { type: 'text', text },
        ],
      },
    ],
  }),
  responses: (text) => ({
    model: 'm',
    ...shared,
    instructions: 'Be brief.',
    input: [...turns, { role: 'user', content: text }],
  }),
  generate: (text) => ({
    systemInstruction: { parts: [{ text: 'Be brief.' }] },
    generationConfig: { temperature: 0, maxOutputTokens: 50 },
    contents: [
      { role: 'user', parts: [{ text: 'I moved.' }] },
      { role: 'model', parts: [{ text: 'Noted.' }] },
      { role: 'user', parts: [{ text }] },
    ],
  }),
};

const config = configSchema.parse({ cache: { semantic: { mode: 'on' } } });
const policies = createScrubPolicies(config.scrub, Buffer.alloc(32));
const policy = policies.of('acme');

interface Asking {
  readonly endpoint: string;
  readonly body: Json;
  readonly tenant?: string;
  readonly user?: string | null;
  readonly headers?: IncomingHttpHeaders;
  readonly scope?: { readonly policy?: string; readonly routeVersion?: string; readonly credential?: string };
  readonly route?: string;
}

const freshCache = (): Cache => createCache(config.cache, cacheAlone);

/** Whether the cache answers a request; if not, its reply is stored if that is wanted. */
function answers(cache: Cache, asking: Asking, store = false): boolean {
  const { tenant = 'acme', user = 'ann', headers = {}, scope = {}, route = 'm' } = asking;
  const endpoint = endpoints.find(({ name }) => name === asking.endpoint);
  if (endpoint === undefined) throw new Error(`no endpoint ${asking.endpoint}`);
  const plain = sampleExchange({ headers, body: JSON.stringify(asking.body) });
  const inPath = endpoint.dialect === 'gemini' ? { model: 'm', stream: false, list: false } : null;
  const exchange: Exchange = { ...plain, endpoint: { ...endpoint, inPath } };
  const request = inspect(exchange, policy.request, Buffer.alloc(32));
  // What is no valid request any more has no answer.
  if (request instanceof Refusal) return false;
  const place = cache.place(tenant, route);
  const whole = { policy: policy.name, routeVersion: '1', credential: '', ...scope };
  const key = cache.key(exchange, sampleIdentity({ tenant, user }), request, place, whole);
  if (key === null) throw new Error('not cached');
  if (cache.get(key, place, 0) !== null) return true;
  const { asked, hit } = cache.near(key, exchange, request, place, 0);
  if (store) cache.put({ key, place, askedMs: 0, tags: [], asked }, sampleReply('answer'), 0);
  return hit !== null;
}

/** Every document that differs from this one in one value, a missing member or one more. */
function* mutations(value: Json): Generator<Json> {
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) {
      for (const other of mutations(item)) yield value.with(at, other);
      yield value.toSpliced(at, 1);
    }
    yield [...value, { more: 1 }];
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      for (const other of mutations(member)) yield { ...value, [name]: other };
      const { [name]: _, ...without } = value as Record<string, Json>;
      yield without;
    }
    yield { ...value, more: 1 };
  } else if (typeof value === 'string') yield* value === reworded ? [] : [`${value}x`];
  else if (typeof value === 'number') yield value + 1;
  else if (typeof value === 'boolean') yield !value;
}

test('the two questions ask the same', () => expect(decide(question, reworded).verdict).toBe('same'));

describe.each(Object.entries(bodies))('%s', (endpoint, bodyOf) => {
  test('in other words it is answered, and after a change of anything else it never is', () => {
    const cache = freshCache();
    answers(cache, { endpoint, body: bodyOf(question) }, true);
    expect(answers(cache, { endpoint, body: bodyOf(reworded) })).toBe(true);
    let count = 0;
    for (const body of mutations(bodyOf(reworded))) {
      count += 1;
      expect(answers(cache, { endpoint, body }), JSON.stringify(body)).toBe(false);
    }
    expect(count).toBeGreaterThan(20);
  });

  const others: readonly [string, Partial<Asking>][] = [
    ['tenant', { tenant: 'beta' }],
    ['tenant of a longer name', { tenant: 'acme\u00e9' }],
    ['user', { user: 'bob' }],
    ['no user', { user: null }],
    ['scrub policy', { scope: { policy: policies.of('beta').name === policy.name ? 'other' : 'beta' } }],
    ['route version', { scope: { routeVersion: '2' } }],
    ['credential', { scope: { credential: 'c' } }],
    ...[
      'anthropic-beta',
      'anthropic-version',
      'openai-beta',
      'openai-organization',
      'openai-project',
      'x-simulate',
    ].map((name): [string, Partial<Asking>] => [name, { headers: { [name]: 'x' } }]),
  ];

  test.each(others)('another %s has other answers, both ways', (_, other) => {
    const [mine, theirs] = [freshCache(), freshCache()];
    answers(mine, { endpoint, body: bodyOf(question) }, true);
    answers(theirs, { endpoint, body: bodyOf(question), ...other }, true);
    for (const text of [question, reworded, `${question} Thanks!`]) {
      expect(answers(mine, { endpoint, body: bodyOf(text), ...other })).toBe(false);
      expect(answers(theirs, { endpoint, body: bodyOf(text) })).toBe(false);
    }
  });
});

test('no two endpoints share an answer', () => {
  const cache = freshCache();
  for (const endpoint of ['chat', 'messages', 'responses'])
    answers(cache, { endpoint, body: bodies.messages?.(question) ?? null }, endpoint === 'messages');
  expect(answers(cache, { endpoint: 'messages', body: bodies.messages?.(reworded) ?? null })).toBe(true);
  expect(answers(cache, { endpoint: 'chat', body: bodies.messages?.(reworded) ?? null })).toBe(false);
});
