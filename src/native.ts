/** The only import of the native core: loads the binary for this platform and gives its numbers names. */
import { createRequire } from 'node:module';
import type * as Binding from '../native/binding/index.d.ts';
import type { MediaUsage } from './exchange.ts';
import { type Tier, tiers } from './upstream/target.ts';

function load(): typeof Binding {
  const libc = process.platform === 'linux' ? '-gnu' : process.platform === 'win32' ? '-msvc' : '';
  const file = `../native/binding/sidegate-native.${process.platform}-${process.arch}${libc}.node`;
  try {
    return createRequire(import.meta.url)(file) as typeof Binding;
  } catch (cause) {
    throw new Error(
      `The native core for ${process.platform}-${process.arch} is missing. Run \`npm run build:native\`.`,
      {
        cause,
      },
    );
  }
}

const native = load();

/** Kinds of personal data that can be looked for, as bits. */
export const piiBits = { email: 1, card: 2 } as const;

const findingsMax = 4096;
const headWords = 18;
const regs = new Uint32Array(headWords + 3 * findingsMax);
const digests = Buffer.alloc(64);
const absent = 0xffff_ffff;

const fieldNames = [
  'model',
  'messages',
  'stream',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'stream_options',
  'tools',
  'input',
  'system',
  'response_format',
  'user',
  'contents',
  'systemInstruction',
  'generationConfig',
  'query',
  'documents',
  'texts',
  'inputs',
] as const;

/** Why a body can't be used. */
export type BodyFault =
  | { readonly kind: 'json' | 'utf8' | 'depth' | 'object' | 'findings'; readonly offset: number }
  | { readonly kind: 'duplicate' | 'type'; readonly offset: number; readonly field: string };

const faultKinds = ['', 'json', 'utf8', 'depth', 'duplicate', 'object', 'type', 'findings'] as const;

/** A body's findings; laid out in `native/core/src/registers.rs`. */
export interface Inspection {
  readonly body: Buffer;
  readonly flags: number;
  readonly tier: Tier | null;
  readonly modelStart: number;
  readonly modelEnd: number;
  readonly maxTokens: number | null;
  readonly choices: number;
  readonly textBytes: number;
  readonly textCharacters: number;
  readonly streamOptionsStart: number;
  readonly streamOptionsEnd: number;
  readonly firstField: number;
  readonly emails: number;
  readonly cards: number;
  readonly masked: ReadonlyMap<string, string> | null;
  readonly digest: string;
  readonly keyedDigest: string;
}

/** Added to `scrub`: put the request in a tier. */
export const classifyBit = 1 << 24;

/** Where `Inspection.flags` has the request's tier, from 1; 0: it wasn't classified. */
const tierShift = 28;

/** Bits of `Inspection.flags`. */
export const bodyFlags = {
  stream: 1,
  includeUsage: 2,
  tools: 4,
  images: 8,
  schema: 16,
  reasoning: 32,
  media: 64,
  modelEscaped: 128,
  serverTools: 256,
  streamOptions: 512,
  audio: 1 << 26,
  code: 1 << 27,
} as const;

const reg = (index: number): number => regs[index] ?? 0;

function tierOf(flags: number): Tier | null {
  const number = flags >>> tierShift;
  return number === 0 ? null : (tiers[number - 1] ?? null);
}

function readMasked(original: Buffer): ReadonlyMap<string, string> | null {
  const count = reg(15);
  if (count === 0) return null;
  const masked = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const at = headWords + 3 * i;
    const kind = reg(at) >>> 24 === 1 ? 'EMAIL' : 'CARD';
    const raw = original.toString('utf8', reg(at + 1), reg(at + 2));
    masked.set(`[${kind}_${reg(at) & 0xff_ffff}]`, raw.includes('\\') ? String(JSON.parse(`"${raw}"`)) : raw);
  }
  return masked;
}

/**
 * Looks a request body through in one pass.
 * @param scrub which of `piiBits` are replaced by placeholders, and `classifyBit`
 * @param key key of the HMAC over the body that leaves
 */
