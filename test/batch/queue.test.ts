/** The batch queue's parts, with a passed-in clock: its order, its pace, and the choice of targets. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createHeap } from '../../src/batch/heap.ts';
import { Pace } from '../../src/batch/pace.ts';
import { FairQueue, type Queued } from '../../src/batch/queue.ts';
import { createRoom, type Room, roomiestFirst } from '../../src/batch/targets.ts';
import type { EngineName } from '../../src/catalog/engines.ts';
import { type Price, unknownFacts } from '../../src/catalog/facts.ts';
import { configSchema } from '../../src/config/schema.ts';
import { breaker } from '../../src/native/breaker.ts';
import { meter } from '../../src/native/meters.ts';
import { breakerSettings } from '../../src/upstream/health.ts';
import { PeakEwma } from '../../src/upstream/peak-ewma.ts';
import { createProvider } from '../../src/upstream/provider.ts';
import { openQuota, settleQuotas, takeQuotas } from '../../src/upstream/quota.ts';
import type { FallbackCause, Step, Target } from '../../src/upstream/target.ts';

interface Entry extends Queued {
  readonly name: string;
}

const entry = (tenant: string, deadlineMs: number, cost = 1, name = ''): Entry => ({
  tenant,
  cost,
  bytes: 10,
  deadlineMs,
  waiting: false,
  name,
});

const any = (): boolean => true;

/** All requests of the queue, in the order it returns them. */
function drained(queue: FairQueue<Entry>): Entry[] {
  const all: Entry[] = [];
  for (let next = queue.take(any); next !== null; next = queue.take(any)) all.push(next);
  return all;
}

test('the heap returns its items by key', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = createHeap<number>((item) => item);
      for (const number of numbers) heap.push(number);
      const given = numbers.map(() => heap.pop());
      expect(given).toEqual([...numbers].sort((a, b) => a - b));
      expect(heap.pop()).toBeUndefined();
    }),
  );
});

