/** Inspection of replies in the native core, whole and streamed. */
import type * as Binding from '../../native/binding/index.d.ts';
import { native } from './load.ts';

/** What a reply states about images and audio. */
export interface MediaUsage {
  /** Input tokens of images and audio. */
  readonly inputTokens: number;
  /** Output tokens of images and audio. */
  readonly outputTokens: number;
  /** Duration of the audio input, if that is what is billed. */
  readonly soundMs: number;
  /** The tokens are of sound, none of images. */
  readonly sound?: true;
}

/** Classes of service with a price of their own: `flex` and `priority` of OpenAI and Gemini, Anthropic's fast mode. */
export const services = ['flex', 'priority', 'fast'] as const;
/** One of these classes. */
export type Service = (typeof services)[number];

/** What a reply states that decides its price, besides its tokens. */
export interface Pricing {
  /** Of the tokens written to the provider's cache: those kept for an hour. */
  readonly cacheWriteHourTokens?: number;
  /** Undefined: the usual one. */
  readonly service?: Service;
  /** It was served in one country, at a surcharge. */
  readonly resident?: true;
  /** What the provider charges, in nano-dollars. */
  readonly statedNanoUsd?: number;
  /** Tokens of the longest prompt, where the request became several; undefined: there is one, or none is stated. */
  readonly longestPromptTokens?: number;
}

const serviceNames: Readonly<Partial<Record<Binding.Service, Service>>> = {
  [native.Service.Flex]: 'flex',
  [native.Service.Priority]: 'priority',
  [native.Service.Fast]: 'fast',
};

/** The finish reason that a reply states. */
export type Finish = 'none' | 'stop' | 'length' | 'tool' | 'filter' | 'other';

const finishes: Readonly<Record<Binding.Finish, Finish>> = {
  [native.Finish.None]: 'none',
  [native.Finish.Stop]: 'stop',
  [native.Finish.Length]: 'length',
  [native.Finish.Tool]: 'tool',
  [native.Finish.Filter]: 'filter',
  [native.Finish.Other]: 'other',
};

/** What is known about a reply, or about a stream so far. */
export interface ReplyFacts {
  readonly error: boolean;
  readonly tool: boolean;
  readonly refused: boolean;
  /** The provider stated its usage. */
  readonly usage: boolean;
  /** The whole prompt in every dialect, including cached tokens. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of those: spent on reasoning; undefined: it states none. */
  readonly reasoningTokens?: number;
  /** Input tokens read from the provider's cache, and written to it. */
  readonly cachedInputTokens: number;
  readonly cacheWriteTokens: number;
  readonly finish: Finish;
  readonly textBytes: number;
  /** Images and audio; undefined: it states none. */
  readonly media?: MediaUsage;
  /** Units in which Cohere bills a rerank; undefined: none. */
  readonly searchUnits?: number;
  /** Undefined: it states no more than tokens. */
  readonly pricing?: Pricing;
  /** The model that it says answered; undefined: it names none. */
  readonly model?: string;
  /** It only promises an answer, which will be billed. */
  readonly promised?: true;
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
 * Dialects that the native core reads. `any`: it checks only that data are JSON and not an error; `auxiliary`:
 * OpenAI's auxiliary endpoints; `cohere`: rerank and embed.
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

/** Inspects a whole reply; null: it isn't a JSON object. */
export function inspectReply(body: Buffer, dialect: NativeDialect): ReplyFacts | null {
  native.inspectReply(body, dialects[dialect], out);
  if (((out[at.State] ?? 0) & state.MALFORMED) !== 0) return null;
  return factsIn(out, dialect, body.toString('latin1', out[at.ModelStart], out[at.ModelEnd]));
}

/** @param model as the reply's JSON spells it; empty: it names none */
function factsIn(registers: Uint32Array, dialect: NativeDialect, model: string): ReplyFacts {
  const word = (index: number): number => registers[index] ?? 0;
  const bits = word(at.State);
  const cached = word(at.Cached);
  const written = word(at.CacheWrite);
  const searches = word(at.Searches);
  const reasoning = word(at.Reasoning);
  const facts: { -readonly [Name in keyof ReplyFacts]: ReplyFacts[Name] } = {
    error: (bits & faults) !== 0,
    tool: (bits & state.TOOL) !== 0,
    refused: (bits & state.REFUSAL) !== 0,
    usage: (bits & state.USAGE) !== 0,
    // Anthropic's `input_tokens` excludes cached tokens; the others include them.
    inputTokens: word(at.Input) + (dialect === 'anthropic' ? cached + written : 0),
    outputTokens: word(at.Output),
    cachedInputTokens: cached,
    cacheWriteTokens: written,
    finish: finishes[word(at.Finish) as Binding.Finish],
    textBytes: word(at.TextBytes),
  };
  if (reasoning > 0) facts.reasoningTokens = reasoning;
  if (model !== '') facts.model = model;
  if (searches > 0) facts.searchUnits = searches;
  const pricing = pricingIn(bits, word);
  if (pricing !== null) facts.pricing = pricing;
  const [heard, drawn] = [word(at.MediaInput), word(at.MediaOutput)];
  if (dialect === 'auxiliary' || heard > 0 || drawn > 0) {
    const media = { inputTokens: heard, outputTokens: drawn, soundMs: word(at.SoundMs) };
    // Only pictures are drawn by Gemini, and only sound is in chat completions.
    facts.media = dialect === 'openai' ? { ...media, sound: true } : media;
  }
  return facts;
}

/** Two words hold a number of nano-dollars. */
const wordSize = 2 ** 32;

function pricingIn(bits: number, word: (index: number) => number): Pricing | null {
  const hour = word(at.CacheWriteHour);
  const service = serviceNames[word(at.Service) as Binding.Service];
  const costs = (bits & state.COST) !== 0;
  const resident = (bits & state.RESIDENT) !== 0;
  const longest = word(at.LongestPrompt);
  if (hour === 0 && service === undefined && !costs && !resident && longest === 0) return null;
  return {
    ...(hour === 0 ? {} : { cacheWriteHourTokens: hour }),
    ...(service === undefined ? {} : { service }),
    ...(resident ? { resident } : {}),
    ...(longest === 0 ? {} : { longestPromptTokens: longest }),
    ...(costs ? { statedNanoUsd: word(at.CostHigh) * wordSize + word(at.CostLow) } : {}),
  };
}

/** The first 128 KiB of a whole reply's text, decoded; `body` may be truncated anywhere. */
export const replyText = (body: Buffer, dialect: NativeDialect): Buffer =>
  native.replyText(body, dialects[dialect]);

/** Inspects a provider's event stream: complete events are passed on unchanged, incomplete ones held back. */
export class StreamScanner {
  readonly #native: InstanceType<typeof Binding.SseScanner>;
  readonly #dialect: NativeDialect;
  #state = 0;
  #facts: Uint32Array = new Uint32Array(size);

