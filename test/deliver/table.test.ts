/**
 * Every way out of a request settles what it reserved, exactly once, and charges what the provider really sent. The
 * measure is a token limit that doesn't refill, read through the RateLimit header of a request that costs nothing;
 * what no provider states is counted here by another tokenizer, over what the scripted provider got and sent.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Refusal } from '../../src/base/errors.ts';
import { ask, type Sent, send } from '../support/client.ts';
import type { LoggedRecord } from '../support/log-line.ts';
import { openaiWire, testModel, wires } from '../support/replies.ts';
import {
  counted,
  half,
  last,
  nothing,
  opens,
  pieces,
  prompt,
  stated,
  type Truth,
  ways,
} from '../support/settle-ways.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { standingTime } from '../support/time.ts';
import { answers, refuses, startUpstream, type Upstream } from '../support/upstream.ts';

const ledger = vi.hoisted(() => ({
  admitted: 0,
  settled: [] as { tokens: number; costNanoUsd: number | null }[],
}));

// Counts how often permits are settled; the limiter itself stays as it is.
vi.mock('../../src/limit/limit.ts', async (original) => {
  const real = await original<typeof import('../../src/limit/limit.ts')>();
  const createLimiter: typeof real.createLimiter = (...given) => {
    const limiter = real.createLimiter(...given);
    return {
      ...limiter,
      admit(...asked) {
        const permit = limiter.admit(...asked);
        if (permit instanceof Refusal) return permit;
        ledger.admitted += 1;
        return {
          headers: permit.headers,
          limits: permit.limits,
          waitMs: permit.waitMs,
          cover: (target) => permit.cover(target),
          stream: (tokens) => permit.stream(tokens),
          release: () => permit.release(),
          settle(usage, costNanoUsd) {
            const tokens = usage === null ? Number.NaN : usage.inputTokens + usage.outputTokens;
            ledger.settled.push({ tokens, costNanoUsd });
            permit.settle(usage, costNanoUsd);
          },
        };
      },
    };
  };
  return { ...real, createLimiter };
});

/** Nano-dollars a token. */
const price = { input: 3000, output: 15_000 };
const catalog = { models: [{ model: testModel, inputUsdPerMTok: 3, outputUsdPerMTok: 15 }] };

interface Row {
  readonly way: string;
  readonly reserved: number;
  readonly charged: number;
  readonly refunded: number;
  readonly truth: number;
  readonly off: string;
}