export function inspect(body: Buffer, inspectId: number, scrub: number, key: Buffer): Inspection | BodyFault {
  const edited = native.inspect(body, inspectId, scrub, key, regs, digests);
  const status = reg(0);
  if (status !== 0) {
    const kind = faultKinds[status] ?? 'json';
    if (kind === 'duplicate' || kind === 'type')
      return { kind, offset: reg(1), field: fieldNames[reg(2)] ?? '' };
    return { kind: kind === '' ? 'json' : kind, offset: reg(1) };
  }
  return {
    body: edited ?? body,
    modelStart: reg(3),
    modelEnd: reg(4),
    flags: reg(5),
    tier: tierOf(reg(5)),
    maxTokens: reg(6) === absent ? null : reg(6),
    choices: reg(7),
    textBytes: reg(8),
    textCharacters: reg(9),
    streamOptionsStart: reg(11),
    streamOptionsEnd: reg(12),
    firstField: reg(13),
    emails: reg(16),
    cards: reg(17),
    masked: readMasked(body),
    digest: digests.toString('hex', 0, 32),
    keyedDigest: digests.toString('hex', 32, 64),
  };
}

/** Names of the features that requests are put in tiers by. */
export const featureNames = native.featureNames;

/** What puts a request in a tier: its features in eighths, by `featureNames`, and the tiers' scores; the greatest decides. */
export interface Complexity {
  readonly features: readonly number[];
  readonly scores: readonly number[];
}

/** Explains what `inspect` decides by the way; null: the body has a fault. */
export function classify(body: Buffer, inspectId: number): Complexity | null {
  const all = native.classify(body, inspectId);
  if (all.length === 0) return null;
  return { features: all.slice(0, -tiers.length), scores: all.slice(-tiers.length) };
}

/** How a reply ended by its own word. */
export type Finish = 'none' | 'stop' | 'length' | 'tool' | 'filter' | 'other';
const finishes: readonly Finish[] = ['none', 'stop', 'length', 'tool', 'filter', 'other'];

/** What is known of a reply, or of a stream so far. */
export interface ReplyFacts {
  readonly error: boolean;
  readonly tool: boolean;
  readonly refused: boolean;
  /** The provider stated its usage. */
  readonly usage: boolean;
  /** All of the prompt, in both dialects. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the input, read from the provider's cache, and written to it. */
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  readonly finish: Finish;
  readonly textBytes: number;
  /** Images and sound, at endpoints beside chat. */
  readonly media?: MediaUsage;
  /** What Cohere bills of a rerank instead of tokens; left out: nothing of the kind. */
  readonly searchUnits?: number;
}

/** Nothing is known. */
export const noFacts: ReplyFacts = {
  error: false,
  tool: false,
  refused: false,
  usage: false,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  finish: 'none',
  textBytes: 0,
};

/**
 * What the native core reads. `any`: only whether data are JSON, and no error. `passthrough`: OpenAI's beside chat.
 * `cohere`: its rerank and embed.
 */
export type NativeDialect = 'openai' | 'anthropic' | 'any' | 'gemini' | 'cohere' | 'passthrough';
const dialectIds: Readonly<Record<NativeDialect, number>> = {
  openai: 0,
  anthropic: 1,
  any: 2,
  gemini: 3,
  cohere: 4,
  passthrough: 10,
};
const out = new Uint32Array(12);
const word = (index: number): number => out[index] ?? 0;

/** Looks a whole reply through; null: it isn't a JSON object. */
export function inspectReply(body: Buffer, dialect: NativeDialect): ReplyFacts | null {
  native.inspectReply(body, dialectIds[dialect], out);
  if (word(0) !== 0) return null;
  const flags = word(1);
  const facts: ReplyFacts = {
    error: (flags & 1) !== 0,
    tool: (flags & 2) !== 0,
    refused: (flags & 4) !== 0,
    usage: (flags & 8) !== 0,
    inputTokens: inputTokens(dialect, word(2), word(4), word(5)),
    outputTokens: word(3),
    cachedInputTokens: word(4),
    cacheWriteTokens: word(5),
    finish: finishes[word(6)] ?? 'other',
    textBytes: word(7),
    ...(word(11) > 0 ? { searchUnits: word(11) } : {}),
  };
  return dialect === 'passthrough' ? { ...facts, media: mediaIn(out, 8) } : facts;
}

