/** The pipeline: one request through the stages, in the order of the README's diagram. */
import type { AttemptDeps } from './attempt/answer.ts';
import { attempt } from './attempt/attempt.ts';
import { sleep } from './attempt/backoff.ts';
import { cancelRefusal } from './attempt/follow.ts';
import {
  authenticate,
  credentialDigest,
  denyEndpoint,
  denyModel,
  type Keyring,
} from './authenticate/authenticate.ts';
import type { Batch } from './batch/batch.ts';
import { priorityOf } from './batch/priority.ts';
import { takeTurn } from './batch/turn.ts';
import { type Cache, cacheControl } from './cache/cache.ts';
import type { Config } from './config/schema.ts';
import type { TokenCounter } from './count/counter.ts';
import type { Charge } from './count/usage.ts';
import { deliverAnswer, deliverRunning, deliverStored } from './deliver.ts';
import { livingFirst } from './engines/living.ts';
import { Refusal } from './errors.ts';
import type { Exchange, Reply } from './exchange.ts';
import type { Estimator } from './limit/estimate.ts';
import type { Limiter } from './limit/limit.ts';
import type { ExchangeRecord } from './observe/record.ts';
import { Passage } from './passage.ts';
import { inspectPassthrough } from './passthrough/inspect.ts';
import type { Replay } from './replay/replay.ts';
import { routeFiles } from './route/files.ts';
import { type Plan, withOwnCredential } from './route/plan.ts';
import { type RouteTable, route } from './route/route.ts';
import { inspect, type ScrubPolicy } from './scrub/inspect.ts';
import { scrub } from './scrub/scrub.ts';

/** What the stages work with: state that lives on, and what the current configuration says. */
export interface Stages {
  readonly config: Config;
  readonly keyring: Keyring;
  readonly policy: ScrubPolicy;
  readonly digestKey: Buffer;
  readonly replay: Replay;
  readonly limiter: Limiter;
  readonly estimator: Estimator;
  readonly counter: TokenCounter;
  readonly cache: Cache;
  readonly routes: RouteTable;
  readonly batch: Batch;
  readonly attempt: AttemptDeps;
  /** Monotonic ms. */
  readonly clock: () => number;
  observe(record: ExchangeRecord): void;
  /** Told what each billed try used and cost. */
  charge(tenant: string, charge: Charge): void;
  /** Told of a defect of the gateway's own. */
  onBug(requestId: string, cause: unknown): void;
}

/** Takes a request through all stages. Never rejects, and settles whatever it took hold of exactly once. */
export async function handle(exchange: Exchange, stages: Stages): Promise<Reply> {
  const passage = new Passage(exchange, stages);
  try {
    return await through(exchange, stages, passage);
  } catch (cause) {
    passage.bug(cause);
    return passage.refuse(new Refusal('internal', 'Sidegate failed on this request.'));
  }
}

async function through(exchange: Exchange, stages: Stages, passage: Passage): Promise<Reply> {
  const { clock, policy, config } = stages;
  const caller = authenticate(exchange.headers, stages.keyring);
  const identity = caller instanceof Promise ? await caller : caller;
  if (identity instanceof Refusal) return passage.refuse(identity);
  passage.identity = identity;
  const barred = denyEndpoint(identity, exchange.endpoint.name);
  if (barred !== null && !passage.letPass(barred)) return passage.refuse(barred);

  const { passthrough } = exchange.endpoint;
  const request =
    passthrough === undefined
      ? inspect(exchange, policy, stages.digestKey, stages.routes.classifies)
      : inspectPassthrough(exchange, passthrough, policy, stages.digestKey);
  if (request instanceof Refusal) return passage.refuse(request);
  passage.request = request;
  const files = passthrough?.model === 'files';
  const denied = files ? null : denyModel(identity, request.model);
  if (denied !== null && !passage.letPass(denied)) return passage.refuse(denied);
  const routed = files
    ? routeFiles(exchange, identity, stages.routes.files)
    : route(exchange, identity, request, stages.routes, clock());
  if (routed instanceof Refusal) return passage.refuse(routed);
  const found = identity.ownCredential ? withOwnCredential(routed) : routed;
  passage.plan = found;
  const priority = priorityOf(exchange.headers, found);
  if (priority instanceof Refusal) return passage.refuse(priority);
  passage.priority = priority;
  const { totalTimeoutMs } = config.attempt;
  const deadlineMs = deadline(exchange, priority === 'batch' ? config.batch.deadlineMs : totalTimeoutMs);
  if (deadlineMs instanceof Refusal) return passage.refuse(deadlineMs);

  let seen = stages.replay.claim(exchange, identity, request, clock());
  if (!(seen instanceof Refusal) && seen.kind === 'join')
    seen = await seen.wait(exchange.cancellation, deadlineMs - clock());
  if (seen instanceof Refusal) return passage.refuse(seen);
  if (seen.kind === 'running') return deliverRunning(seen, request.masked, passage);
  if (seen.kind === 'stored') return deliverStored(seen.reply, 'replay', request.masked, passage);
  passage.claim = seen.claim;
  // Whoever repeats the key wants this answer, even if the first caller has left.
  if (seen.claim !== null) exchange.detach();

  const permit = stages.limiter.admit({ exchange, identity, request, plan: found, deadlineMs }, clock());
  if (permit instanceof Refusal) return passage.refuse(permit);
  passage.permit = permit;
  if (permit.waitMs > 0) {
    await sleep(permit.waitMs, exchange.cancellation);
    if (exchange.cancellation.reason !== null) return passage.refuse(cancelRefusal(exchange.cancellation));
  }

  const vault = scrub(request, policy);
  if (vault instanceof Refusal) return passage.refuse(vault);

  const control = cacheControl(exchange);
  const scope = { policy, routeVersion: found.version, credential: credentialScope(exchange, found) };
  const key = stages.cache.key(exchange, identity, request, scope);
  const hit = key !== null && control.read ? stages.cache.get(key, clock()) : null;
  if (hit !== null) return deliverStored(hit, 'hit', vault, passage);
  passage.cacheKey = control.write ? key : null;
  passage.cacheUse = key !== null && control.read ? 'miss' : 'bypass';

  const steps = priority === 'batch' ? await takeTurn(passage, found, deadlineMs) : livingFirst(found.steps);
  if (steps instanceof Refusal) return passage.refuse(steps);
  passage.begin(clock());
  const untilMs = Math.min(deadlineMs, clock() + totalTimeoutMs);
  const { pattern, chosen } = found;
  const answer = await attempt({ pattern, steps, chosen }, exchange, request, untilMs, stages.attempt);
  passage.trail = answer.trail;
  if (answer.kind === 'failed') return passage.refuse(answer.refusal);
  return deliverAnswer(answer, vault, passage);
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
  const own = found.steps.some(({ target }) => target.provider.clientCredential);
  return own ? credentialDigest(exchange.headers) : '';
}
