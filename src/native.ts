/** The only import of the native core: loads the binary for this platform and gives its numbers names. */
import { createRequire } from 'node:module';
import type * as Binding from '../native/binding/index.d.ts';

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
} as const;

const reg = (index: number): number => regs[index] ?? 0;

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
 * @param scrub which of `piiBits` are replaced by placeholders
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
    digest: digests.toString('latin1', 0, 32),
    keyedDigest: digests.toString('hex', 32, 64),
  };
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
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens: number;
  readonly finish: Finish;
  readonly textBytes: number;
}

/** Dialects that the native core reads. `any`: only whether data are JSON, and no error. */
export type NativeDialect = 'openai' | 'anthropic' | 'any' | 'gemini';
const dialectIds: Readonly<Record<NativeDialect, number>> = {
  openai: 0,
  anthropic: 1,
  any: 2,
  gemini: 3,
};
const out = new Uint32Array(10);
const word = (index: number): number => out[index] ?? 0;

/** Looks a whole reply through; null: it isn't a JSON object. */
export function inspectReply(body: Buffer, dialect: NativeDialect): ReplyFacts | null {
  native.inspectReply(body, dialectIds[dialect], out);
  if (word(0) !== 0) return null;
  const flags = word(1);
  return {
    error: (flags & 1) !== 0,
    tool: (flags & 2) !== 0,
    refused: (flags & 4) !== 0,
    usage: (flags & 8) !== 0,
    inputTokens: word(2),
    outputTokens: word(3),
    // Anthropic counts what it read from and wrote to its cache apart from `input_tokens`.
    cachedInputTokens: word(4),
    finish: finishes[word(6)] ?? 'other',
    textBytes: word(7),
  };
}

/** Reads a provider's event stream as it passes: whole events go on unchanged, half ones wait for their rest. */
export class StreamScanner {
  readonly #native: InstanceType<typeof Binding.SseScanner>;
  #state = 0;
  #facts: Uint32Array = new Uint32Array(10);

  /** @param stripUsage take the usage event out, since only the gateway asked for it */
  constructor(dialect: NativeDialect, stripUsage: boolean, eventMaxBytes: number) {
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

  /** The facts so far. */
  facts(): ReplyFacts {
    const at = (index: number): number => this.#facts[index] ?? 0;
    return {
      error: (this.#state & (8 | 16 | 32)) !== 0,
      tool: this.toolBegun,
      refused: (this.#state & 256) !== 0,
      usage: (this.#state & 64) !== 0,
      inputTokens: at(2),
      outputTokens: at(3),
      cachedInputTokens: at(4),
      finish: finishes[at(6)] ?? 'other',
      textBytes: at(7),
    };
  }
}

/** Token buckets by id; times are monotonic ms. See `native/core/src/bucket.rs`. */
export const bucket = {
  open: native.bucketOpen,
  set: native.bucketSet,
  /** 0: granted; above: ms until it could be; -1: never. */
  take: native.bucketTake,
  settle: native.bucketSettle,
  level: native.bucketLevel,
  close: native.bucketClose,
};

/** Circuit breakers by id; times are monotonic ms. See `native/core/src/breaker.rs`. */
export const breaker = {
  open: native.breakerOpen,
  set: native.breakerSet,
  /** A ticket (≥ 0), or minus the ms until a probe may go. */
  admit: native.breakerAdmit,
  report: native.breakerReport,
  state: native.breakerState,
  close: native.breakerClose,
};

/** Outcomes for `breaker.report`. */
export const breakerOutcome = { success: 0, failure: 1, abandoned: 2 } as const;
