/** Connects the stages to the pipeline: passes each stage its arguments, and stores its results in the passage. */
import { hash } from 'node:crypto';
import type { AttemptFailure, AttemptReply } from '../attempt/answer.ts';
import { attempt } from '../attempt/attempt.ts';
import { denyEndpoint, denyModel } from '../authenticate/authenticate.ts';
import { cancelRefusal, sleep } from '../base/cancellation.ts';
import { Refusal } from '../base/errors.ts';
import { takeTurn } from '../batch/turn.ts';
import type { Near } from '../cache/alike.ts';
import { type CacheControl, type CacheKey, cacheControl } from '../cache/key.ts';
import type { Place } from '../cache/places.ts';
import { deliverRunning, deliverStored } from '../deliver/deliver.ts';
import { credentialDigest } from '../exchange/credential.ts';
import { isOfProvider, isPassed } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import { priorityOf } from '../exchange/priority.ts';
import type { Reply } from '../exchange/reply.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { Permit } from '../limit/permit.ts';
import type { Passage } from '../passage.ts';
import { denyForeign, mayName } from '../route/named-objects.ts';
import { keepsForOne, routeObject } from '../route/objects.ts';
import { route } from '../route/route.ts';
import { routeSession } from '../route/sessions.ts';
import type { Vault } from '../scrub/scrub.ts';
import type { Seen } from '../store/flights.ts';
import { livingFirst } from '../upstream/living.ts';
import { type Plan, type Provider, type Step, type Target, withOwnCredential } from '../upstream/target.ts';
import { lookAgain, lookFirst } from './look.ts';

/** The request as the stages after `route` see it. */
export interface Work {
  readonly identity: Identity;
  readonly request: ModelRequest;
  readonly plan: Plan;
  /** Its tokens are counted here: its model is served in another dialect, whose providers can't be asked. */
  readonly countedHere: boolean;
  /** Monotonic ms. */
  readonly deadlineMs: number;
  /** Monotonic ms, updated after each wait. */
  nowMs: number;
}

/** Stage inspect, and the check of what the key allows. */
export function examine(
  identity: Identity,
  passage: Passage,
): ModelRequest | Refusal | Promise<ModelRequest | Refusal> {
  const { exchange, stages } = passage;
  const deniedEndpoint = denyEndpoint(identity, exchange.endpoint);
  if (deniedEndpoint !== null && !passage.observes(deniedEndpoint)) return deniedEndpoint;
  const deadlineMs = deadline(exchange, stages.config.attempt.totalTimeoutMs);
  if (deadlineMs instanceof Refusal) return deadlineMs;
  passage.deadlineMs = deadlineMs;

  const checked = (request: ModelRequest | Refusal): ModelRequest | Refusal => {
    if (request instanceof Refusal) return request;
    const names = !isOfProvider(exchange.endpoint) || exchange.endpoint.billed === true;
    const denied = names ? denyModel(identity, request.model) : null;
    return denied !== null && !passage.observes(denied) ? denied : request;
  };
  const inspected = lookFirst(stages.policies.of(identity.tenant), passage);
  return inspected instanceof Promise ? inspected.then(checked) : checked(inspected);
}

/** The work with what a second look at the body found, where one was needed. */
function rescrub(work: Work, passage: Passage): Work | Refusal | Promise<Work | Refusal> {
  const renewed = (request: ModelRequest | Refusal): Work | Refusal => {
    if (request instanceof Refusal) return request;
    return { ...work, request, nowMs: passage.stages.clock() };
  };
  const looked = lookAgain(work.identity.tenant, work.plan.pattern, passage);
  if (looked === null) return work;
  return looked instanceof Promise ? looked.then(renewed) : renewed(looked);
}

/** A request that states no longest reply gets its route's. */
function withLimit(work: Work, passage: Passage): Work {
  const { defaultMaxTokens } = work.plan;
  const states = work.request.maxTokens !== null || passage.exchange.endpoint.kind !== 'chat';
  if (defaultMaxTokens === null || states) return work;
  const request = { ...work.request, maxTokens: defaultMaxTokens, limited: true as const };
  passage.request = request;
  return { ...work, request };
}

