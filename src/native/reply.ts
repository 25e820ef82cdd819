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