describe('the order', () => {
  test('within a tenant: the earliest deadline, then the first to arrive', () => {
    const queue = new FairQueue<Entry>();
    for (const [name, deadlineMs] of [
      ['late', 30],
      ['soon', 10],
      ['late too', 30],
      ['between', 20],
    ] as const)
      queue.add(entry('a', deadlineMs, 1, name));
    expect(queue.rank('a', 20)).toBe(2);
    expect(drained(queue).map(({ name }) => name)).toEqual(['soon', 'between', 'late', 'late too']);
  });

  test('tenants take turns, however many each has, and by cost', () => {
    const queue = new FairQueue<Entry>();
    for (let i = 0; i < 1000; i++) queue.add(entry('many', 1000 + i, 10));
    for (let i = 0; i < 20; i++) queue.add(entry('few', 1, 10));
    for (let i = 0; i < 20; i++) queue.add(entry('large', 1, 50));
    const first = drained(queue).slice(0, 44);
    const of = (tenant: string): number => first.filter((each) => each.tenant === tenant).length;
    // 20 of the cost 10 are as much as 4 of the cost 50.
    expect([of('many'), of('few'), of('large')]).toEqual([20, 20, 4]);
  });

  test('a tenant that rejoins for each turn doesn’t starve the others', () => {
    const queue = new FairQueue<Entry>();
    for (let i = 0; i < 100; i++) queue.add(entry('steady', 1, 5));
    let back = 0;
    for (let i = 0; i < 100; i++) {
      queue.add(entry('back', 1, 5));
      if (queue.take(any)?.tenant === 'back') back += 1;
    }
    expect(back).toBeGreaterThanOrEqual(45);
    expect(back).toBeLessThanOrEqual(55);
  });

  test('a tenant that can’t start now is skipped, and earns no credit', () => {
    const queue = new FairQueue<Entry>();
    for (let i = 0; i < 50; i++) for (const tenant of ['a', 'b']) queue.add(entry(tenant, 1));
    const onlyB = ({ tenant }: Entry): boolean => tenant === 'b';
    for (let i = 0; i < 20; i++) expect(queue.take(onlyB)?.tenant).toBe('b');
    const next = Array.from({ length: 20 }, () => queue.take(any)?.tenant);
    expect(next.filter((tenant) => tenant === 'a').length).toBeLessThanOrEqual(12);
    expect(queue.take(() => false)).toBeNull();
    expect(queue.size).toBe(60);
  });

  test('a request that can’t start doesn’t block those behind it, however many were removed in between', () => {
    const queue = new FairQueue<Entry>();
    for (let i = 0; i < 63; i++) queue.add(entry('a', 1, 1, 'blocked'));
    for (let i = 0; i < 500; i++) queue.add(entry('a', 2 + i));
    const free = ({ name }: Entry): boolean => name !== 'blocked';
    for (let i = 0; i < 500; i++) expect(queue.take(free)?.deadlineMs).toBe(2 + i);
    expect(queue.take(free)).toBeNull();
    expect(drained(queue)).toHaveLength(63);
  });

  test('a search tries 64 requests of a tenant, then the next tenant', () => {
    const queue = new FairQueue<Entry>();
    for (let i = 0; i < 1000; i++) queue.add(entry('a', i, 1, 'blocked'));
    queue.add(entry('b', 5000));
    let looks = 0;
    const taken = queue.take(({ name }) => {
      looks += 1;
      return name !== 'blocked';
    });
    expect([taken?.tenant, looks]).toEqual(['b', 65]);
  });

  test('under random additions, removals and sweeps nothing is lost, returned twice or miscounted', () => {
    const action = fc.oneof(
      fc.record({
        do: fc.constant('add' as const),
        tenant: fc.integer({ min: 0, max: 3 }),
        deadlineMs: fc.nat(50),
      }),
      fc.record({ do: fc.constant('take' as const) }),
      fc.record({ do: fc.constant('remove' as const), at: fc.nat(100) }),
      fc.record({ do: fc.constant('sweep' as const), beforeMs: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
        const queue = new FairQueue<Entry>();
        const waiting = new Set<Entry>();
        for (const step of actions) {
          if (step.do === 'add') {
            const next = entry(`t${step.tenant}`, step.deadlineMs);
            queue.add(next);
            waiting.add(next);
          } else if (step.do === 'take') {
            const taken = queue.take(any);
            expect(taken === null).toBe(waiting.size === 0);
            if (taken === null) continue;
            expect(waiting.delete(taken)).toBe(true);
            const own = [...waiting].filter(({ tenant }) => tenant === taken.tenant);
            for (const { deadlineMs } of own) expect(deadlineMs).toBeGreaterThanOrEqual(taken.deadlineMs);
          } else if (step.do === 'remove') {
            const leaving = [...waiting][step.at % Math.max(1, waiting.size)];
            if (leaving === undefined) continue;
            queue.remove(leaving);
            queue.remove(leaving);
            waiting.delete(leaving);
          } else {
            queue.sweep((each, rank) => {
              expect(rank).toBeLessThan(waiting.size);
              const out = each.deadlineMs < step.beforeMs;
              if (out) expect(waiting.delete(each)).toBe(true);
              return out;
            });
          }
          expect(queue.size).toBe(waiting.size);
          expect(queue.bytes).toBe(waiting.size * 10);
          expect(queue.tenants).toBe(new Set([...waiting].map(({ tenant }) => tenant)).size);
          const deadlines = [...waiting].map(({ deadlineMs }) => deadlineMs);
          expect(queue.nextDeadlineMs).toBe(Math.min(Number.POSITIVE_INFINITY, ...deadlines));
        }
        expect(new Set(drained(queue))).toEqual(waiting);
      }),
    );
  });

  test('removing is cheap, however many wait', () => {
    // Counted by elements moved, since time depends on the machine: all leave, last one first.
    const queue = new FairQueue<Entry>();
    const entries = Array.from({ length: 20_000 }, (_, i) => entry('a', i));
    for (const each of entries) queue.add(each);
    const filter = Array.prototype.filter;
    let moved = 0;
    Array.prototype.filter = function (this: unknown[], ...args: Parameters<typeof filter>) {
      moved += this.length;
      return filter.apply(this, args);
    } as typeof filter;
    try {
      for (const each of entries.reverse()) queue.remove(each);
    } finally {
      Array.prototype.filter = filter;
    }
    expect(queue.size).toBe(0);
    expect(moved / entries.length).toBeLessThan(12);
  });
});

