/** Limits through the sidecar, on real sockets: smoothed requests, drains, log and metrics. */
import { afterEach, describe, expect, test } from 'vitest';
import { type Gate, startGate } from '../support/gate.ts';
import { openaiWire } from '../support/replies.ts';
import { standingTime } from '../support/time.ts';
import { answers } from '../support/upstream.ts';

describe('on sockets', () => {
  let gate: Gate;
  afterEach(() => gate.stop());
  const wire = openaiWire;
  /** Asks for the metrics until they say so. */
  const metricsWith = async (text: string): Promise<void> => {
    while (!(await gate.sidecar.metrics()).includes(text));
  };

  test('a delayed request waits its turn, and is refunded if its client leaves', async () => {
    // However far apart they arrive, it is the same moment.
    gate = await startGate(
      [answers(wire, 'fine')],
      {
        cache: { enabled: false },
        limits: [{ name: 'l', capacity: 3, refillPerSecond: 20, algorithm: 'leaky_bucket' }],
      },
      standingTime().world,
    );
    const beganMs = performance.now();
    const replies = await Promise.all([1, 2, 3].map(() => gate.ask(wire, 'hi')));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(95);
    expect(await gate.sidecar.metrics()).toContain(
      'sidegate_limit_events_total{limit="l",event="delayed"} 2',
    );
  });

  test('a request that is drained or cancelled while it waits never reaches the provider', async () => {
    gate = await startGate([answers(wire, 'fine')], {
      cache: { enabled: false },
      limits: [{ name: 'l', capacity: 3, refillPerSecond: 0.01, algorithm: 'leaky_bucket' }],
    });
    expect((await gate.ask(wire, 'hi')).status).toBe(200);
    const leaving = new AbortController();
    const left = fetch(gate.sidecar.url + wire.path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(wire.request('hi')),
      signal: leaving.signal,
    }).catch(() => null);
    await metricsWith('event="delayed"} 1');
    leaving.abort();
    await left;
    expect((await gate.sidecar.recordWhere(({ abandoned }) => abandoned)).attempts).toBe(0);
    const waiting = gate.ask(wire, 'hi');
    await metricsWith('event="delayed"} 2');
    await gate.sidecar.stop();
    gate = { ...gate, stop: gate.upstream.close };
    expect((await waiting).status).toBe(503);
    expect(gate.upstream.calls).toHaveLength(1);
  });

  test('reports of limits are in the log and the metrics, without any content of the request', async () => {
    gate = await startGate([answers(wire, 'fine')], {
      cache: { enabled: false },
      limits: [{ name: 'l', capacity: 1, refillPerSecond: 0.001, mode: 'observe' }],
    });
    for (const _ of [1, 2, 3]) expect((await gate.ask(wire, 'secret words')).status).toBe(200);
    const lines = gate.sidecar
      .logText()
      .split('\n')
      .filter((line) => line.includes('"limit":"l"'));
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['soft', 'observed']);
    expect(JSON.parse(lines[1] ?? '').scope).toBe('tenant "test"');
    expect(gate.sidecar.logText()).not.toContain('secret');
    expect(await gate.sidecar.metrics()).toContain('{limit="l",event="observed"} 2');
  });
});