/** Stage route: the plan, priority and deadline of a request. */
export function choose(
  identity: Identity,
  request: ModelRequest,
  passage: Passage,
): Work | Refusal | Promise<Work | Refusal> {
  const { exchange, stages } = passage;
  const nowMs = stages.clock();
  const { endpoint, headers } = exchange;
  const routed =
    endpoint.kind === 'session'
      ? routeSession(exchange, identity, request, stages.routes, stages.objects, nowMs)
      : isOfProvider(endpoint)
        ? routeObject(exchange, request, identity, stages.objects)
        : route(exchange, identity, request, stages.routes, nowMs);
  const countedHere = endpoint.kind === 'count' && routed instanceof Refusal;
  const found = countedHere
    ? route({ headers, endpoint: { ...endpoint, kind: 'chat' } }, identity, request, stages.routes, nowMs)
    : routed;
  if (found instanceof Refusal) return found;
  const unread = isPassed(endpoint) ? denyUnread(found, passage) : null;
  if (unread !== null) return unread;
  const plan = identity.ownCredential ? withOwnCredential(found) : found;
  passage.plan = plan;
  // A session would keep others waiting for as long as it goes on.
  const priority = endpoint.kind === 'session' ? 'interactive' : priorityOf(exchange.headers, plan);
  if (priority instanceof Refusal) return priority;
  passage.priority = priority;
  const { batch, attempt: limits } = stages.config;
  const deadlineMs = deadline(exchange, priority === 'batch' ? batch.deadlineMs : limits.totalTimeoutMs);
  if (deadlineMs instanceof Refusal) return deadlineMs;
  passage.deadlineMs = deadlineMs;
  const limited = (each: Work | Refusal): Work | Refusal =>
    each instanceof Refusal ? each : withLimit(each, passage);
  const work = { identity, request, plan, countedHere, deadlineMs, nowMs };
  const scrubbed = (): Work | Refusal | Promise<Work | Refusal> => rescrub(work, passage);
  const ready = looksForNames(plan, passage)
    ? denyForeign(
        exchange,
        providersOf(plan),
        identity.tenant,
        stages.objects,
        stages.aside,
        deadlineMs,
      ).then((denied) => denied ?? scrubbed())
    : scrubbed();
  return ready instanceof Promise ? ready.then(limited) : limited(ready);
}

const providersOf = ({ steps }: Plan): ReadonlySet<Provider> =>
  new Set(steps.map(({ target }) => target.provider));

/** Whether a request may name objects at a provider that keeps those of several tenants. */
function looksForNames({ steps }: Plan, { exchange, request, stages: { objects } }: Passage): boolean {
  const { kind } = exchange.endpoint;
  if (!objects.passes || kind === 'files') return false;
  const keeps = steps.some(
    ({ target: { provider } }) => provider.passthrough !== false && !keepsForOne(provider, objects),
  );
  // A form that asks a model brings its files with it.
  return keeps && (isPassed({ kind }) || (request?.form === undefined && mayName(exchange.body)));
}

/** The refusal of a body that nobody reads, though the policy may have to change it; null: it may pass. */
function denyUnread({ steps, pattern }: Plan, passage: Passage): Refusal | null {
  const { exchange, identity, stages } = passage;
  const policy = stages.policies.ofRoute(identity?.tenant ?? '', pattern) ?? passage.policy;
  const passes = steps.every(({ target }) => target.provider.passthrough === 'unscrubbed');
  const isSession = exchange.endpoint.kind === 'session';
  if (passes || (exchange.body.length === 0 && !isSession) || policy?.acts !== true) return null;
  const what = isSession ? 'messages that are' : 'a body that is';
  return new Refusal('body_unread', `Personal data can not be looked for in ${what} only passed on.`);
}

/** Stage replay: the reply of an earlier request with the same idempotency key; null: there is none. */
export function repeated(
  work: Work,
  passage: Passage,
): Reply | Refusal | null | Promise<Reply | Refusal | null> {
  const { exchange, stages } = passage;
  if (exchange.endpoint.kind === 'session') return null;
  const { identity, request, deadlineMs, nowMs } = work;
  const seen = stages.replay.claim(exchange, identity, request, nowMs);
  if (seen instanceof Refusal || seen.kind !== 'join') return earlierReply(seen, work, passage);
  return seen.wait(exchange.cancellation, deadlineMs - nowMs).then((later) => {
    work.nowMs = stages.clock();
    return earlierReply(later, work, passage);
  });
}

function earlierReply(seen: Seen | Refusal, { request }: Work, passage: Passage): Reply | Refusal | null {
  if (seen instanceof Refusal) return seen;
  if (seen.kind === 'running') return deliverRunning(seen, 'replay', request.masked, passage);
  if (seen.kind === 'stored') return deliverStored(seen.reply, 'replay', request.masked, passage);
  passage.claim = seen.claim;
  // Later requests with the same key want this reply, even if the first client has disconnected.
  if (seen.claim !== null) passage.exchange.detach();
  return null;
}

