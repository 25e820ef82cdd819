/**
 * Asks an external recogniser for what has no form that could be looked for: names, places, organisations. A request waits
 * for it only where its policy acts on such a kind, and only for texts that weren't asked about before.
 */
import { type Cancellation, cancelRefusal } from '../../base/cancellation.ts';
import { Refusal } from '../../base/errors.ts';
import type { Variables } from '../../base/proxy.ts';
import type { RecogniserCheck, Telemetry } from '../../base/telemetry.ts';
import { breaker, breakerOutcome, breakerState } from '../../native/breaker.ts';
import { type PromptTexts, piiKinds } from '../../native/pii.ts';
import { createCalls, type Problem } from './calls.ts';
import { codePoints, joined, separated, type Values } from './joined.ts';
import { createKnown } from './known.ts';
import { type Asking, analyzePath, askAbout, claimsOf } from './presidio.ts';
import type { RecogniserSettings } from './settings.ts';

/** What was found in a request's texts: for each value its string, kind, start and end, as `inspect` takes them. */
export type Recognised = Uint32Array;

type Found = Recognised | null | Refusal;

/** How long an answer is waited for. */
export interface Waits {
  readonly cancellation: Cancellation;
  /** The request's deadline, monotonic ms. */
  readonly deadlineMs: number;
}

/** The recogniser of a configuration. */
export interface Recogniser {
  /**
   * The values in texts. If they can't be looked for: null where requests may pass unchecked, otherwise a refusal, as for
   * one that was cancelled. Returns a promise only if something must be asked.
   */
  find(texts: PromptTexts, waits: Waits): Found | Promise<Found>;
  /** No new request uses it; it ends with the last one that does. */
  close(): void;
}

/** Clocks, the environment, and where it reports. */
export interface RecogniserWorld {
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly env: Variables;
  readonly telemetry: Pick<Telemetry, 'recogniserCheck' | 'recogniser'>;
}

/** Texts of one request. */
const textsMax = 10_000;

/** About so many UTF-16 units are sent in one call, so that a long request's texts are looked at side by side. */
const callChars = 16 * 1024;

/** A dead recogniser is asked by a few requests only: then one every now and then. */
const breakerSettings = (timeoutMs: number) => ({
  failures: 5,
  rate: 1,
  callsMin: 0,
  windowMs: 10_000,
  cooldownMs: 1000,
  cooldownMaxMs: 30_000,
  probeMaxMs: timeoutMs + 1000,
  sourcesMin: 1,
});

/** Why texts could not be checked. */
interface Unchecked {
  readonly check: Exclude<RecogniserCheck, 'checked' | 'known'>;
  readonly why: string;
  /** Ms after which it may be otherwise; null: never. */
  readonly retryAfterMs: number | null;
  /** How long it took to ask; undefined: it wasn't asked. */
  readonly tookMs?: number;
}

/** A text that must be asked about. */
interface Fresh {
  /** Its place among the texts. */
  readonly at: number;
  readonly text: string;
}

