/** Replies in the native core: whole ones and streams. */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** What a reply says of images and sound. */
export interface MediaUsage {
  /** Of the input tokens. */
  readonly inputTokens: number;
  /** Of the output tokens. */
  readonly outputTokens: number;
  /** Length of the sound that was heard, where that is what is billed. */
  readonly soundMs: number;
}

/** How a reply ended by its own word. */
export type Finish = 'none' | 'stop' | 'length' | 'tool' | 'filter' | 'other';

const finishes: Readonly<Record<Binding.Finish, Finish>> = {
  [native.Finish.None]: 'none',
  [native.Finish.Stop]: 'stop',
  [native.Finish.Length]: 'length',
  [native.Finish.Tool]: 'tool',
  [native.Finish.Filter]: 'filter',
  [native.Finish.Other]: 'other',
};

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
 * What the native core reads. `any`: only whether data are JSON, and no error. `auxiliary`: OpenAI's auxiliary
 * endpoints. `cohere`: its rerank and embed.
 */
export type NativeDialect = 'openai' | 'anthropic' | 'any' | 'gemini' | 'cohere' | 'auxiliary';

const dialects: Readonly<Record<NativeDialect, Binding.Dialect>> = {
  openai: native.Dialect.OpenAi,
  anthropic: native.Dialect.Anthropic,
  any: native.Dialect.Any,
  gemini: native.Dialect.Gemini,
  cohere: native.Dialect.Cohere,
  auxiliary: native.Dialect.Auxiliary,
};

const size = native.replySize.REGISTERS;
const at = native.ReplyRegister;
const state = native.replyState;
const { PASS: pass } = native.scannerCall;
const faults = state.ERROR | state.MALFORMED | state.OVERFLOW;

const out = new Uint32Array(size);

/** Looks a whole reply through; null: it isn't a JSON object. */
export function inspectReply(body: Buffer, dialect: NativeDialect): ReplyFacts | null {
  native.inspectReply(body, dialects[dialect], out);
  return ((out[at.State] ?? 0) & state.MALFORMED) !== 0 ? null : factsIn(out, dialect);
}

function factsIn(registers: Uint32Array, dialect: NativeDialect): ReplyFacts {
  const word = (index: number): number => registers[index] ?? 0;
  const bits = word(at.State);
  const cached = word(at.Cached);
  const written = word(at.CacheWrite);
  const searches = word(at.Searches);
  const facts: ReplyFacts = {
    error: (bits & faults) !== 0,
    tool: (bits & state.TOOL) !== 0,
    refused: (bits & state.REFUSAL) !== 0,
    usage: (bits & state.USAGE) !== 0,
    // Anthropic counts what it read from and wrote to its cache apart from `input_tokens`; OpenAI's count has all.
    inputTokens: word(at.Input) + (dialect === 'anthropic' ? cached + written : 0),
    outputTokens: word(at.Output),
    cachedInputTokens: cached,
    cacheWriteTokens: written,
    finish: finishes[word(at.Finish) as Binding.Finish],
    textBytes: word(at.TextBytes),
    ...(searches > 0 ? { searchUnits: searches } : {}),
  };
  if (dialect !== 'auxiliary') return facts;
  const media = {
    inputTokens: word(at.MediaInput),
    outputTokens: word(at.MediaOutput),
    soundMs: word(at.SoundMs),
  };
  return { ...facts, media };
}

/** The text of a whole reply, decoded, at most 1 MiB of it; `body` may be cut anywhere. */
export const replyText = (body: Buffer, dialect: NativeDialect): Buffer =>
  native.replyText(body, dialects[dialect]);

/** Reads a provider's event stream as it passes: whole events go on unchanged, half ones wait for their rest. */
export class StreamScanner {
  readonly #native: InstanceType<typeof Binding.SseScanner>;
  readonly #dialect: NativeDialect;
  #state = 0;
  #facts: Uint32Array = new Uint32Array(size);

  /** @param stripUsage take the usage event out, since only the gateway asked for it */
  constructor(dialect: NativeDialect, stripUsage: boolean, eventMaxBytes: number) {
    this.#dialect = dialect;
    this.#native = new native.SseScanner(dialects[dialect], stripUsage, eventMaxBytes);
  }

  /** Gives what may go on to the client: the chunk itself, other bytes, or null for nothing yet. */
  push(chunk: Buffer): Buffer | null {
    const output = this.#native.push(chunk, this.#facts);
    return this.#after((this.#facts[at.Call] ?? 0) & pass ? chunk : output);
  }

  /** The provider's bytes have ended. */
  finish(): Buffer | null {
    return this.#after(this.#native.finish(this.#facts));
  }

  #after(output: Buffer | null | undefined): Buffer | null {
    this.#state = this.#facts[at.State] ?? 0;
    return output ?? null;
  }

  /** First content seen: a retry is no longer invisible. */
  get content(): boolean {
    return (this.#state & state.CONTENT) !== 0;
  }
  get finished(): boolean {
    return (this.#state & state.FINISH) !== 0;
  }
  get ended(): boolean {
    return (this.#state & state.END) !== 0;
  }
  /** An error event, data that isn't what the dialect sends, or an event over the bound. */
  get broken(): 'error_event' | 'malformed' | 'event_too_large' | null {
    if (this.#state & state.ERROR) return 'error_event';
    if (this.#state & state.MALFORMED) return 'malformed';
    return this.#state & state.OVERFLOW ? 'event_too_large' : null;
  }
  get toolBegun(): boolean {
    return (this.#state & state.TOOL) !== 0;
  }
  /** An event that is none of the faulty ones has come. */
  get begun(): boolean {
    return (this.#facts[at.Events] ?? 0) > 0;
  }
  /** UTF-8 bytes of reply text so far. */
  get textBytes(): number {
    return this.#facts[at.TextBytes] ?? 0;
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
    return factsIn(this.#facts, this.#dialect);
  }
}
