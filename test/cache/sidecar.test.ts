/** The cache through a running sidecar: what is a hit, what is never kept, and what an entry holds. */

import { afterEach, describe, expect, test } from 'vitest';
import { createKeyring } from '../../src/authenticate/keyring.ts';
import { createAside } from '../../src/base/aside.ts';
import { silent } from '../../src/base/telemetry.ts';
import { createBatch } from '../../src/batch/batch.ts';
import { type Cache, createCache } from '../../src/cache/cache.ts';
import { createCatalog } from '../../src/catalog/catalog.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { createEstimator } from '../../src/count/estimate.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import type { Reply } from '../../src/exchange/reply.ts';
import { handle } from '../../src/gateway/gateway.ts';
import { createLimiter } from '../../src/limit/limit.ts';
import { retryBudget } from '../../src/native/retries.ts';
import { createRecent } from '../../src/observe/recent.ts';
import { createSpend } from '../../src/observe/spend.ts';
import { createReplay } from '../../src/replay/replay.ts';
import { createObjectTable } from '../../src/route/objects.ts';
import { createRouteTable } from '../../src/route/route.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import type { Stages } from '../../src/stages.ts';
import { createOwners } from '../../src/store/owners.ts';
import { createHealthBook } from '../../src/upstream/health.ts';
import { createProvider } from '../../src/upstream/provider.ts';
import { allOf } from '../support/chunks.ts';
import { send } from '../support/client.ts';
import { type Gate, ownModel, startGate } from '../support/gate.ts';
import { noHints } from '../support/plan.ts';
import { testModel, type Wire, wires } from '../support/replies.ts';
import { cacheAlone, sampleExchange } from '../support/samples.ts';
import { sharedThread } from '../support/shared-thread.ts';
import { standingTime } from '../support/time.ts';
import {
  answers,
  type Call,
  echoes,
  placeholders,
  refuses,
  type Script,
  startUpstream,
} from '../support/upstream.ts';