/** Stage limit: reserves the request's cost; null: reserved. */
export function reserve(work: Work, passage: Passage): Refusal | null | Promise<Refusal | null> {
  const { exchange, stages } = passage;
  const { identity, request, plan, deadlineMs } = work;
  const asking = {
    endpoint: exchange.endpoint,
    identity,
    request,
    plan,
    priority: passage.priority,
    deadlineMs,
  };
  const decided = stages.limiter.admit(asking, work.nowMs);
  if (!(decided instanceof Refusal)) return hold(decided, work, passage);
  const asked = stages.limiter.ask(asking, decided);
  if (asked === null) return decided;
  return asked.then((then) => {
    work.nowMs = stages.clock();
    return then instanceof Refusal ? then : hold(then, work, passage);
  });
}

/** Keeps a permit, and waits for the request's turn. */
function hold(permit: Permit, work: Work, passage: Passage): null | Promise<Refusal | null> {
  const { exchange, stages } = passage;
  passage.permit = permit;
  if (permit.waitMs === 0) return null;
  const sinceMs = stages.clock();
  return sleep(permit.waitMs, exchange.cancellation).then(() => {
    work.nowMs = stages.clock();
    passage.queuedMs += work.nowMs - sinceMs;
    return exchange.cancellation.reason === null ? null : cancelRefusal(exchange.cancellation);
  });
}

/** Stage cache: a stored reply, or that of an identical request in flight; null: there is none. */
export function lookUp(work: Work, vault: Vault | null, passage: Passage): Looked | Promise<Looked> {
  const { exchange, stages } = passage;
  const { identity, request, plan, nowMs } = work;
  const control = cacheControl(exchange);
  const place = stages.cache.place(identity.tenant, plan.pattern);
  const key = stages.cache.key(exchange, identity, asLeaving(request), place, {
    policy: `${passage.policy?.name ?? ''}${request.checked === false ? ' unchecked' : ''}`,
    routeVersion: plan.version,
    credential: credentialScope(exchange, plan),
    passed: passedScope(exchange, plan),
  });
  const asked = key !== null && control.read;
  const hit = asked ? stages.cache.get(key, place, nowMs, control.maxAgeMs) : null;
  if (hit !== null) {
    passage.hit('exact');
    return deliverStored(hit, 'hit', vault, passage);
  }
  const rest = (answered: Reply | null): Looked | Promise<Looked> =>
    answered ?? share(key, { place, control, asked }, work, vault, passage);
  const answered = key === null ? null : alike(key, place, control, work, vault, passage);
  if (!(answered instanceof Promise)) return rest(answered);
  return answered.then((later) => {
    work.nowMs = stages.clock();
    const { cancellation } = exchange;
    return cancellation.reason === null ? rest(later) : cancelRefusal(cancellation);
  });
}

/**
 * A request with a digest of what leaves, too: a stored reply holds placeholders for what a recogniser found, which may be
 * something else the next time.
 */
const asLeaving = (request: ModelRequest): ModelRequest =>
  request.checked === undefined
    ? request
    : { ...request, digest: hash('sha256', `${request.digest}${hash('sha256', request.body)}`) };

/** What the cache has for a request; null: nothing. */
type Looked = Reply | Refusal | null;

/** Shares the reply of an identical request in flight, if there is one. */
function share(
  key: CacheKey | null,
  { place, control, asked }: { place: Place; control: CacheControl; asked: boolean },
  work: Work,
  vault: Vault | null,
  passage: Passage,
): Looked | Promise<Looked> {
  const { exchange, stages } = passage;
  passage.cacheKey = control.write ? key : null;
  passage.place = place;
  passage.cacheUse = asked ? 'miss' : 'bypass';
  // A request with an idempotency key shares its reply by that; a batch request may wait for hours.
  const shares = asked && control.write && passage.claim === null && passage.priority === 'interactive';
  if (key === null || !shares) return null;
  const seen = stages.cache.share(key, place, exchange, work.nowMs);
  if (seen.kind !== 'join') return sharedReply(seen, vault, passage);
  return seen.wait(exchange.cancellation, work.deadlineMs - work.nowMs).then((later) => {
    work.nowMs = stages.clock();
    return sharedReply(later, vault, passage);
  });
}