const mediaIn = (registers: Uint32Array, at: number): MediaUsage => ({
  inputTokens: registers[at] ?? 0,
  outputTokens: registers[at + 1] ?? 0,
  soundMs: registers[at + 2] ?? 0,
});

/** Anthropic counts what it read from and wrote to its cache apart from `input_tokens`; OpenAI's count has all. */
const inputTokens = (dialect: NativeDialect, stated: number, cached: number, written: number): number =>
  dialect === 'anthropic' ? stated + cached + written : stated;

/** The text of a whole reply, decoded, at most 1 MiB of it; `body` may be cut anywhere. */
export const replyText = (body: Buffer, dialect: NativeDialect): Buffer =>
  native.replyText(body, dialectIds[dialect]);

/** Reads a provider's event stream as it passes: whole events go on unchanged, half ones wait for their rest. */
export class StreamScanner {
  readonly #native: InstanceType<typeof Binding.SseScanner>;
  readonly #dialect: NativeDialect;
  #state = 0;
  #facts: Uint32Array = new Uint32Array(13);

  /** @param stripUsage take the usage event out, since only the gateway asked for it */
  constructor(dialect: NativeDialect, stripUsage: boolean, eventMaxBytes: number) {
    this.#dialect = dialect;
    this.#native = new native.SseScanner(dialectIds[dialect], stripUsage, eventMaxBytes);
  }

  /** Gives what may go on to the client: the chunk itself, other bytes, or null for nothing yet. */
  push(chunk: Buffer): Buffer | null {
    const output = this.#native.push(chunk, this.#facts);
    return this.#after((this.#facts[0] ?? 0) & 1 ? chunk : output);
  }

  /** The provider's bytes have ended. */
  finish(): Buffer | null {
    return this.#after(this.#native.finish(this.#facts));
  }