/** Creates it; it connects when first needed. */
export function createRecogniser(
  settings: RecogniserSettings,
  { clock, env, telemetry }: RecogniserWorld,
): Recogniser {
  const { url, timeoutMs, concurrency, textMaxBytes, onFailure } = settings;
  const asking = askingOf(settings);
  const calls = createCalls(url.replace(/\/$/, '') + analyzePath, concurrency, env);
  const known = createKnown();
  const breakerId = breaker.open(breakerSettings(timeoutMs));
  let isUp = true;
  let inUse = 0;
  let isClosed = false;

  /** Asks about some of a request's texts; why not, if it failed. */
  const askAboutSome = async (
    some: readonly Fresh[],
    signal: AbortSignal,
    found: Values[],
  ): Promise<Problem | null> => {
    const texts = some.map(({ text }) => text);
    const all = joined(texts);
    const answer = await calls.post(askAbout(all, asking), signal);
    if ('problem' in answer) return answer.problem;
    const claims = claimsOf(answer.body, asking, codePoints(all));
    if (typeof claims === 'string') return { why: claims, isBusy: false };
    for (const [i, values] of separated(texts, claims).entries()) {
      const { at, text } = some[i] as Fresh;
      found[at] = values;
      // What is done needn't be done again, even if the rest of the request comes to nothing.
      known.add(text, values);
    }
    return null;
  };

  const ask = async (fresh: readonly Fresh[], found: Values[], waits: Waits): Promise<Unchecked | null> => {
    const nowMs = clock();
    const ticket = breaker.admit(breakerId, nowMs);
    if (ticket < 0) return { check: 'skipped', why: 'the recogniser failed lately', retryAfterMs: -ticket };
    const over = new AbortController();
    const end = (): void => over.abort();
    const timer = setTimeout(end, Math.max(0, Math.min(timeoutMs, waits.deadlineMs - nowMs)));
    waits.cancellation.onCancel(end);
    const some = portions(fresh);
    const problems = await Promise.all(some.map((each) => askAboutSome(each, over.signal, found)));
    clearTimeout(timer);
    waits.cancellation.off(end);
    const failure = problems.find((each) => each?.isBusy === false) ?? null;
    const problem = failure ?? problems.find((each) => each !== null) ?? null;
    const isLate = failure !== null && over.signal.aborted;
    const why = isLate ? `the recogniser took more than ${timeoutMs} ms` : (problem?.why ?? '');
    const left = waits.cancellation.reason !== null;
    report(ticket, problem === null ? 'success' : failure === null || left ? 'abandoned' : 'failure', why);
    if (problem === null) return null;
    const check = isLate ? 'late' : failure === null ? 'busy' : 'failed';
    return { check, why, retryAfterMs: 1000, tookMs: clock() - nowMs };
  };

  /** Tells the breaker, and the log where its state changes. */
  const report = (ticket: number, outcome: keyof typeof breakerOutcome, why: string): void => {
    const nowMs = clock();
    if (!breaker.report(breakerId, ticket, breakerOutcome[outcome], 0, nowMs)) return;
    // A probe that fails opens it anew.
    const now = breaker.state(breakerId, nowMs) === breakerState.closed;
    if (now !== isUp) telemetry.recogniser(now, why);
    isUp = now;
  };

  const endIfUnused = (): void => {
    if (!isClosed || inUse > 0) return;
    calls.close();
    breaker.close(breakerId);
  };

  const unchecked = ({ check, why, retryAfterMs, tookMs }: Unchecked): null | Refusal => {
    telemetry.recogniserCheck(check, tookMs ?? null);
    if (onFailure === 'pass') return null;
    const message = `Names and places could not be looked for in this request: ${why}.`;
    return retryAfterMs === null
      ? new Refusal('text_unchecked', message)
      : new Refusal('recogniser_down', message, { retryAfterMs });
  };

  return {
    find({ texts, strings }, waits) {
      if (texts.length > textsMax)
        return unchecked({
          check: 'too_long',
          why: `it has more than ${textsMax} texts`,
          retryAfterMs: null,
        });
      const found: Values[] = [];
      const fresh: Fresh[] = [];
      let freshBytes = 0;
      for (const [at, text] of texts.entries()) {
        const values = known.find(text);
        found.push(values ?? []);
        if (values !== null) continue;
        fresh.push({ at, text });
        freshBytes += Buffer.byteLength(text);
      }
      if (fresh.length === 0) {
        telemetry.recogniserCheck('known', null);
        return recognised(strings, found);
      }
      if (freshBytes > textMaxBytes) {
        const why = `it has ${freshBytes} bytes of text that weren't checked before, and ${textMaxBytes} are allowed`;
        return unchecked({ check: 'too_long', why, retryAfterMs: null });
      }
      const sinceMs = clock();
      inUse++;
      return ask(fresh, found, waits).then((failed) => {
        inUse--;
        endIfUnused();
        if (waits.cancellation.reason !== null) return cancelRefusal(waits.cancellation);
        if (failed !== null) return unchecked(failed);
        telemetry.recogniserCheck('checked', clock() - sinceMs);
        return recognised(strings, found);
      });
    },
    close() {
      isClosed = true;
      endIfUnused();
    },
  };
}

function askingOf({ language, scoreMin, entities }: RecogniserSettings): Asking {
  const number = new Map(piiKinds.map(({ name }, at) => [name, at]));
  const kinds = Object.entries(entities).map(
    ([entity, kind]) => [entity, number.get(kind ?? '') ?? 0] as const,
  );
  return { language, scoreMin, kinds: new Map(kinds) };
}

/** Texts for one call each: about equally long, in their order. A text is never cut. */
function portions(texts: readonly Fresh[]): Fresh[][] {
  const all: Fresh[][] = [];
  let length = Number.POSITIVE_INFINITY;
  for (const each of texts) {
    length += each.text.length;
    if (length > callChars) {
      all.push([]);
      length = each.text.length;
    }
    all.at(-1)?.push(each);
  }
  return all;
}

/** The values of all texts, in the order of their strings. */
function recognised(strings: readonly number[], found: readonly Values[]): Recognised {
  const all: number[] = [];
  for (const [i, values] of found.entries())
    for (let at = 0; at < values.length; at += 3)
      all.push(strings[i] ?? 0, values[at] ?? 0, values[at + 1] ?? 0, values[at + 2] ?? 0);
  return Uint32Array.from(all);
}