/** The reply to a question that asks the same in other words; null: none is served. */
function alike(
  key: CacheKey,
  place: Place,
  { read, write }: CacheControl,
  { request, nowMs, deadlineMs }: Work,
  vault: Vault | null,
  passage: Passage,
): Reply | null | Promise<Reply | null> {
  const { exchange, stages, policy } = passage;
  if (policy === null || !(read || write)) return null;
  const { cache } = stages;
  if (!read) {
    passage.asked = cache.ask(key, exchange, request, place);
    return null;
  }
  const serve = ({ hit, judging }: Near): Reply | null => {
    passage.judging = judging;
    if (hit === null) return null;
    passage.hit(hit.level);
    return deliverStored(hit.reply, 'hit', vault, passage, hit);
  };
  const near = cache.near(key, exchange, request, place, nowMs);
  passage.asked = near.asked;
  const { later } = near;
  if (later === null) return serve(near);
  const serves = later.use === 'serve';
  // Its provider must be left as much time.
  if (serves && deadlineMs - nowMs < 2 * later.mostMs) return null;
  const looked = cache.finish(later, exchange);
  if (serves) return looked.then(serve);
  // What goes to the provider anyhow doesn't wait for it.
  passage.look = looked.then(({ judging }) => {
    passage.judging = judging;
  });
  return null;
}

function sharedReply(seen: Seen | Refusal, vault: Vault | null, passage: Passage): Reply | Refusal | null {
  if (seen instanceof Refusal) return seen;
  if (seen.kind === 'new') {
    passage.claim = seen.claim;
    return null;
  }
  passage.hit('exact');
  if (seen.kind === 'running') return deliverRunning(seen, 'joined', vault, passage);
  return deliverStored(seen.reply, 'joined', vault, passage);
}

/** Stage batch: the targets to try. Interactive requests get them at once, batch requests when it is their turn. */
export function awaitTurn(
  work: Work,
  passage: Passage,
): readonly Step[] | Refusal | Promise<readonly Step[] | Refusal> {
  const { identity, request, plan, deadlineMs } = work;
  if (passage.priority !== 'batch') return livingFirst(plan.steps);
  const { exchange, stages } = passage;
  const sinceMs = stages.clock();
  return takeTurn(stages.batch, { exchange, identity, request, plan, deadlineMs }).then((steps) => {
    passage.queuedMs += stages.clock() - sinceMs;
    return steps;
  });
}

/** Stage attempt: asks the targets one after the other. */
export function ask(
  { request, plan: { pattern, drops }, deadlineMs }: Work,
  steps: readonly Step[],
  passage: Passage,
): Promise<AttemptReply | AttemptFailure> {
  const { exchange, stages } = passage;
  // Time from here on counts as the provider's, time before as the gateway's.
  const nowMs = stages.clock();
  passage.begin(nowMs);
  const untilMs = Math.min(deadlineMs, nowMs + stages.config.attempt.totalTimeoutMs);
  const { permit } = passage;
  const cover = (target: Target) => permit?.cover(target) ?? null;
  return attempt({ pattern, steps, drops, cover }, exchange, request, untilMs, stages.attempt, nowMs);
}

/** The request's own deadline from `x-sidegate-timeout` (ms), within the configured one. Monotonic ms. */
function deadline(exchange: Exchange, totalTimeoutMs: number): number | Refusal {
  const header = exchange.headers['x-sidegate-timeout'];
  if (header === undefined) return exchange.startedMs + totalTimeoutMs;
  const asked = typeof header === 'string' && /^\d{1,9}$/.test(header) ? Number(header) : 0;
  if (asked >= 1) return exchange.startedMs + Math.min(asked, totalTimeoutMs);
  return new Refusal(
    'invalid_header',
    'The header x-sidegate-timeout must be a whole number of milliseconds, at least 1.',
    { param: 'x-sidegate-timeout' },
  );
}

/** Digest of the client's own credential, if a target uses it: such replies aren't shared. Otherwise empty. */
function credentialScope(exchange: Exchange, { steps }: Plan): string {
  for (const { target } of steps)
    if (target.provider.clientCredential) return credentialDigest(exchange.headers);
  return '';
}

/** The app's own headers that a target's provider is passed, with their values: each may change its answer. */
function passedScope({ headers }: Exchange, { steps }: Plan): string {
  let names: Set<string> | null = null;
  for (const { target } of steps)
    for (const name of target.provider.passed) names = (names ?? new Set<string>()).add(name);
  if (names === null) return '';
  return [...names]
    .sort()
    .map((name) => `${name}\0${headers[name] ?? ''}\0`)
    .join('');
}
