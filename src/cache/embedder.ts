/**
 * What makes the vectors that similar questions are found by: the native core itself, or a provider, which is asked within
 * a deadline. A vector that doesn't come is a miss, never an error.
 */
import { hash } from 'node:crypto';
import { parseObject } from '../base/json.ts';
import type { EmbedResult, Telemetry } from '../base/telemetry.ts';
import { createNotes } from '../dialects/chat.ts';
import { writeVector } from '../dialects/embeddings.ts';
import { breaker, breakerOutcome, breakerState } from '../native/breaker.ts';
import { dimensions as builtInDimensions } from '../native/search.ts';
import { askOnce, lateText } from '../upstream/ask-once.ts';
import { takeCredential } from '../upstream/credential.ts';
import type { Provider } from '../upstream/target.ts';
import type { EmbedderSettings } from './settings.ts';

/** A vector: whole numbers from -127 to 127, the largest of them 127 or -127. */
export type QuestionVector = Float32Array;

/** Makes vectors of questions. */
export interface Embedder {
  /** What they are made by, and in which version: those of two embedders never meet. */
  readonly name: string;
  readonly dimensions: number;
  /** A provider is asked, which takes time; otherwise the native core embeds by itself, wherever it needs a vector. */
  readonly external: boolean;
  /** Most time that a vector takes, ms. */
  readonly timeoutMs: number;
  /** Asks for a vector, once for all that ask the same at once; null: there is none. Never rejects. */
  embed(scope: string, text: string): Promise<QuestionVector | null>;
  /** Adopts settings; undefined: the native core embeds. */
  update(settings: EmbedderSettings | undefined): void;
}

/** What it works with. */
export interface EmbedderDeps {
  provider(name: string): Provider | undefined;
  /** Monotonic ms. */
  readonly clock: () => number;
  readonly telemetry: Pick<Telemetry, 'cacheEmbedding' | 'cacheEmbedder'>;
}

/** Raised when the native core embeds otherwise. */
const builtIn = 'built-in 1';

/** Those that wait for their turn, by those that may be asked for at once. */
const waitingPerCall = 4;

/** A reply's bytes for each number, and besides. */
const numberBytes = 64;
const besidesBytes = 16 * 1024;

/** When a provider's embedder is left alone. */
const restsAfter = { failures: 5, rate: 0.5, callsMin: 20, windowMs: 10_000, sourcesMin: 1 };
const restMs = { cooldownMs: 1000, cooldownMaxMs: 60_000 };

/** Why there is no vector. `why` goes to the log, and quotes nothing. */
class NoVector extends Error {
  readonly result: Exclude<EmbedResult, 'embedded'>;

  constructor(result: Exclude<EmbedResult, 'embedded'>, why: string) {
    super(why);
    this.result = result;
  }
}

/** Brings a provider's numbers to the form in which vectors are kept. @throws NoVector: they are no vector */
export function toVector(numbers: readonly number[], dimensions: number): QuestionVector {
  if (numbers.length !== dimensions)
    throw new NoVector('invalid', `its vectors have ${numbers.length} dimensions instead of ${dimensions}`);
  let largest = 0;
  for (const number of numbers) {
    if (!Number.isFinite(number)) throw new NoVector('invalid', 'its vectors hold what is no number');
    largest = Math.max(largest, Math.abs(number));
  }
  if (largest === 0) throw new NoVector('invalid', 'its vectors are all zero');
  return Float32Array.from(numbers, (number) => Math.round((number / largest) * 127));
}

/** Whether numbers that came from elsewhere are a vector of the form in which they are kept. */
export const isVectorOf = (parts: Int8Array, dimensions: number): boolean =>
  parts.length === dimensions && parts.some((part) => part !== 0);

/**
 * Asks a provider for the vector of a text. Rejects with a reason that quotes neither the text nor the reply.
 * @param nowMs monotonic ms
 */
export async function askForVector(
  provider: Provider | undefined,
  { model, dimensions, shorten }: EmbedderSettings,
  text: string,
  nowMs: number,
  timeoutMs: number,
): Promise<QuestionVector> {
  const embedProvider = provider?.dialect.embedProvider;
  if (provider === undefined || embedProvider === undefined)
    throw new NoVector('failed', 'its provider is not there');
  const credential = takeCredential({ provider, label: `${provider.name}/${model}` }, nowMs);
  if (credential === null) throw new NoVector('failed', 'no key of its provider may be used at the moment');
  const { basePath, quirks, query, pool, load } = provider;
  if (load.inFlightMax !== null && load.inFlight >= load.inFlightMax)
    throw new NoVector('full', 'its provider has no free connection');
  const to = { basePath, quirks, model, served: model, headers: [], outputMaxTokens: null };
  const asked = { texts: [text], dimensions: shorten ? dimensions : null, base64: false, purpose: null };
  const { path, body, headers } = embedProvider.writeRequest(asked, to, createNotes());
  const sent = {
    path: `${basePath}${path}${query === '' ? '' : `?${query}`}`,
    method: 'POST',
    headers: [...credential.headers, ...headers],
    body: Buffer.from(JSON.stringify(body)),
  };
  const bounds = { timeoutMs, bytesMax: besidesBytes + numberBytes * dimensions };
  load.inFlight += 1;
  const reply = await askOnce(pool, sent, bounds)
    .catch((cause: Error & { code?: string }) => {
      throw new NoVector(cause.message === lateText ? 'late' : 'failed', cause.code ?? cause.message);
    })
    .finally(() => {
      load.inFlight -= 1;
    });
  if (reply.status !== 200) throw new NoVector('failed', `it answered with status ${reply.status}`);
  const json = parseObject(reply.body.toString());
  const [vector, ...more] = (json && embedProvider.readReply(json)?.vectors) ?? [];
  if (vector === undefined || more.length > 0) throw new NoVector('invalid', 'its reply holds no vector');
  return toVector(writeVector(vector, false) as readonly number[], dimensions);
}

