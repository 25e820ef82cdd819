/**
 * An outage of the first target under open-loop load, on real sockets: whether clients notice, how much it is asked
 * meanwhile, and how soon it is used again. Real time is the subject; verdicts are by counts.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { chainConfig, labelOf, metricIn } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, hangs, refuses, type Script, startUpstream } from '../support/upstream.ts';
import { startLoad, tableOf, watchStalls } from './load.ts';

const perSecond = 200;
const wire = openaiWire;

/** Time the rest of the machine may take from this one, in ms. */
const slackMs = 500;

/** How long, and how long a breaker stays open at first, in ms. */
export interface Length {
  readonly outageMs: number;
  readonly cooldownMs: number;
}

async function outage(how: 'server errors' | 'timeouts', { outageMs, cooldownMs }: Length) {
  const cooldownMaxMs = 4 * cooldownMs;
  const good = answers(wire, 'Good');
  const primary = {
    inFlight: 0,
    inFlightMax: 0,
    calls: 0,
    watched: false,
    lastProbeMs: 0,
    healedMs: 0,
    backMs: 0,
  };
  const bad = how === 'timeouts' ? hangs : refuses(wire.error(500, 'Broken'));
  let healed = false;
  const counted: Script = (call) => {
    primary.calls += 1;
    primary.inFlight += 1;
    if (primary.watched) primary.inFlightMax = Math.max(primary.inFlightMax, primary.inFlight);
    const nowMs = performance.now();
    if (healed) primary.backMs ||= nowMs;
    else primary.lastProbeMs = nowMs;
    const over = (): void => {
      primary.inFlight -= 1;
    };
    const script = healed ? good : bad;
    if (script === hangs) void call.aborted.then(over);
    else queueMicrotask(over);
    script(call);
  };
  const [first, second] = await Promise.all([startUpstream(counted), startUpstream(good)]);
  const sidecar = await startTestSidecar(
    chainConfig(wire, [first.baseUrl, second.baseUrl], {
      // Load, provider and gateway share a process: what waits for it is not to be shed.
      listen: { inFlightMax: 20_000, connectionsMax: 20_000 },
      attempt: {
        firstTokenTimeoutMs: how === 'timeouts' ? 200 : 10_000,
        retriesMax: 1,
        backoffBaseMs: 100,
        breaker: { failures: 5, cooldownMs, cooldownMaxMs },
      },
    }),
  );
  const isOpen = async (): Promise<boolean> =>
    metricIn(await sidecar.metrics(), 'sidegate_breaker_state', { target: labelOf(0) }) !== 0;

  const stalls = watchStalls();
  const seen = { failed: 0, stalled: 0, byPrimary: 0 };
  const reasons = new Map<string, number>();
  const load = startLoad(perSecond, async () => {
    const sentMs = performance.now();
    const body = wire.request('Hi', { stream: true });
    const reply = await ask(sidecar.url, wire.path, { body }).catch(String);
    if (typeof reply !== 'string' && reply.status === 200 && wire.textOf(reply.text) === 'Good') {
      if (reply.headers['x-sidegate-target'] === labelOf(0)) seen.byPrimary += 1;
    } else if (stalls.stalledSince(sentMs)) {
      // The living fallback shares this process: while that stood still, it lived no more than the first target.
      seen.stalled += 1;
    } else {
      seen.failed += 1;
      const reason = typeof reply === 'string' ? reply : `${reply.status} ${reply.text.slice(0, 200)}`;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  });
  const startMs = performance.now();
  while (!(await isOpen()) || primary.inFlight > 0) await wait(20);
  const burst = primary.calls;
  primary.watched = true;
  await wait(outageMs - (performance.now() - startMs));
  const during = { requests: load.sent, calls: first.calls.length + second.calls.length };
  primary.watched = false;
  healed = true;
  primary.healedMs = performance.now();
  const probes = primary.calls - burst;
  while (seen.byPrimary < perSecond / 2 && performance.now() < primary.healedMs + 10 * cooldownMaxMs)
    await wait(20);
  await load.stop();
  if (reasons.size > 0) console.log([...reasons].slice(0, 10));
  stalls.stop();
  const closed = !(await isOpen());
  await sidecar.stop();
  await Promise.all([first.close(), second.close()]);
  return {
    outage: `${how}, ${outageMs / 1000} s`,
    requests: during.requests,
    'attempts a request': (during.calls / during.requests).toFixed(3),
    'clients failed': seen.failed,
    stalled: seen.stalled,
    'calls until open': burst,
    probes,
    'probes at once': primary.inFlightMax,
    'recovered after ms': Math.round(primary.backMs - primary.healedMs),
    'cooldown ms': Math.round(primary.backMs - primary.lastProbeMs),
    closed: closed ? 'yes' : 'no',
  };
}

/** Declares the tests. */
export function testOutages(length: Length): void {
  const { outageMs, cooldownMs } = length;
  const cooldownMaxMs = 4 * cooldownMs;
  test.each(['server errors', 'timeouts'] as const)(
    'an outage by %s fails no client, and multiplies nothing',
    async (how) => {
      const row = await outage(how, length);
      console.log(tableOf([row]));
      expect(row['clients failed']).toBe(0);
      expect(row.stalled).toBeLessThan(row.requests / 100);
      expect(Number(row['attempts a request'])).toBeLessThanOrEqual(1.2);
      expect(row['probes at once']).toBe(1);
      // Cooldowns of 1, 2, 4, 4, … times the first: no more probes than fit.
      expect(row.probes).toBeLessThanOrEqual(3 + outageMs / cooldownMaxMs);
      expect(row['recovered after ms']).toBeLessThanOrEqual(cooldownMaxMs + slackMs);
      expect(row.closed).toBe('yes');
    },
    outageMs + 60_000,
  );
}
