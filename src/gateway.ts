/** The pipeline: one request through the stages, in the order of the README's diagram. */
import { attempt } from './attempt/attempt.ts';
import { authenticate, denyEndpoint, denyModel } from './authenticate/authenticate.ts';
import { cancelRefusal, sleep } from './base/cancellation.ts';
import { Refusal } from './base/errors.ts';
import { type Queued, takeTurn } from './batch/turn.ts';
import { cacheControl } from './cache/cache.ts';
import { deliverAnswer, deliverRunning, deliverStored } from './deliver/deliver.ts';
import { credentialDigest } from './exchange/credential.ts';
import type { Exchange } from './exchange/exchange.ts';
import type { Identity } from './exchange/identity.ts';
import { priorityOf } from './exchange/priority.ts';
import type { Reply } from './exchange/reply.ts';
import type { ModelRequest } from './exchange/request.ts';
import { inspectAuxiliary } from './inspect/auxiliary.ts';
import { inspect } from './inspect/inspect.ts';
import { Passage } from './passage.ts';
import type { Seen } from './replay/replay.ts';
import { routeFiles } from './route/files.ts';
import { route } from './route/route.ts';
import { scrub, type Vault } from './scrub/scrub.ts';
import type { Stages } from './stages.ts';
import { livingFirst } from './upstream/living.ts';
import { type Plan, type Step, withOwnCredential } from './upstream/target.ts';

/**
 * Takes a request through all stages. Never throws or rejects, and settles whatever it took hold of exactly once.
 * A reply that needs no waiting, such as a cached one, comes without a promise: that saves microtasks.
 */
export function handle(exchange: Exchange, stages: Stages): Reply | Promise<Reply> {
  const passage = new Passage(exchange, stages);
  try {
    const caller = authenticate(exchange.headers, stages.keyring);
    return caller instanceof Promise
      ? after(caller, passage, (identity) => identified(identity, passage))
      : identified(caller, passage);
  } catch (cause) {
    return failed(cause, passage);
  }
}

/** Goes on after a wait. Never rejects. */
const after = <T>(
  waited: Promise<T>,
  passage: Passage,
  goOn: (value: T) => Reply | Promise<Reply>,
): Promise<Reply> => waited.then(goOn).catch((cause: unknown) => failed(cause, passage));

function failed(cause: unknown, passage: Passage): Reply {
  passage.bug(cause);
  return passage.refuse(new Refusal('internal', 'Sidegate failed on this request.'));
}

/** What the stages after `route` work on. */
interface Routed {
  readonly identity: Identity;
  readonly request: ModelRequest;
  readonly plan: Plan;
  /** Monotonic ms. */
  readonly deadlineMs: number;
  /** Now: nothing was waited for since. */
  readonly nowMs: number;
}

/** Stages inspect, route and replay. */
function identified(identity: Identity | Refusal, passage: Passage): Reply | Promise<Reply> {
  if (identity instanceof Refusal) return passage.refuse(identity);
  const { exchange, stages } = passage;
  const { clock, config } = stages;
  passage.identity = identity;
  const barred = denyEndpoint(identity, exchange.endpoint.name);
  if (barred !== null && !passage.letPass(barred)) return passage.refuse(barred);

  const { auxiliary } = exchange.endpoint;
  const request =
    auxiliary === undefined
      ? inspect(exchange, stages.policy.bits, stages.digestKey, stages.routes.classifies)
      : inspectAuxiliary(exchange, auxiliary, stages.policy.bits, stages.digestKey);
  if (request instanceof Refusal) return passage.refuse(request);
  passage.request = request;
  const nowMs = clock();
  const files = exchange.endpoint.kind === 'files';
  const denied = files ? null : denyModel(identity, request.model);
  if (denied !== null && !passage.letPass(denied)) return passage.refuse(denied);
  const found = files
    ? routeFiles(exchange, identity, stages.routes.files)
    : route(exchange, identity, request, stages.routes, nowMs);
  if (found instanceof Refusal) return passage.refuse(found);
  const plan = identity.ownCredential ? withOwnCredential(found) : found;
  passage.plan = plan;
  const priority = priorityOf(exchange.headers, plan);
  if (priority instanceof Refusal) return passage.refuse(priority);
  passage.priority = priority;
  const mostMs = priority === 'batch' ? config.batch.deadlineMs : config.attempt.totalTimeoutMs;
  const deadlineMs = deadline(exchange, mostMs);
  if (deadlineMs instanceof Refusal) return passage.refuse(deadlineMs);

  const routed = { identity, request, plan, deadlineMs, nowMs };
  const seen = stages.replay.claim(exchange, identity, request, nowMs);
  return !(seen instanceof Refusal) && seen.kind === 'join'
    ? after(seen.wait(exchange.cancellation, deadlineMs - nowMs), passage, (then) =>
        claimed(then, { ...routed, nowMs: clock() }, passage),
      )
    : claimed(seen, routed, passage);
}