describe.each(wires)('through the sidecar, $name', (wire) => {
  let gate: Gate;
  afterEach(() => gate.stop());
  const streaming = { more: { stream: true } };

  test('a repeated request is a hit: same bytes, no call to the provider', async () => {
    gate = await startGate([answers(wire, 'fine')]);
    const [first, second] = [await gate.ask(wire, 'hi'), await gate.ask(wire, 'hi')];
    expect(first.headers['cache-status']).toBe('sidegate; fwd=uri-miss');
    expect(second.headers['cache-status']).toBe('sidegate; hit');
    expect(second.text).toBe(first.text);
    expect(second.headers['x-sidegate-target']).toBe(first.headers['x-sidegate-target']);
    expect(gate.upstream.calls).toHaveLength(1);
    expect(gate.sidecar.records().map(({ cache, attempts }) => [cache, attempts])).toEqual([
      ['miss', 1],
      ['hit', 0],
    ]);
  });

  test('streams that come at once are stored as far as there is room for them, which they give back', async () => {
    const calls: Call[] = [];
    const begins: Script = (call) => {
      calls.push(call);
      call.streamHead();
      call.write(wire.opening + wire.text('x'.repeat(6000)));
    };
    const whole = answers(wire, 'x'.repeat(6000));
    gate = await startGate([begins, begins, begins, begins, whole], {
      cache: { bytesMax: 40_000, entryMaxBytes: 10_000 },
    });
    const replies = await Promise.all([0, 1, 2, 3].map((i) => gate.stream(wire, `${i}`)));
    for (const reply of replies) await reply.sees('x'.repeat(6000));
    for (const call of calls) call.end(wire.finish() + wire.end);
    for (const reply of replies) await reply.all();
    const statuses: unknown[] = [];
    for (const text of ['0', '1', '2', '3', '3', '4', '4'])
      statuses.push((await gate.ask(wire, text, streaming)).headers['cache-status']);
    // Of those at once one had room; all that came later had, one after the other.
    expect(statuses.slice(0, 4).filter((status) => status === 'sidegate; hit')).toHaveLength(1);
    expect(statuses.slice(4)).toEqual(['sidegate; hit', 'sidegate; fwd=uri-miss', 'sidegate; hit']);
  });

  test('a stream is replayed as a stream, byte for byte', async () => {
    gate = await startGate([answers(wire, 'one ', 'two ', 'three')]);
    const [first, second] = [await gate.ask(wire, 'hi', streaming), await gate.ask(wire, 'hi', streaming)];
    expect(second.headers['cache-status']).toBe('sidegate; hit');
    expect(second.headers['content-type']).toBe(first.headers['content-type']);
    expect(second.text).toBe(first.text);
    expect(wire.textOf(second.text)).toBe('one two three');
    expect((await gate.ask(wire, 'hi')).headers['cache-status']).toBe('sidegate; fwd=uri-miss');
  });

  test('any other byte in the body is another request', async () => {
    gate = await startGate([answers(wire, 'fine')]);
    const body = JSON.stringify(wire.request('hi', { model: ownModel(wire), temperature: 0.5 }));
    await gate.post(wire.path, body);
    for (const other of [`${body} `, body.replace('0.5', '0.50'), body.replace('"hi"', '"h\\u0069"')]) {
      expect((await gate.post(wire.path, other)).headers['cache-status']).toBe('sidegate; fwd=uri-miss');
    }
    expect((await gate.post(wire.path, body)).headers['cache-status']).toBe('sidegate; hit');
  });

  const asked = async (headers: Readonly<Record<string, string>>): Promise<unknown> =>
    (await gate.ask(wire, 'hi', { headers })).headers['cache-status'];

  test('other users and other beta headers get their own entries', async () => {
    gate = await startGate([answers(wire, 'fine')]);
    await asked({ 'x-sidegate-user': 'ann', 'anthropic-beta': 'b1' });
    expect(await asked({ 'x-sidegate-user': 'bob', 'anthropic-beta': 'b1' })).toBe('sidegate; fwd=uri-miss');
    expect(await asked({ 'x-sidegate-user': 'ann', 'anthropic-beta': 'b2' })).toBe('sidegate; fwd=uri-miss');
    expect(await asked({ 'x-sidegate-user': 'ann', 'anthropic-beta': 'b1' })).toBe('sidegate; hit');
  });

  test("callers whose own credential goes upstream never share, those of the gateway's do", async () => {
    const upstream = await startUpstream(answers(wire, 'fine'));
    const providers = { p: { dialect: wire.name, baseUrl: upstream.baseUrl, credential: 'client' as const } };
    const routes = [{ model: testModel, targets: [{ provider: 'p' }] }];
    gate = await startGate([], { providers, routes });
    await asked({ authorization: 'Bearer one' });
    expect(await asked({ authorization: 'Bearer two' })).toBe('sidegate; fwd=uri-miss');
    expect(await asked({ 'x-api-key': 'one' })).toBe('sidegate; hit');
    await upstream.close();
  });

  test('no-cache asks again and stores, no-store does neither', async () => {
    gate = await startGate([answers(wire, 'old'), answers(wire, 'new'), answers(wire, 'unseen')]);
    await asked({});
    expect(await asked({ 'cache-control': 'no-cache' })).toBe('sidegate; fwd=bypass');
    expect(await asked({ 'cache-control': 'no-store' })).toBe('sidegate; fwd=bypass');
    const { text, headers } = await gate.ask(wire, 'hi');
    expect(headers['cache-status']).toBe('sidegate; hit');
    expect(text).toContain('new');
  });

  test('an entry expires after its time to live', async () => {
    let nowMs = 0;
    gate = await startGate([answers(wire, 'fine')], { cache: { ttlSeconds: 60 } }, { clock: () => nowMs });
    await asked({});
    nowMs = 59_999;
    expect(await asked({})).toBe('sidegate; hit');
    nowMs = 60_000;
    expect(await asked({})).toBe('sidegate; fwd=uri-miss');
  });

  test('a request may say how old its reply may be, and how long it is kept', async () => {
    let nowMs = 0;
    gate = await startGate([answers(wire, 'fine')], { cache: { ttlSeconds: 600 } }, { clock: () => nowMs });
    const upTo = (seconds: number) => asked({ 'cache-control': `max-age=${seconds}` });
    await asked({});
    nowMs = 60_000;
    expect(await upTo(60)).toBe('sidegate; hit');
    nowMs = 60_001;
    expect(await asked({})).toBe('sidegate; hit');
    expect(await upTo(60)).toBe('sidegate; fwd=uri-miss');
    // What it stored in its place is kept for a minute.
    nowMs = 120_000;
    expect(await asked({})).toBe('sidegate; hit');
    nowMs = 120_001;
    expect(await asked({})).toBe('sidegate; fwd=uri-miss');
    expect(await upTo(0)).toBe('sidegate; fwd=bypass');
    expect(gate.upstream.calls).toHaveLength(4);
  });

  test('after a reload that routes elsewhere a request is a miss, after one without changes a hit', async () => {
    gate = await startGate([answers(wire, 'fine')]);
    const other = await startUpstream(answers(wire, 'other'));
    await asked({});
    const config = (baseUrl: string): Config =>
      configSchema.parse({
        authenticate: { anonymousTenant: 'test' },
        providers: { o: { dialect: wire.name, baseUrl } },
        routes: [{ model: ownModel(wire), targets: [{ provider: 'o' }] }],
      });
    await gate.sidecar.sidecar.reload(config(other.baseUrl));
    expect((await gate.ask(wire, 'hi')).text).toContain('other');
    await gate.sidecar.sidecar.reload(config(other.baseUrl));
    expect(await asked({})).toBe('sidegate; hit');
    await other.close();
  });

  const patched = (change: (reply: Json) => void): Script => {
    const reply: Json = JSON.parse(wire.whole('some text'));
    change(reply);
    return (call) => call.whole(200, { 'content-type': 'application/json' }, JSON.stringify(reply));
  };
  const openai = wire.name === 'openai';
  const tool = openai
    ? { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }
    : { type: 'tool_use', id: 't', name: 'f', input: {} };
  const choice = (reply: Json): Json => (reply.choices as Json[])[0] ?? {};
  const ends = (openaiReason: string, anthropicReason: string) => (reply: Json) => {
    if (openai) choice(reply).finish_reason = openaiReason;
    else reply.stop_reason = anthropicReason;
  };
  const says = (field: string, value: unknown) => (reply: Json) => {
    if (openai) Object.assign(choice(reply).message as Json, { [field]: value });
    else (reply.content as unknown[]).push(tool);
  };
  const streams =
    (...events: string[]): Script =>
    (call) => {
      call.streamHead();
      for (const event of events) call.write(event);
      call.end();
    };

  const plain: [string, Script][] = [
    ['a reply cut by its length', patched(ends('length', 'max_tokens'))],
    ['a filtered reply or refusal', patched(ends('content_filter', 'refusal'))],
    ['a paused or unknown end', patched(ends('something_new', 'pause_turn'))],
    ['a tool call by its reason', patched(ends('tool_calls', 'tool_use'))],
    ['a tool call by its content', patched(says('tool_calls', [tool]))],
    ['an error in a good status', patched((reply) => Object.assign(reply, { error: { message: 'no' } }))],
    ['an empty answer', answers(wire, '')],
    ['a refused request', refuses(wire.error(400, 'no'))],
    ['a failure', refuses(wire.error(500, 'no'))],
  ];
  if (openai) plain.push(['a refusal by its text', patched(says('refusal', 'I will not.'))]);
  const begun = wire.opening + wire.text('a');
  const opened = wire.opening;
  const streamed: [string, Script][] = [
    ['a stream cut by its length', streams(begun, wire.finish('length'), wire.end)],
    ['a stream with a tool call', streams(begun, wire.toolBegins, wire.finish('tool'), wire.end)],
    ['a stream with a tool call that says stop', streams(begun, wire.toolBegins, wire.finish(), wire.end)],
    ['an empty stream', streams(opened, wire.finish(), wire.end)],
    ['a stream that ends early', streams(begun)],
    ['a stream with an error', streams(begun, wire.errorEvent('no'))],
  ];

  test.each([
    ...plain.map(([what, script]) => [what, script, false] as const),
    ...streamed.map(([what, script]) => [what, script, true] as const),
  ])('%s is not kept', async (_, script, stream) => {
    gate = await startGate([script, answers(wire, 'good')], { attempt: { retriesMax: 0 } });
    await gate.ask(wire, 'hi', { more: { stream } });
    const second = await gate.ask(wire, 'hi', { more: { stream } });
    expect(second.headers['cache-status']).toBe('sidegate; fwd=uri-miss');
    expect(second.text).toContain('good');
    expect(gate.upstream.calls).toHaveLength(2);
  });

  test.each([
    ['before its reply', false, false],
    ['before its stream', true, false],
    ['within its stream', true, true],
  ])('what a client left %s is not kept', async (_, stream, begun) => {
    gate = await startGate([]);
    const sent = send(gate.sidecar.url, wire.path, {
      body: wire.request('hi', { model: ownModel(wire), stream }),
    });
    const call = await gate.upstream.call(0);
    if (begun) {
      call.streamHead();
      call.write(opened + wire.text('half'));
      await (await sent.reply).sees('half');
    } else sent.reply.catch(() => {});
    sent.hangUp();
    await call.aborted;
    await gate.sidecar.recordWhere(({ abandoned }) => abandoned);
    gate.upstream.answer(answers(wire, 'good'));
    const second = await gate.ask(wire, 'hi', { more: { stream } });
    expect(second.headers['cache-status']).toBe('sidegate; fwd=uri-miss');
    expect(second.text).toContain('good');
  });

  test('a stream larger than an entry may be is not stored', async () => {
    gate = await startGate([answers(wire, 'x'.repeat(2000))], { cache: { entryMaxBytes: 1024 } });
    await gate.ask(wire, 'hi', streaming);
    expect((await gate.ask(wire, 'hi', streaming)).headers['cache-status']).toBe('sidegate; fwd=uri-miss');
  });

  test("an entry contains no personal data, and a hit restores its reader's values", async () => {
    gate = await startGate([]);
    const kept: { key: string; body: string }[] = [];
    const cache = createCache(configSchema.parse({}).cache, cacheAlone);
    const watched: Cache = {
      ...cache,
      key: cache.key,
      put(answered, reply, nowMs) {
        kept.push({ key: answered.key, body: reply.body.toString() });
        cache.put(answered, reply, nowMs);
      },
    };
    const stages = stagesFor(gate, wire, watched);
    const address = 'ann.smith@example.com';
    gate.upstream.answer(echoes(wire, (token) => [`I wrote to ${token.slice(0, 4)}`, `${token.slice(4)}.`]));
    for (const stream of [false, true]) {
      const exchange = (): Exchange =>
        sampleExchange({
          endpoint: wire.name === 'openai' ? 'chat' : 'messages',
          body: JSON.stringify(wire.request(`to ${address}`, { stream })),
        });
      const [first, second] = [
        await readReply(Promise.resolve(handle(exchange(), stages))),
        await readReply(Promise.resolve(handle(exchange(), stages))),
      ];
      expect(first).toContain(stream ? '.' : address);
      if (stream)
        expect([wire.textOf(first), wire.textOf(second)]).toEqual(Array(2).fill(`I wrote to ${address}.`));
      else expect(second).toBe(first);
    }
    expect(gate.upstream.calls).toHaveLength(2);
    expect(kept).toHaveLength(2);
    expect(JSON.stringify(kept)).not.toContain('ann.smith');
    expect(kept[0]?.body).toMatch(placeholders);
  });
});

