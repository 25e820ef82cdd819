/**
 * Explains one request from the running process, for whoever has the admin token: `x-sidegate-debug: 1` adds a header to
 * the reply, `x-sidegate-debug: dry` asks no provider and answers with the explanation.
 */
import { isToken } from '../admin/keys.ts';
import type { Refusal } from '../base/errors.ts';
import { addRequestId } from '../dialects/refusal.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Reply } from '../exchange/reply.ts';
import type { LimitView } from '../limit/view.ts';
import { breaker, breakerState } from '../native/breaker.ts';
import type { Passage } from '../passage.ts';
import { leftOut } from '../route/left-out.ts';
import type { Stages } from '../stages.ts';
import { cooldownOf } from '../upstream/credential.ts';
import type { Target } from '../upstream/target.ts';
import { type Steps, wait } from './run.ts';
import { reserve, type Work } from './stages.ts';

/** How a request wants to be explained; null: not at all, or it may not be. */
type Debug = 'beside' | 'dry' | null;

/** Targets and meters in one explanation: it must fit into a header. */
const listMax = 16;
/** Meters looked through for those of one caller. */
const metersMax = 2000;
const names = { [breakerState.closed]: 'closed', [breakerState.open]: 'open' } as const;

/** Whether a request asks to be explained, and may. */
export function debugOf({ headers }: Exchange, { config }: Stages): Debug {
  const asked = headers['x-sidegate-debug'];
  if (asked === undefined) return null;
  const { token } = config.admin;
  const given = headers['x-sidegate-admin'];
  if (token === undefined || typeof given !== 'string' || !isToken(`Bearer ${given}`, token)) return null;
  return asked === 'dry' ? 'dry' : asked === '1' ? 'beside' : null;
}

/** A reply with the explanation of its request in a header. */
export function withDebug<R extends Reply>(reply: R, passage: Passage): R {
  const text = ascii(JSON.stringify(explanation(passage, null)));
  return { ...reply, headers: [...reply.headers, 'x-sidegate-debug', text] };
}

/**
 * Takes a request as far as its limits, and answers with the explanation. It counts as a request there, but neither
 * tokens nor dollars.
 */
export function* explainOnly(work: Work, passage: Passage): Steps<Reply> {
  const reserved = reserve(work, passage);
  const refused = reserved instanceof Promise ? yield* wait(reserved) : reserved;
  const text = JSON.stringify(explanation(passage, refused));
  const headers = ['content-type', 'application/json'];
  addRequestId(passage.exchange.endpoint.dialect, passage.exchange.id, headers);
  passage.close({ status: 200 });
  return { kind: 'whole', status: 200, headers, body: Buffer.from(text) };
}

/** What was decided about a request, and by what. */
function explanation(passage: Passage, refused: Refusal | null): object {
  const { identity, request, plan, permit, stages, trail } = passage;
  const nowMs = stages.clock();
  const found = (request?.findings ?? []).map(({ kind, count }) => [kind, count] as const);
  return {
    requestId: passage.exchange.id,
    caller:
      identity === null
        ? null
        : {
            tenant: identity.tenant,
            team: identity.team,
            user: identity.user,
            key: identity.keyId,
            tags: identity.tags,
          },
    model: request?.model ?? null,
    route: plan?.pattern ?? null,
    tier: plan?.tier ?? null,
    priority: passage.priority,
    personalData: Object.fromEntries(found),
    targets: (plan?.steps ?? []).slice(0, listMax).map(({ target, on }) => ({
      ...targetState(target, nowMs),
      ...(on === null ? {} : { afterOnly: [...on] }),
    })),
    leftOut:
      identity === null || request === null
        ? []
        : leftOut(passage.exchange, identity, request, stages.routes, nowMs).slice(0, listMax),
    limits: identity === null ? [] : limitsOf(passage, identity),
    applied: permit?.limits ?? [],
    refused: refused === null ? null : { code: refused.code, message: refused.text },
    cache: passage.cacheUse,
    tried: trail?.text ?? '',
  };
}

/** A target's breaker and keys, as routing and attempts see them now. */
function targetState(target: Target, nowMs: number): object {
  const { label, provider, health } = target;
  const state = health.breakerId === 0 ? breakerState.closed : breaker.state(health.breakerId, nowMs);
  const resting = provider.credentials.filter(
    ({ refusedUntilMs, limitedUntilMs }) => Math.max(refusedUntilMs, limitedUntilMs.get(label) ?? 0) > nowMs,
  );
  return {
    target: label,
    breaker: names[state as keyof typeof names] ?? 'half-open',
    restsMs: Math.max(0, Math.round(cooldownOf(target, nowMs).waitMs)),
    inFlight: health.inFlight,
    keys: provider.credentials.length,
    keysResting: resting.length,
  };
}

/** The meters that a request of this caller is counted in, fullest first. */
function limitsOf({ permit, stages, plan, request }: Passage, identity: Identity): LimitView[] {
  const of: Readonly<Record<string, string | null>> = {
    tenant: identity.tenant,
    team: identity.team,
    user: identity.user,
    key: identity.keyId,
    route: plan?.pattern ?? null,
    model: request?.model ?? null,
  };
  const isCallers = ({ scope }: LimitView): boolean =>
    scope === '' ||
    scope.split(', ').every((part) => {
      const [, name = '', value] = /^(?:no )?(\w+)(?: "(.*)")?$/.exec(part) ?? [];
      return name === 'tag' ? identity.tags.includes(value ?? '') : (of[name] ?? undefined) === value;
    });
  const { limiter } = stages;
  const all = limiter.fullest(metersMax).filter(isCallers);
  // Without a permit, it was one of these that refused.
  const named = permit === null ? all : all.filter(({ limit }) => permit.limits.includes(limit));
  return named.slice(0, listMax);
}

/** Text in a form that a header can carry. */
const ascii = (json: string): string =>
  json.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