describe('the pace', () => {
  test('nothing is estimated before a request has ended', () => {
    const pace = new Pace(8, 0);
    expect([pace.limit, pace.serviceMs, pace.perMs, pace.answeredInMs(5)]).toEqual([8, null, null, null]);
  });

  test('the queue drains at concurrency divided by time in flight', () => {
    const pace = new Pace(10, 0);
    for (let i = 0; i < 50; i++) pace.ended(i, 200, 'ok');
    expect(pace.serviceMs).toBeCloseTo(200);
    expect(pace.perMs).toBeCloseTo(10 / 200);
    expect(pace.answeredInMs(100)).toBeCloseTo(100 * 20 + 200);
  });

  test('a limit that interactive traffic leaves unused makes it slower, until the backlog is over', () => {
    const pace = new Pace(10, 0);
    pace.ended(0, 100, 'ok');
    for (let nowMs = 0; nowMs <= 60_000; nowMs += 100) pace.observe(nowMs, 1, true);
    expect(pace.perMs).toBeCloseTo(0.1 * (10 / 100), 3);
    pace.observe(60_100, 0, false);
    expect(pace.perMs).toBeCloseTo(10 / 100);
  });

  test('providers without room halve the limit once for those sent together, and successes raise it again', () => {
    const pace = new Pace(16, 0);
    pace.ended(0, 100, 'ok');
    for (let i = 0; i < 16; i++) pace.ended(1000 + i, 5, 'overloaded');
    expect(pace.limit).toBe(8);
    pace.ended(2000, 5, 'overloaded');
    expect(pace.limit).toBe(4);
    for (let i = 0; i < 10; i++) pace.ended(3000, 100, 'ok');
    expect(pace.limit).toBeGreaterThan(4);
    for (let i = 0; i < 1000; i++) pace.ended(4000, 100, 'ok');
    expect(pace.limit).toBe(16);
    pace.limitMax = 2;
    expect(pace.limit).toBe(2);
    for (let i = 0; i < 100; i++) pace.ended(10_000 * (i + 1), 5, 'overloaded');
    expect(pace.limit).toBe(1);
  });
});

test('those that were sent before the limit was halved say nothing new, whatever was measured before', () => {
  const pace = new Pace(16, 0);
  // All begin at 1000, and none has been answered before.
  for (let i = 0; i < 16; i++) pace.ended(1200 + i, 200 + i, 'overloaded');
  expect(pace.limit).toBe(8);
  pace.ended(1400, 150, 'overloaded');
  expect(pace.limit).toBe(4);
});

test('a raised bound counts at once, unless providers have no room', () => {
  const pace = new Pace(2, 0);
  pace.limitMax = 16;
  expect(pace.limit).toBe(16);
  pace.ended(0, 100, 'overloaded');
  pace.limitMax = 32;
  expect(pace.limit).toBe(8);
});