/** Stage limit, for a request that isn't answered by an earlier one with its idempotency key. */
function claimed(seen: Seen | Refusal, routed: Routed, passage: Passage): Reply | Promise<Reply> {
  if (seen instanceof Refusal) return passage.refuse(seen);
  const { exchange, stages } = passage;
  const { identity, request, plan, deadlineMs, nowMs } = routed;
  if (seen.kind === 'running') return deliverRunning(seen, request.masked, passage);
  if (seen.kind === 'stored') return deliverStored(seen.reply, 'replay', request.masked, passage);
  passage.claim = seen.claim;
  // Whoever repeats the key wants this answer, even if the first caller has left.
  if (seen.claim !== null) exchange.detach();

  const permit = stages.limiter.admit({ exchange, identity, request, plan, deadlineMs }, nowMs);
  if (permit instanceof Refusal) return passage.refuse(permit);
  passage.permit = permit;
  if (permit.waitMs === 0) return admitted(routed, passage);
  return after(sleep(permit.waitMs, exchange.cancellation), passage, () =>
    exchange.cancellation.reason === null
      ? admitted({ ...routed, nowMs: stages.clock() }, passage)
      : passage.refuse(cancelRefusal(exchange.cancellation)),
  );
}

/** Stages scrub and cache. */
function admitted(routed: Routed, passage: Passage): Reply | Promise<Reply> {
  const { exchange, stages } = passage;
  const { identity, request, plan, nowMs } = routed;
  const vault = scrub(request, stages.policy);
  if (vault instanceof Refusal) return passage.refuse(vault);

  const control = cacheControl(exchange);
  const scope = {
    policy: stages.policy.name,
    routeVersion: plan.version,
    credential: credentialScope(exchange, plan),
  };
  const key = stages.cache.key(exchange, identity, request, scope);
  const asked = key !== null && control.read;
  const hit = asked ? stages.cache.get(key, nowMs) : null;
  if (hit !== null) {
    passage.cacheUse = 'hit';
    return deliverStored(hit, 'hit', vault, passage);
  }
  passage.cacheKey = control.write ? key : null;
  passage.cacheUse = asked ? 'miss' : 'bypass';
  return ask(routed, vault, passage);
}

/** Stages batch and attempt. Never rejects. */
async function ask(
  { identity, request, plan, deadlineMs }: Routed,
  vault: Vault | null,
  passage: Passage,
): Promise<Reply> {
  const { exchange, stages } = passage;
  try {
    const steps =
      passage.priority === 'batch'
        ? await queued({ exchange, identity, request, plan, deadlineMs }, passage)
        : livingFirst(plan.steps);
    if (steps instanceof Refusal) return passage.refuse(steps);
    // From here on it is the provider's time, and what came before is the gateway's.
    const nowMs = stages.clock();
    passage.begin(nowMs);
    const untilMs = Math.min(deadlineMs, nowMs + stages.config.attempt.totalTimeoutMs);
    const { pattern, chosen } = plan;
    const way = { pattern, steps, chosen };
    const answer = await attempt(way, exchange, request, untilMs, stages.attempt, nowMs);
    passage.trail = answer.trail;
    if (answer.kind === 'failed') return passage.refuse(answer.refusal);
    return deliverAnswer(answer, vault, passage);
  } catch (cause) {
    return failed(cause, passage);
  }
}

/** Waits for a batch request's turn. */
async function queued(waiting: Queued, passage: Passage): Promise<readonly Step[] | Refusal> {
  const { batch, clock } = passage.stages;
  const sinceMs = clock();
  const turn = await takeTurn(batch, waiting);
  passage.queuedMs = clock() - sinceMs;
  return turn;
}

/** The request's own deadline from `x-sidegate-timeout` (ms), within the configured one. */
function deadline(exchange: Exchange, totalTimeoutMs: number): number | Refusal {
  const header = exchange.headers['x-sidegate-timeout'];
  if (header === undefined) return exchange.startedMs + totalTimeoutMs;
  const asked = typeof header === 'string' && /^\d{1,9}$/.test(header) ? Number(header) : 0;
  if (asked >= 1) return exchange.startedMs + Math.min(asked, totalTimeoutMs);
  return new Refusal(
    'invalid_header',
    'The header x-sidegate-timeout must be a whole number of milliseconds from 1.',
    {
      param: 'x-sidegate-timeout',
    },
  );
}

/** Answers paid for with the client's own credential are nobody else's. */
function credentialScope(exchange: Exchange, found: Plan): string {
  for (const { target } of found.steps)
    if (target.provider.clientCredential) return credentialDigest(exchange.headers);
  return '';
}