  #after(output: Buffer | null | undefined): Buffer | null {
    this.#state = this.#facts[1] ?? 0;
    return output ?? null;
  }

  /** First content seen: a retry is no longer invisible. */
  get content(): boolean {
    return (this.#state & 1) !== 0;
  }
  get finished(): boolean {
    return (this.#state & 2) !== 0;
  }
  get ended(): boolean {
    return (this.#state & 4) !== 0;
  }
  /** An error event, data that isn't what the dialect sends, or an event over the bound. */
  get broken(): 'error_event' | 'malformed' | 'event_too_large' | null {
    if (this.#state & 8) return 'error_event';
    if (this.#state & 16) return 'malformed';
    return this.#state & 32 ? 'event_too_large' : null;
  }
  get toolBegun(): boolean {
    return (this.#state & 128) !== 0;
  }
  /** An event that is none of the faulty ones has come. */
  get begun(): boolean {
    return (this.#facts[8] ?? 0) > 0;
  }
  /** UTF-8 bytes of reply text so far. */
  get textBytes(): number {
    return this.#facts[7] ?? 0;
  }
  /** Anthropic: number of the content block that has begun and not ended; -1: none. */
  get openBlock(): number {
    return this.#native.openBlock();
  }

  /** The reply's text so far, decoded, at most 1 MiB of it. It is not kept any longer. */
  takeText(): Buffer {
    return this.#native.takeText();
  }

  /** The facts so far. */
  facts(): ReplyFacts {
    const at = (index: number): number => this.#facts[index] ?? 0;
    const facts: ReplyFacts = {
      error: (this.#state & (8 | 16 | 32)) !== 0,
      tool: this.toolBegun,
      refused: (this.#state & 256) !== 0,
      usage: (this.#state & 64) !== 0,
      inputTokens: inputTokens(this.#dialect, at(2), at(4), at(5)),
      outputTokens: at(3),
      cachedInputTokens: at(4),
      cacheWriteTokens: at(5),
      finish: finishes[at(6)] ?? 'other',
      textBytes: at(7),
    };
    return this.#dialect === 'passthrough' ? { ...facts, media: mediaIn(this.#facts, 10) } : facts;
  }
}

/** Meters of limits and budgets, by table and id; times are monotonic ms. See `native/core/src/meters.rs`. */
export const meter = {
  openTable: native.metersOpen,
  closeTable: native.metersClose,
  open: native.meterOpen,
  set: native.meterSet,
  admit: native.meterAdmit,
  settle: native.meterSettle,
  sweep: native.meterSweep,
  left: native.meterLeft,
  restore: native.meterRestore,
  changed: native.meterChanged,
  close: native.meterClose,
};

/** When a breaker opens, and for how long; see `Settings` in `native/core/src/breaker.rs`. */
export type BreakerSettings = Readonly<Binding.BreakerSettings>;
/** Algorithms for `meter.open`. */
export const meterAlgorithm = {
  token_bucket: 0,
  leaky_bucket: 1,
  sliding_window: 2,
  concurrency: 3,
  budget: 4,
} as const;

/** Numbers of an entry of `meter.admit` and of `meter.settle`. */
export const meterEntry = { admit: 5, settle: 4 } as const;
/** Bits of an entry that asks. */
export const meterAsk = { observed: 1, spent: 2, quiet: 16 } as const;
/** Bits of an entry that was answered. */
export const meterTold = { crossed: 1, say: 2, wouldRefuse: 4, notTaken: 8 } as const;

/** Circuit breakers by id; times are monotonic ms. See `native/core/src/breaker.rs`. */
export const breaker = {
  open: native.breakerOpen,
  set: native.breakerSet,
  /** A ticket (≥ 0; a probe's from 2^32), or minus the ms until a probe may go. */
  admit: native.breakerAdmit,
  /** True: the state changed. */
  report: native.breakerReport,
  hint: native.breakerHint,
  state: native.breakerState,
  close: native.breakerClose,
};

/** Whether `breaker.admit` gave the ticket of a probe. */
export const isProbe = (ticket: number): boolean => ticket >= 2 ** 32;

/** What `breaker.state` says. */
export const breakerState = { closed: 0, open: 1, halfOpen: 2 } as const;

/** Outcomes for `breaker.report`. */
export const breakerOutcome = { success: 0, failure: 1, abandoned: 2 } as const;

/** Retry budgets by id; times are monotonic ms. See `native/core/src/retries.rs`. */
export const retryBudget = {
  open: native.retriesOpen,
  set: native.retriesSet,
  request: native.retriesRequest,
  /** False: it is used up. */
  spend: native.retriesSpend,
  close: native.retriesClose,
};

/** Entries up to here are copied out by one call. */
const storeScratch = Buffer.allocUnsafeSlow(64 * 1024);
const storeLengths = new Uint32Array(2);
/** Strings that go to the core by the byte: handed over as strings they would be measured and copied once more. */
let keyScratch = Buffer.allocUnsafeSlow(4 * 1024);

/** Writes a key into `keyScratch`; gives its length in bytes. */
function writeKey(key: string): number {
  if (key.length * 3 > keyScratch.length) keyScratch = Buffer.allocUnsafeSlow(key.length * 3);
  return keyScratch.write(key);
}

/** An entry of a store, good until the next one is read. */
export interface StoreEntry {
  readonly bytes: Buffer;
  readonly headLength: number;
  /** Of head and body. */
  readonly length: number;
}

/** Bounded stores of bytes by id, kept outside the JavaScript heap. See `native/core/src/store.rs`. */
export const store = {
  open: native.storeOpen,
  set: native.storeSet,
  size: native.storeSize,
  bytes: native.storeBytes,
  /** @param head its first `headLength` bytes are kept */
  put(id: number, key: string, head: Buffer, headLength: number, body: Buffer, nowMs: number): void {
    const keyLength = writeKey(key);
    native.storePut(id, keyScratch, keyLength, head, headLength, body, nowMs);
  },
  /** Null: the key has no entry. */
  get(id: number, key: string, nowMs: number): StoreEntry | null {
    const keyLength = writeKey(key);
    if (!native.storeGet(id, keyScratch, keyLength, nowMs, storeLengths, storeScratch)) return null;
    const headLength = storeLengths[0] ?? 0;
    const length = headLength + (storeLengths[1] ?? 0);
    let bytes = storeScratch;
    if (length > storeScratch.length) {
      bytes = Buffer.allocUnsafeSlow(length);
      native.storeGet(id, keyScratch, keyLength, nowMs, storeLengths, bytes);
    }
    return { bytes, headLength, length };
  },
};

/** Gives free pages of the C library's allocator back to the system, where it keeps them; about 1 ms. */
export const trimMemory = native.memoryTrim;