type Json = Record<string, unknown>;

/** The stages of a gate's configuration around a cache of the test's own. */
function stagesFor({ upstream }: Gate, { name: dialect }: Wire, cache: Cache): Stages {
  const config = configSchema.parse({ authenticate: { anonymousTenant: 'test' } });
  // Requests begin at 0 ms: after ten minutes of tests in one process they would be too late.
  const { clock } = standingTime().world;
  const estimator = createEstimator();
  const settings = { dialect, baseUrl: upstream.baseUrl, credential: 'gateway' as const, headers: {} };
  const providers = new Map([['p', createProvider('p', settings, config.attempt, null)]]);
  const health = createHealthBook(clock);
  health.begin(config);
  const aside = createAside({ clock, startThread: sharedThread });
  const targets = [{ provider: 'p' }];
  return {
    config,
    keyring: createKeyring(config.authenticate),
    policies: createScrubPolicies(config.scrub, Buffer.alloc(32)),
    recogniser: null,
    digestKey: Buffer.alloc(32),
    replay: createReplay(config.replay, clock),
    limiter: createLimiter(config, { estimator, clock, wallClock: Date.now, telemetry: silent }),
    estimator,
    counter: { count: (_, done) => done(null), update: () => {}, close: async () => {} },
    cache,
    batch: createBatch(config, estimator.tokens, { clock, telemetry: silent, health }),
    objects: createObjectTable(providers, health.target, createOwners(null, 1000), () => 'test'),
    routes: createRouteTable(
      [{ model: testModel, strategy: 'fallback', sticky: 'user', needs: [], unsupported: 'refuse', targets }],
      {
        providers,
        catalog: createCatalog({}, [], 0),
        healthOf: health.target,
        random: Math.random,
        tokensOf: estimator.tokens,
      },
    ),
    attempt: {
      messageMaxBytes: 1024,
      policy: config.attempt,
      clock,
      wallClock: Date.now,
      random: Math.random,
      health,
      budgetId: retryBudget.open(0.2, 3),
      hedges: null,
      estimate: () => 0,
      telemetry: silent,
      hints: noHints,
      aside,
    },
    aside,
    clock,
    observer: {
      ...silent,
      recent: createRecent(0),
      spend: createSpend(String),
      content: null,
      record: () => {},
      flush: () => {},
      charge: () => {},
      reload: () => {},
      catalogFile: () => {},
      nameLimits: () => {},
      defect: (_, cause) => {
        throw cause;
      },
    },
  };
}

async function readReply(pending: Promise<Reply>): Promise<string> {
  const reply = await pending;
  if (reply.kind === 'whole') return reply.body.toString();
  if (reply.kind === 'session') return '';
  return String(await allOf(reply.chunks));
}
