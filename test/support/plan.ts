/** A plan of scripted providers for stage attempt alone, on real sockets; the test sets its edges and facts. */

import { onTestFinished } from 'vitest';
import type { AttemptFailure, AttemptReply } from '../../src/attempt/answer.ts';
import { attempt } from '../../src/attempt/attempt.ts';
import type { AttemptDeps } from '../../src/attempt/deps.ts';
import { createAside } from '../../src/base/aside.ts';
import { Cancellation } from '../../src/base/cancellation.ts';
import { Refusal } from '../../src/base/errors.ts';
import { silent } from '../../src/base/telemetry.ts';
import { realWorld, type World } from '../../src/base/world.ts';
import { unknownFacts } from '../../src/catalog/facts.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { inspect } from '../../src/inspect/inspect.ts';
import { endpointsByPath } from '../../src/listen/endpoints.ts';
import { retryBudget } from '../../src/native/retries.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import { createHealthBook } from '../../src/upstream/health.ts';
import type { PeerHints } from '../../src/upstream/hints.ts';
import { createProvider } from '../../src/upstream/provider.ts';
import type { FallbackCause, Step } from '../../src/upstream/target.ts';
import { staysOpen } from './chain.ts';
import { allOf } from './chunks.ts';
import { testModel, type Wire } from './replies.ts';
import { sharedThread } from './shared-thread.ts';
import type { ConfigInput } from './sidecar.ts';
import { type Script, startUpstream } from './upstream.ts';

/** Tells no peers. */
export const noHints: PeerHints = { breaker: () => {}, rest: () => {} };

/** One step of a test's plan. */
export interface PlannedStep {
  readonly script: Script;
  readonly on?: readonly FallbackCause[];
  readonly group?: number;
  readonly contextTokens?: number;
}

/** Result of a request: status and text, or the refusal; and what was tried. */
export interface Came {
  readonly status: number;
  readonly text: string;
  readonly tried: string;
}

/** Starts one provider per step, named `s0`, `s1`, … */
export async function startPlan(
  wire: Wire,
  planned: readonly PlannedStep[],
  settings: ConfigInput['attempt'] = {},
  { clock }: Pick<World, 'clock'> = realWorld,
): Promise<{
  ask(headers?: Exchange['headers'], more?: Readonly<Record<string, unknown>>): Promise<Came>;
  calls(): number[];
}> {
  const breaker = { ...staysOpen, ...settings.breaker };
  const config = configSchema.parse({ attempt: { retriesMax: 0, backoffBaseMs: 0, ...settings, breaker } });
  const health = createHealthBook(clock);
  health.begin(config);
  const upstreams = await Promise.all(planned.map(({ script }) => startUpstream(script)));
  const providers = upstreams.map(({ baseUrl }, i) =>
    createProvider(
      `s${i}`,
      { dialect: wire.name, baseUrl, credential: 'gateway', headers: {} },
      config.attempt,
      null,
    ),
  );
  onTestFinished(async () => {
    await Promise.all(providers.map(({ pool }) => pool.close()));
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });
  const steps = providers.map((provider, i): Step => {
    const { on, group = i, contextTokens = null } = planned[i] ?? {};
    const label = `${provider.name}/${testModel}`;
    const facts = { ...unknownFacts, contextTokens };
    const target = { provider, model: null, label, health: health.target(label), facts };
    return { target, group, depth: 1, on: on === undefined ? null : new Set(on) };
  });
  const deps: AttemptDeps = {
    messageMaxBytes: 1024,
    policy: config.attempt,
    clock,
    wallClock: Date.now,
    random: Math.random,
    health,
    budgetId: retryBudget.open(0.2, 3),
    hedges: null,
    estimate: ({ textBytes }) => textBytes,
    telemetry: silent,
    hints: noHints,
    aside: createAside({ clock, startThread: sharedThread }),
  };
  const endpoint = endpointsByPath.get(wire.path);
  if (endpoint === undefined) throw new Error(`no endpoint ${wire.path}`);
  return {
    calls: () => upstreams.map(({ calls }) => calls.length),
    async ask(headers = {}, more = {}) {
      const exchange: Exchange = {
        id: 'req_test',
        endpoint,
        path: wire.path,
        query: '',
        headers,
        body: Buffer.from(JSON.stringify(wire.request('Say hello.', more))),
        cancellation: new Cancellation(),
        startedMs: clock(),
        holdReply: () => true,
        detach: () => {},
        park: () => {},
      };
      const key = Buffer.alloc(32);
      const request = inspect(exchange, createScrubPolicies(config.scrub, key).of('').request, key);
      if (request instanceof Refusal) throw new Error(request.text);
      const plan = { pattern: testModel, steps, drops: false, cover: () => null };
      return came(await attempt(plan, exchange, request, clock() + 10_000, deps, clock()));
    },
  };
}

async function came(reply: AttemptReply | AttemptFailure): Promise<Came> {
  const tried = reply.trail.text;
  if (reply.kind === 'failed')
    return { status: reply.refusal.entry.status, text: reply.refusal.message, tried };
  if (reply.kind === 'whole') return { status: reply.status, text: String(reply.body), tried };
  if (reply.kind === 'session') return { status: reply.status, text: '', tried };
  const text = String(await allOf(reply.stream));
  return { status: reply.status, text, tried: reply.trail.text };
}
