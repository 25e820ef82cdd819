/** A fleet of breakers in simulated time: what an outage costs with and without the hints of peers. */
import { expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { breaker, breakerOutcome, breakerState, isProbe } from '../../src/native/breaker.ts';
import { breakerSettings } from '../../src/upstream/health.ts';
import { seeded } from '../support/native-random.ts';
import { tableOf } from './load.ts';

const pods = 200;
const outageMs = 60_000;
const untilMs = 180_000;
const tickMs = 10;
/** Of each pod. */
const perSecond = 20;
const answerMs = 50;
/** How often all states are looked at. */
const lookMs = 100;

/** A message to all other pods, or the end of a call. */
interface Due {
  readonly atMs: number;
  run(): void;
}

/** @param hintMs how long a hint takes to arrive; null: there are none */
function simulate(hintMs: number | null) {
  const source = seeded(42);
  const random = (): number => source.below(1_000_000) / 1_000_000;
  const settings = breakerSettings(configSchema.parse({}).attempt, 1);
  const ids = Array.from({ length: pods }, () => breaker.open(settings));
  const due: Due[] = [];
  const count = { probes: 0, failed: 0, probesAtOnce: 0, followAtOnce: 0, allOpenMs: 0, allClosedMs: 0 };
  let probing = 0;
  for (let nowMs = 0; nowMs < untilMs; nowMs += tickMs) {
    while ((due[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) due.shift()?.run();
    for (const [pod, id] of ids.entries()) {
      if (random() >= (perSecond * tickMs) / 1000) continue;
      const ticket = breaker.admit(id, nowMs);
      if (ticket < 0) continue;
      const bad = nowMs < outageMs;
      if (bad) count.failed += 1;
      if (isProbe(ticket)) {
        probing += 1;
        if (bad) count.probes += 1;
        if (bad) count.probesAtOnce = Math.max(count.probesAtOnce, probing);
        else count.followAtOnce = Math.max(count.followAtOnce, probing);
      }
      at(due, nowMs + answerMs, () => {
        if (isProbe(ticket)) probing -= 1;
        const endMs = nowMs + answerMs;
        const outcome = bad ? breakerOutcome.failure : breakerOutcome.success;
        if (!breaker.report(id, ticket, outcome, 0, endMs) || hintMs === null) return;
        for (const [peer, other] of ids.entries()) {
          const arriveMs = endMs + hintMs;
          if (peer !== pod) at(due, arriveMs, () => breaker.hint(other, bad, random(), arriveMs));
        }
      });
    }
    if (nowMs % lookMs !== 0) continue;
    const closed = ids.filter((id) => breaker.state(id, nowMs) === breakerState.closed).length;
    if (closed === 0) count.allOpenMs ||= nowMs;
    if (closed === pods && nowMs > outageMs) {
      count.allClosedMs = nowMs - outageMs;
      break;
    }
  }
  for (const id of ids) breaker.close(id);
  return {
    hints: hintMs === null ? 'none' : `${hintMs} ms`,
    'failed calls in all': count.failed,
    'all open after ms': count.allOpenMs,
    probes: count.probes,
    'probes at once': count.probesAtOnce,
    'after it': count.followAtOnce,
    'all recovered after ms': count.allClosedMs,
  };
}

/** Keeps the list in order of time. */
function at(due: Due[], atMs: number, run: () => void): void {
  let [low, high] = [0, due.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((due[middle]?.atMs ?? 0) <= atMs) low = middle + 1;
    else high = middle;
  }
  due.splice(low, 0, { atMs, run });
}

test('hints of peers spare most evidence and probes, and delay no recovery', () => {
  const [without, with20, with500] = [simulate(null), simulate(20), simulate(500)] as const;
  console.log(
    `${pods} breakers, an outage of 60 s, default settings\n${tableOf([without, with20, with500])}`,
  );
  const { cooldownMaxMs } = configSchema.parse({}).attempt.breaker;
  expect(with20['failed calls in all']).toBeLessThan(0.6 * without['failed calls in all']);
  for (const hinted of [with20, with500]) {
    expect(hinted['failed calls in all']).toBeLessThan(without['failed calls in all']);
    expect(hinted.probes).toBeLessThan(without.probes / 2);
    expect(hinted['probes at once']).toBeLessThan(without['probes at once']);
    expect(hinted['all recovered after ms']).toBeLessThanOrEqual(cooldownMaxMs);
  }
});