  /**
   * @param stripUsage remove the usage event, since only the gateway asked for it
   * @param eventMaxBytes longest event allowed
   * @param textMaxBytes text kept for `takeText`
   * @param choices that must have ended, unless the last event says that the reply has
   */
  constructor(
    dialect: NativeDialect,
    stripUsage: boolean,
    eventMaxBytes: number,
    textMaxBytes: number,
    choices = 1,
  ) {
    this.#dialect = dialect;
    this.#native = new native.SseScanner(dialects[dialect], stripUsage, eventMaxBytes, textMaxBytes, choices);
  }

  /** Returns the bytes to pass on to the client: the chunk itself, others, or null (none yet). */
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

  /** Content was seen: a retry would now be visible to the client. */
  get content(): boolean {
    return (this.#state & state.CONTENT) !== 0;
  }
  /** The finish reasons of all choices were seen. */
  get finished(): boolean {
    return (this.#state & state.FINISH) !== 0;
  }
  /** The last event was seen. */
  get ended(): boolean {
    return (this.#state & state.END) !== 0;
  }
  /** The stream is invalid: an error event, data that the dialect doesn't have, or an event that is too long. */
  get broken(): 'error_event' | 'malformed' | 'event_too_large' | null {
    if (this.#state & state.ERROR) return 'error_event';
    if (this.#state & state.MALFORMED || this.#isNothing) return 'malformed';
    return this.#state & state.OVERFLOW ? 'event_too_large' : null;
  }
  /** It has ended, for no reason that anybody knows, without content. */
  get #isNothing(): boolean {
    const finish = finishes[(this.#facts[at.Finish] ?? 0) as Binding.Finish];
    return finish === 'other' && this.finished && !this.content && !this.toolBegun;
  }

  /** A tool call has begun. */
  get toolBegun(): boolean {
    return (this.#state & state.TOOL) !== 0;
  }
  /** A valid event was seen. */
  get begun(): boolean {
    return (this.#facts[at.Events] ?? 0) > 0;
  }
  /** UTF-8 bytes of reply text so far. */
  get textBytes(): number {
    return this.#facts[at.TextBytes] ?? 0;
  }
  /** Nothing is held. */
  readonly heldBytes = 0;
  /** Anthropic: number of the content block that is still open; -1: none. */
  get openBlock(): number {
    return this.#native.openBlock();
  }

  /** Returns the beginning of the reply's text so far, as much as is kept of it, decoded, and releases it. */
  takeText(): Buffer {
    return this.#native.takeText();
  }

  /** The facts so far. */
  facts(): ReplyFacts {
    return factsIn(this.#facts, this.#dialect, this.#native.model());
  }
}