describe('the choice of targets', () => {
  const { attempt } = configSchema.parse({});
  /** Nothing is asked of a target but itself. */
  const alone = { provider: () => null, quota: () => null };

  function step(
    name: string,
    price: Price | null,
    engine?: EngineName,
    on: FallbackCause[] | null = null,
  ): Step {
    const provider = createProvider(
      name,
      { dialect: 'openai', baseUrl: 'http://127.0.0.1:9/v1', credential: 'gateway', headers: {}, engine },
      attempt,
      null,
    );
    const health = {
      breakerId: breaker.open(
        breakerSettings({ ...attempt, breaker: { ...attempt.breaker, failures: 1 } }, 1),
      ),
      inFlight: 0,
      latency: new PeakEwma(),
    };
    const facts = { ...unknownFacts, price };
    return {
      target: { provider, model: null, label: name, health, facts },
      on: on === null ? null : new Set(on),
      group: 0,
      depth: 1,
    };
  }
  const rest = ({ provider, label }: Target, untilMs: number): void => {
    for (const { limitedUntilMs } of provider.credentials) limitedUntilMs.set(label, untilMs);
  };
  const cheapestFirst = (steps: readonly Step[], tokens: number, room: Room) =>
    roomiestFirst(steps, { fixed: true }, tokens, room);
  const names = (steps: readonly Step[] | null): string[] | null =>
    steps === null ? null : steps.map(({ target }) => target.label);
  const price = (dollars: number): Price => ({
    input: dollars,
    cachedInput: 0,
    cacheWrite: 0,
    output: dollars,
  });

  test('the cheapest first: self-hosted engines, then by price, then those without one', () => {
    const steps = [
      step('unknown', null),
      step('dear', price(9)),
      step('own', null, 'vllm'),
      step('cheap', price(1)),
    ];
    expect(names(cheapestFirst(steps, 0, createRoom(alone, 0)))).toEqual(['own', 'cheap', 'dear', 'unknown']);
  });

  test('targets cooling down, open, down or busy come after those with room; if none has room, the request waits', () => {
    const [coolingDown, open, down, busy, full, free] = [
      step('cooling', price(1)),
      step('open', price(1)),
      step('down', null, 'ollama'),
      step('busy', null, 'vllm'),
      step('full', null, 'vllm'),
      step('free', price(99)),
    ] as const;
    rest(coolingDown.target, 100);
    const ticket = breaker.admit(open.target.health.breakerId, 0);
    breaker.report(open.target.health.breakerId, ticket, 1, 0, 0);
    Object.assign(down.target.provider.engine ?? {}, { failures: 9 });
    Object.assign(busy.target.provider.engine ?? {}, { seenMs: 0, waiting: 1 });
    Object.assign(full.target.provider.engine ?? {}, { seenMs: 0, cacheUse: 0.95 });
    const all = [coolingDown, open, down, busy, full];
    expect(cheapestFirst(all, 0, createRoom(alone, 0))).toBeNull();
    expect(names(cheapestFirst([...all, free], 0, createRoom(alone, 0)))?.[0]).toBe('free');
    // After its rest it has room again; numbers that are too old are not believed.
    expect(names(cheapestFirst(all, 0, createRoom(alone, 150)))?.[0]).toBe('cooling');
    expect(names(cheapestFirst([busy], 0, createRoom(alone, 60_000)))).toEqual(['busy']);
  });

  test('what a strategy chose stays first while it has room, whatever the others cost', () => {
    const steps = [step('chosen', price(9)), step('cheap', price(1)), step('middle', price(5))];
    const ordered = (nowMs: number) =>
      names(roomiestFirst(steps, { fixed: false }, 0, createRoom(alone, nowMs)));
    expect(ordered(0)).toEqual(['chosen', 'cheap', 'middle']);
    for (const { target } of steps.slice(0, 1)) rest(target, 100);
    expect(ordered(50)).toEqual(['cheap', 'middle', 'chosen']);
    expect(ordered(100)).toEqual(['chosen', 'cheap', 'middle']);
  });

  test('upstream limits, a probe in flight and the provider’s breaker leave no room', () => {
    const one = step('one', price(1));
    const two = step('two', price(2));
    const above = breaker.open(breakerSettings(attempt, 1));
    const quota = openQuota(meter.openTable(), { requestsPerMinute: 2, tokensPerMinute: 1000 }, 0);
    const room = (which: Step, tokens: number, nowMs: number): boolean =>
      cheapestFirst([which], tokens, createRoom(health, nowMs)) !== null;
    const health = {
      provider: (name: string) => (name === 'one' ? { breakerId: above, quota: null } : null),
      quota: (label: string) => (label === 'two' ? quota : null),
    };
    expect([room(two, 700, 0), room(two, 5000, 0)]).toEqual([true, true]);
    expect(takeQuotas([quota], 700, 0)).toBe(0);
    expect([room(two, 300, 0), room(two, 301, 0)]).toEqual([true, false]);
    settleQuotas([quota], 700, 700, 0);
    expect(room(two, 301, 1000)).toBe(true);
    expect(takeQuotas([quota], 1, 1000)).toBe(0);
    // Asking has taken nothing, and half a minute brings one request.
    expect([room(two, 1, 29_000), room(two, 1, 30_000)]).toEqual([false, true]);
    const { failures, cooldownMaxMs } = attempt.breaker;
    let nowMs = 0;
    for (const id of [above, one.target.health.breakerId]) {
      for (let i = 0; i < failures; i++) breaker.report(id, breaker.admit(id, nowMs), 1, 0, nowMs);
      expect(room(one, 0, nowMs)).toBe(false);
      nowMs += cooldownMaxMs;
      expect([room(one, 0, nowMs), room(one, 0, nowMs)]).toEqual([true, true]);
      const probe = breaker.admit(id, nowMs);
      expect(room(one, 0, nowMs)).toBe(false);
      breaker.report(id, probe, 0, 0, nowMs);
      expect(room(one, 0, nowMs)).toBe(true);
    }
  });

  test('a request without room is not overtaken in the same search by a smaller one', () => {
    const one = step('one', price(1));
    const quota = openQuota(meter.openTable(), { tokensPerMinute: 1000 }, 0);
    takeQuotas([quota], 500, 0);
    const room = createRoom({ provider: () => null, quota: () => quota }, 0);
    expect([600, 100].map((tokens) => room.has(one.target, tokens))).toEqual([false, false]);
  });

  test('a step behind a condition stays behind the steps it refers to', () => {
    const steps = [
      step('dear', price(9)),
      step('cheap', price(5)),
      step('larger', price(1), undefined, ['context_window']),
    ];
    expect(names(cheapestFirst(steps, 0, createRoom(alone, 0)))).toEqual(['cheap', 'dear', 'larger']);
  });
});