/** The calls to one embedder, as it is configured. */
interface Calls {
  readonly settings: EmbedderSettings;
  readonly breakerId: number;
  running: number;
  /** Those that wait for their turn; called with false, it is too late for one. */
  readonly waiting: Set<(mine: boolean) => void>;
  readonly underWay: Map<string, Promise<QuestionVector | null>>;
  resting: boolean;
  closed: boolean;
}

function openCalls(settings: EmbedderSettings): Calls {
  const probeMaxMs = 2 * settings.timeoutMs;
  const breakerId = breaker.open({ ...restsAfter, ...restMs, probeMaxMs });
  const none = { running: 0, waiting: new Set<never>(), underWay: new Map<never, never>() };
  return { settings, breakerId, ...none, resting: false, closed: false };
}

/** Waits for the turn of a call. @returns whether it came in time */
function turn(calls: Calls, timeoutMs: number): Promise<boolean> {
  if (calls.running < calls.settings.callsMax) {
    calls.running += 1;
    return Promise.resolve(true);
  }
  return new Promise((resolve) => {
    const give = (mine: boolean): void => {
      clearTimeout(late);
      calls.waiting.delete(give);
      resolve(mine);
    };
    const late = setTimeout(give, timeoutMs, false);
    calls.waiting.add(give);
  });
}

function endTurn(calls: Calls): void {
  const [next] = calls.waiting;
  if (next === undefined) calls.running -= 1;
  else next(true);
}

/** Creates it. Providers are asked for by their names when they are needed. */
export function createEmbedder(
  first: EmbedderSettings | undefined,
  { provider, clock, telemetry }: EmbedderDeps,
): Embedder {
  let calls = first === undefined ? null : openCalls(first);
  let known: { readonly baseUrl: string; readonly name: string } | null = null;

  /** Reports how a call ended to the breaker, and says once when it begins to rest or is back. */
  const report = (of: Calls, ticket: number, outcome: keyof typeof breakerOutcome, why: string): void => {
    if (of.closed) return;
    breaker.report(of.breakerId, ticket, breakerOutcome[outcome], 0, clock());
    const resting = breaker.state(of.breakerId, clock()) !== breakerState.closed;
    if (resting === of.resting) return;
    of.resting = resting;
    telemetry.cacheEmbedder(resting ? why : null);
  };

  /** @throws NoVector */
  const call = async (of: Calls, text: string): Promise<QuestionVector> => {
    const { settings } = of;
    if (of.waiting.size >= waitingPerCall * settings.callsMax)
      throw new NoVector('full', 'too many questions wait for it');
    const beganMs = clock();
    const ticket = breaker.admit(of.breakerId, beganMs);
    if (ticket < 0) throw new NoVector('resting', 'it rests');
    if (!(await turn(of, settings.timeoutMs))) {
      report(of, ticket, 'abandoned', '');
      throw new NoVector('late', lateText);
    }
    try {
      const nowMs = clock();
      const leftMs = Math.max(1, settings.timeoutMs - (nowMs - beganMs));
      const vector = await askForVector(provider(settings.provider), settings, text, nowMs, leftMs);
      report(of, ticket, 'success', '');
      return vector;
    } catch (cause) {
      const { result, message } = cause instanceof NoVector ? cause : new NoVector('failed', String(cause));
      report(of, ticket, result === 'full' ? 'abandoned' : 'failure', message);
      throw cause;
    } finally {
      endTurn(of);
    }
  };

  const counted = async (of: Calls, text: string): Promise<QuestionVector | null> => {
    try {
      const vector = await call(of, text);
      telemetry.cacheEmbedding('embedded');
      return vector;
    } catch (cause) {
      telemetry.cacheEmbedding(cause instanceof NoVector ? cause.result : 'failed');
      return null;
    }
  };

  return {
    get name() {
      if (calls === null) return builtIn;
      const { settings } = calls;
      const baseUrl = provider(settings.provider)?.baseUrl ?? '';
      if (known?.baseUrl === baseUrl) return known.name;
      const { model, dimensions, version } = settings;
      known = { baseUrl, name: hash('sha256', JSON.stringify([baseUrl, model, dimensions, version])) };
      return known.name;
    },
    get dimensions() {
      return calls?.settings.dimensions ?? builtInDimensions;
    },
    get external() {
      return calls !== null;
    },
    get timeoutMs() {
      return calls?.settings.timeoutMs ?? 0;
    },
    embed(scope, text) {
      if (calls === null) return Promise.resolve(null);
      const { underWay } = calls;
      const name = `${scope}\0${text}`;
      const asked = underWay.get(name);
      if (asked !== undefined) return asked;
      const vector = counted(calls, text).finally(() => underWay.delete(name));
      underWay.set(name, vector);
      return vector;
    },
    update(settings) {
      if (JSON.stringify(settings) === JSON.stringify(calls?.settings)) return;
      if (calls !== null) {
        calls.closed = true;
        breaker.close(calls.breakerId);
      }
      calls = settings === undefined ? null : openCalls(settings);
      known = null;
    },
  };
}
