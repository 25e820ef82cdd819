/** The record of what was tried, and the error that is made of it. */
import { describe, expect, test } from 'vitest';
import { Trail } from '../../src/attempt/trail.ts';
import type { OpenCall } from '../../src/upstream/open-call.ts';

describe('trail', () => {
  test('a skipped target doesn’t count as a call, and the shortest wait is reported', () => {
    const trail = new Trail();
    trail.skip('a/x', 'cooling_down', 'rate_limited', 9_000, 0);
    trail.skip('b/x', 'breaker_open', 'breaker_open', 4_000, 0);
    expect(trail.calls).toBe(0);
    expect(trail.refusal([])).toMatchObject({ code: 'targets_down', retryAfterMs: 4_000 });
    expect(trail.text).toBe('a/x: cooling_down, b/x: breaker_open');
  });

  test.each([
    [['rate_limited', 'cooling_down', 'own_limit', 'connections', 'wrong_key'], 60_000, true],
    [['cooling_down'], 60_001, false],
    [['cooling_down', 'quota'], 1, true],
    [['quota', 'wrong_key'], 1, false],
    [['cooling_down', 'breaker_open'], 1, false],
    [['cooling_down', 'reset'], 1, false],
  ])('after %j and a wait of %i ms a client may repeat its request: %s', (outcomes, waitMs, may) => {
    const trail = new Trail();
    for (const [at, outcome] of outcomes.entries()) trail.skip(`${at}/x`, outcome, '', waitMs, 0);
    expect(trail.refusal([]).headers).toEqual(may ? [] : ['x-should-retry', 'false']);
  });

  test.each([
    ['upstream_timeout', ['first_token_timeout', 'deadline']],
    ['upstream_failed', ['status 500', 'malformed']],
    ['targets_down', ['first_token_timeout', 'reset']],
    ['upstream_credential', ['credential']],
  ])('%s is made of %j', (code, outcomes) => {
    const trail = new Trail();
    const openCall = { target: { label: 'a/x' }, sentMs: 0, ttftMs: null, model: 'x' } as unknown as OpenCall;
    for (const outcome of outcomes) trail.add(openCall, outcome, 'server', null, 0);
    expect(trail.refusal([]).code).toBe(code);
    expect(trail.refusal([]).message).toContain(`Tried a/x: ${outcomes[0]}`);
  });
});
