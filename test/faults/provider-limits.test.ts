/** Providers that are busy: their limits, their spend caps, and bursts of server errors. */
import { describe, expect, test } from 'vitest';
import { labelOf, metricIn, startChain } from '../support/chain.ts';
import { type ErrorReply, wires } from '../support/replies.ts';
import { answers, refuses } from '../support/upstream.ts';

/** A clock that a test sets; the date is fixed. */
function stoppedTime() {
  const time = { nowMs: 0 };
  const world = { clock: () => time.nowMs, wallClock: () => Date.UTC(2030, 0, 1) };
  return { time, world };
}

describe.each(wires)('$name', (wire) => {
  const good = answers(wire, 'Good');
  const limited = wire.error(429, 'Slow down');
  const reset = (what: string, remaining: string, openai: string, date: string): Record<string, string> =>
    wire.name === 'openai'
      ? { [`x-ratelimit-remaining-${what}`]: remaining, [`x-ratelimit-reset-${what}`]: openai }
      : { [`anthropic-ratelimit-${what}-remaining`]: remaining, [`anthropic-ratelimit-${what}-reset`]: date };

  test.each<[string, Readonly<Record<string, string>>, number]>([
    ['Retry-After', { 'retry-after': '7' }, 7_000],
    ['retry-after-ms', { 'retry-after-ms': '1500', 'retry-after': '2' }, 1_500],
    ['the one reset header', reset('requests', '0', '6m0s', '2030-01-01T00:06:00Z'), 360_000],
    [
      'the reset of the limit that is used up, not of the other',
      {
        ...reset('requests', '17', '20ms', '2030-01-01T00:00:00Z'),
        ...reset('tokens', '0', '9s', '2030-01-01T00:00:09Z'),
      },
      9_000,
    ],
    [
      'the later of two that are used up',
      {
        ...reset('requests', '0', '1m2.5s', '2030-01-01T00:01:02.5Z'),
        ...reset('tokens', '0', '300ms', '2030-01-01T00:00:00.3Z'),
      },
      62_500,
    ],
    [
      'Retry-After before the resets',
      { 'retry-after': '2', ...reset('requests', '0', '8h0m0s', '2030-01-01T08:00:00Z') },
      2_000,
    ],
    ['none of them, as they make no sense', reset('requests', '0', 'soon', 'tomorrow'), 1_000],
  ])('row 7: a 429 lets the target rest as long as %s says', async (_, headers, restMs) => {
    const { time, world } = stoppedTime();
    const attempt = { retriesMax: 3, breaker: { failures: 1 } };
    const chain = await startChain(wire, [[refuses(limited, headers), good], [good]], { attempt }, world);
    for (const nowMs of [0, restMs - 1]) {
      time.nowMs = nowMs;
      expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
    }
    expect(chain.first.calls).toHaveLength(1);
    time.nowMs = restMs;
    expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(0));
    expect(await chain.breaker()).toBe('closed');
  });

  test('row 7: nothing sleeps past the deadline of the client', async () => {
    const attempt = { retriesMax: 5, backoffBaseMs: 1000, backoffMaxMs: 60_000 };
    for (const status of [429, 503]) {
      const busy = refuses(wire.error(status, 'Busy'), { 'retry-after': '30' });
      const chain = await startChain(wire, [[busy]], { attempt });
      const sinceMs = performance.now();
      const reply = await chain.ask({}, { 'x-sidegate-timeout': '10000' });
      expect(performance.now() - sinceMs).toBeLessThan(10_000);
      expect(reply.status).toBe(status);
      expect(chain.first.calls).toHaveLength(1);
    }
  });

  const spent: readonly ErrorReply[] =
    wire.name === 'openai'
      ? ['insufficient_quota', 'credit_balance_exhausted', 'billing_hard_limit_reached'].map((code) => ({
          status: 429,
          headers: { 'content-type': 'application/json' },
          body: `{"error":{"message":"You exceeded your quota","type":"${code}","param":null,"code":"${code}"}}`,
        }))
      : [
          wire.error(400, 'Your credit balance is too low to access the Anthropic API.'),
          wire.error(429, 'Your organization has reached its monthly spend limit.'),
        ];

  test.each(spent)('row 8: a spent quota is not retried: $body', async (refusal) => {
    const { time, world } = stoppedTime();
    const attempt = { retriesMax: 3 };
    // A limit that refills soon says nothing of money.
    const headers = reset('requests', '0', '1s', '2030-01-01T00:00:01Z');
    const chain = await startChain(wire, [[refuses(refusal, headers)], [good]], { attempt }, world);
    expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
    time.nowMs = 30_000;
    expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
    expect(chain.first.calls).toHaveLength(1);
    expect(await chain.breaker()).toBe('closed');
    const alone = await startChain(wire, [[refuses(refusal)]], { attempt });
    const reply = await alone.ask();
    expect(reply).toMatchObject({ status: refusal.status, text: refusal.body });
    expect(reply.headers['x-should-retry']).toBe('false');
    // Nor is it waited for while the key rests.
    const next = await alone.ask();
    expect([next.status, next.headers['x-should-retry']]).toEqual([503, 'false']);
    expect(next.text).toContain(`${labelOf(0)}: quota`);
    expect(alone.first.calls).toHaveLength(1);
  });

  test.each([false, true])(
    'a limit is waited for though the quota of another target is spent; that one is asked first: %s',
    async (isFirst) => {
      const { time, world } = stoppedTime();
      const limits = refuses(wire.error(429, 'slow down'), { 'retry-after': '2' });
      const spends = refuses(spent[0] as ErrorReply);
      const scripts = isFirst ? [[spends], [limits]] : [[limits], [spends]];
      const chain = await startChain(wire, scripts, {}, world);
      await chain.ask();
      // While both rest, and while only the one does whose quota is spent.
      for (const nowMs of [0, 2000]) {
        time.nowMs = nowMs;
        const { status, headers } = await chain.ask();
        expect([status, headers['retry-after']]).toEqual([nowMs === 0 ? 503 : 429, '2']);
        expect(headers['x-should-retry']).toBeUndefined();
      }
    },
  );

  test.each([503, 529])(
    'row 9: a %i is retried after a jittered wait, then the next target answers',
    async (status) => {
      const drawn: number[] = [];
      const random = (): number => {
        drawn.push(0.5);
        return 0.5;
      };
      const attempt = { retriesMax: 2, backoffBaseMs: 2, breaker: { failures: 6 } };
      const chain = await startChain(
        wire,
        [[refuses(wire.error(status, 'Overloaded'))], [good]],
        { attempt },
        { random },
      );
      for (let i = 0; i < 2; i++) expect((await chain.ask()).headers['x-sidegate-target']).toBe(labelOf(1));
      expect(chain.first.calls).toHaveLength(6);
      expect(drawn).toHaveLength(4);
      expect(await chain.breaker()).toBe('open');
      expect(chain.records()[0]?.tried).toBe(
        `${Array(3)
          .fill(`${labelOf(0)}: status ${status}`)
          .join(', ')}, ${labelOf(1)}: ok`,
      );
    },
  );

  test('row 10: over a burst of 5xx the breaker opens, and each request makes 1.2 attempts at most', async () => {
    const attempt = { retriesMax: 2, breaker: { failures: 5, cooldownMs: 60_000 } };
    const chain = await startChain(wire, [[refuses(wire.error(500, 'Broken'))], [good]], { attempt });
    const requests = 300;
    const replies: number[] = [];
    for (let sent = 0; sent < requests; sent += 10) {
      const ten = await Promise.all(Array.from({ length: 10 }, () => chain.ask()));
      replies.push(...ten.map(({ status }) => status));
    }
    expect(replies.filter((status) => status === 200)).toHaveLength(requests);
    const attempts = chain.first.calls.length + chain.second.calls.length;
    expect(attempts / requests).toBeLessThanOrEqual(1.2);
    expect(chain.second.calls).toHaveLength(requests);
  });

  test('row 10: without a fallback the retry budget bounds them, also where no breaker opens', async () => {
    const { world } = stoppedTime();
    const attempt = {
      retriesMax: 3,
      breaker: { failures: 1000, callsMin: 0 },
      retryBudget: { ratio: 0.2, minPerSecond: 1 },
    };
    const chain = await startChain(wire, [[refuses(wire.error(500, 'Broken'))]], { attempt }, world);
    for (let sent = 0; sent < 200; sent += 10)
      await Promise.all(Array.from({ length: 10 }, () => chain.ask()));
    expect(chain.first.calls.length).toBe(200 * 1.2);
    const refused = metricIn(await chain.metrics(), 'sidegate_retry_budget_refused_total', { kind: 'retry' });
    expect(refused).toBeGreaterThan(0);
  });
});