describe.each(wires)('$name', (wire) => {
  const rows: Row[] = [];
  const time = standingTime();
  let first: Upstream;
  let second: Upstream;
  let probe: Upstream;
  let sidecar: TestSidecar;
  let cases = 0;
  let mark = { admitted: 0, settled: 0 };

  beforeAll(async () => {
    first = await startUpstream();
    second = await startUpstream();
    probe = await startUpstream(refuses(openaiWire.error(400, 'only the level is asked for')));
    const config: ConfigInput = {
      listen: { drainMs: 100 },
      limits: [{ name: 'tokens', unit: 'tokens', capacity: 1e9, refillPerSecond: 1e-6 }],
      providers: {
        first: { dialect: wire.name, baseUrl: first.baseUrl },
        second: { dialect: wire.name, baseUrl: second.baseUrl },
        probe: { dialect: 'openai', baseUrl: probe.baseUrl },
      },
      routes: [
        { model: testModel, targets: [{ provider: 'first' }, { provider: 'second' }] },
        { model: 'probe', targets: [{ provider: 'probe' }] },
      ],
      catalog,
      attempt: { retriesMax: 0, breaker: { failures: 1000 } },
    };
    sidecar = await startTestSidecar(config, time.world);
  });
  afterAll(async () => {
    await Promise.all([first, second, probe].map((upstream) => upstream.close()));
    const widths = [30, 9, 9, 9, 9, 7];
    const line = (cells: readonly unknown[]): string =>
      cells
        .map((cell, i) => (i === 0 ? String(cell).padEnd(30) : String(cell).padStart(widths[i] ?? 8)))
        .join(' ');
    const head = line([wire.name, 'reserved', 'charged', 'refunded', 'provider', 'off']);
    console.log([head, ...rows.map((row) => line(Object.values(row)))].join('\n'));
  });

  /** What the limit holds. The asking costs nothing, and what it reserves is always the same. */
  const level = async (): Promise<number> => {
    const body = { model: 'probe', max_tokens: 1, messages: [] };
    const { headers } = await ask(sidecar.url, openaiWire.path, {
      body,
      headers: { 'cache-control': 'no-store' },
    });
    return Number(/"tokens";r=(\d+)/.exec(String(headers.ratelimit))?.[1]);
  };

  const begin = (stream: boolean, headers: Readonly<Record<string, string>> = {}): [Sent, string] => {
    const user = `case-${cases++}`;
    const body = wire.request(prompt, { max_tokens: 2000, stream });
    const given = { 'cache-control': 'no-store', 'x-sidegate-user': user, ...headers };
    return [send(sidecar.url, wire.path, { body, headers: given }), user];
  };
  const recordOf = (name: string): Promise<LoggedRecord> => sidecar.recordWhere(({ user }) => user === name);

  /** Permits given and not settled, or settled twice, since the last time. */
  const settledOnce = (): void => {
    const { admitted, settled } = ledger;
    expect(settled.length - mark.settled).toBe(admitted - mark.admitted);
    mark = { admitted, settled: settled.length };
  };

  const check = (
    way: string,
    reserved: number,
    charged: number,
    truth: Truth,
    record: LoggedRecord,
  ): void => {
    const tokens = truth.input + truth.output;
    const off = tokens === 0 ? 0 : (charged - tokens) / tokens;
    const row = { way, reserved, charged, refunded: reserved - charged, truth: tokens };
    rows.push({ ...row, off: `${(off * 100).toFixed(2)}%` });
    expect(charged).toBe(record.inputTokens + record.outputTokens);
    expect(record.costNanoUsd).toBe(record.inputTokens * price.input + record.outputTokens * price.output);
    expect(record.priced).toBe(true);
    if (truth.exact)
      return expect(record).toMatchObject({ inputTokens: truth.input, outputTokens: truth.output });
    expect(Math.abs(off)).toBeLessThanOrEqual(0.03);
    expect(Math.abs(record.outputTokens - truth.output)).toBeLessThanOrEqual(0.03 * truth.output);
  };

  test.each(ways(wire))('$name (stream: $stream)', async (way) => {
    const before = await level();
    const held = Promise.withResolvers<void>();
    first.answer(async (call) => {
      await held.promise;
      way.first(call);
    });
    second.answer(way.second ?? refuses(wire.error(500, 'no')));
    const at = first.calls.length;
    const [sent, user] = begin(way.stream, way.headers);
    const call = await first.call(at);
    const reserved = before - (await level());
    held.resolve();
    await (way.client?.(sent, level, time.pass) ?? sent.reply.then((reply) => reply.all()));
    const record = await recordOf(user);
    const charged = before - (await level());
    check(
      `${way.name} ${way.stream ? '(stream)' : '(whole)'}`,
      reserved,
      charged,
      way.truth(wire, call),
      record,
    );
    expect(reserved).toBeGreaterThan(2000);
    if (way.record !== undefined) expect(record).toMatchObject(way.record);
    settledOnce();
  });

  test.each([true, false])('cache hit, replay and join (stream: %s)', async (stream) => {
    const kind = stream ? '(stream)' : '(whole)';
    const fresh = `no-cache-${kind}`;
    const cost = stated.input * price.input + stated.output * price.output;
    first.answer(answers(wire, ...pieces));
    const key = { 'idempotency-key': fresh, 'cache-control': 'max-age=60', 'x-sidegate-user': 'hits' };
    const unkeyed = { 'cache-control': 'max-age=60', 'x-sidegate-user': 'hits' };
    const calls = first.calls.length;
    await (await begin(stream, key)[0].reply).all();
    for (const [name, headers] of [
      ['cache hit', unkeyed],
      ['replay', key],
    ] as const) {
      const before = await level();
      const seen = sidecar.records().length;
      await (await begin(stream, headers)[0].reply).all();
      const charged = before - (await level());
      const record = sidecar
        .records()
        .slice(seen)
        .find(({ user }) => user === 'hits');
      if (record === undefined) throw new Error('no record');
      check(`${name} ${kind}`, charged, charged, nothing, record);
      expect(record).toMatchObject({ savedNanoUsd: cost, replayed: name === 'replay' });
    }
    expect(first.calls).toHaveLength(calls + 1);

    const before = await level();
    const held = Promise.withResolvers<void>();
    first.answer(async (call) => {
      await held.promise;
      answers(wire, ...pieces)(call);
    });
    const user = stream ? 'join-stream' : 'join-whole';
    const keyed = { 'idempotency-key': user, 'x-sidegate-user': user };
    const [one] = begin(stream, keyed);
    await first.call(calls + 1);
    const reserved = before - (await level());
    const joined = [begin(stream, keyed), begin(stream, keyed)];
    // The sidecar has read them when it answers what came after them.
    await level();
    held.resolve();
    const texts = await Promise.all(
      [one, ...joined.map(([sent]) => sent)].map(async ({ reply }) => (await reply).all()),
    );
    expect(new Set(texts).size).toBe(1);
    const record = await sidecar.recordWhere((each) => each.user === user && !each.replayed);
    const repeats = sidecar.records().filter((each) => each.user === user && each.replayed);
    expect(repeats).toHaveLength(2);
    for (const each of repeats)
      expect(each).toMatchObject({ inputTokens: 0, costNanoUsd: 0, savedNanoUsd: cost });
    check(`join ${kind}`, reserved, before - (await level()), stated, record);
    expect(first.calls).toHaveLength(calls + 2);
    settledOnce();
  });

  test('drain', async () => {
    const before = await level();
    const at = first.calls.length;
    first.answer((call) => opens(call, wire, true, half));
    const [sent, user] = begin(true);
    const call = await first.call(at);
    await (await sent.reply).sees(JSON.stringify(last).slice(1, -1));
    const reserved = before - (await level());
    const settled = ledger.settled.length;
    const end = (await sent.reply).all();
    await sidecar.stop();
    expect(await end).toContain('draining');
    // No limit can be asked any more, so it is the permit that is looked at.
    const [paid] = ledger.settled.slice(settled);
    const record = await recordOf(user);
    check('drain (stream)', reserved, paid?.tokens ?? Number.NaN, counted(call, half.join('')), record);
    settledOnce();
  });
});
