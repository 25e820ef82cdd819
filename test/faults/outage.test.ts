/**
 * Outages of five seconds on a clock that the test turns: whether clients notice, how much the target is asked meanwhile,
 * and how soon it is used again. `npm run scenarios` has outages of a minute in real time.
 */
import { expect, test } from 'vitest';
import { labelOf, startChain } from '../support/chain.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { silenceMs, standingTime } from '../support/time.ts';
import { answers, hangs, refuses, type Script } from '../support/upstream.ts';

const stepMs = 50;
/** Requests that are sent together in each step, until all have their end: 200 in a second. */
const together = 10;
const outageMs = 5000;
const cooldownMs = 300;
const cooldownMaxMs = 4 * cooldownMs;

test.each([
  ['server errors', refuses(wire.error(500, 'Broken')), 10_000],
  ['timeouts', hangs, silenceMs],
])('an outage by %s fails no client, and multiplies nothing', async (_, bad, firstTokenTimeoutMs) => {
  const time = standingTime();
  // Whatever chance has to say about waiting: at once.
  const world = { ...time.world, random: () => 0 };
  let healthy = true;
  let inFlight = 0;
  let inFlightMax = 0;
  /** Of the requests of a step, those under way, and those of them that wait for nothing but a timeout. */
  const load = { underWay: 0, hanging: 0 };
  const timeOut = (): void => {
    if (load.hanging === 0 || load.hanging < load.underWay) return;
    load.hanging = 0;
    time.pass(silenceMs);
  };
  const good = answers(wire, 'Good');
  const primary: Script = (call) => {
    inFlightMax = Math.max(inFlightMax, ++inFlight);
    void call.aborted.then(() => inFlight--);
    if (!healthy && bad === hangs) {
      load.hanging++;
      return timeOut();
    }
    inFlight--;
    return (healthy ? good : bad)(call);
  };
  const attempt = {
    firstTokenTimeoutMs,
    retriesMax: 1,
    backoffBaseMs: 100,
    breaker: { failures: 5, cooldownMs, cooldownMaxMs },
  };
  const chain = await startChain(wire, [[primary], [good]], { attempt }, world);

  let requests = 0;
  /** One step of load; gives how many were answered by the first target. */
  const step = async (): Promise<number> => {
    time.pass(stepMs);
    requests += together;
    load.underWay = together;
    const ask = async () => {
      const reply = await chain.ask({ stream: true });
      load.underWay--;
      timeOut();
      return reply;
    };
    const replies = await Promise.all(Array.from({ length: together }, ask));
    for (const { status, text } of replies) expect([status, wire.textOf(text)]).toEqual([200, 'Good']);
    return replies.filter(({ headers }) => headers['x-sidegate-target'] === labelOf(0)).length;
  };

  for (let i = 0; i < 3; i++) expect(await step()).toBe(together);
  healthy = false;
  const calls = (): number => chain.first.calls.length + chain.second.calls.length;
  const before = { nowMs: time.nowMs, requests, calls: calls() };
  await step();
  expect(await chain.breaker()).not.toBe('closed');
  const burst = chain.first.calls.length;
  inFlightMax = 0;
  while (time.nowMs < before.nowMs + outageMs) await step();
  const probes = chain.first.calls.length - burst;
  expect((calls() - before.calls) / (requests - before.requests)).toBeLessThanOrEqual(1.2);
  expect(inFlightMax).toBe(1);
  // Cooldowns of 1, 2, 4, 4, … times the first: no more probes than fit, and each of them is made.
  expect(probes).toBeLessThanOrEqual(3 + outageMs / cooldownMaxMs);
  expect(probes).toBeGreaterThanOrEqual(Math.floor(outageMs / cooldownMaxMs));

  healthy = true;
  const healedMs = time.nowMs;
  while ((await step()) === 0) expect(time.nowMs - healedMs).toBeLessThanOrEqual(cooldownMaxMs);
  expect(await step()).toBe(together);
  expect(await chain.breaker()).toBe('closed');
});
