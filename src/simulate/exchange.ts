/** Types between a dialect's request and its reply: what was asked, what is answered, how it is streamed. */

/** API whose requests and replies the simulator speaks. */
export type Dialect = 'openai' | 'anthropic' | 'gemini' | 'bedrock' | 'responses' | 'cohere' | 'replicate';

/** A file in the last message. `bytes` is null if only a URL or id was given. */
export interface Attachment {
  readonly noun: 'an image' | 'a document' | 'a sound';
  readonly bytes: number | null;
}

/** A tool that the model may call. */
export interface Tool {
  readonly name: string;
  /** JSON Schema of the arguments, as received. */
  readonly schema: unknown;
}

/** A checked chat request, independent of its dialect. */
export interface Asked {
  readonly dialect: Dialect;
  readonly model: string;
  readonly stream: boolean;
  /** Number of answers (`n`). */
  readonly choices: number;
  /** Limit on each answer, in tokens; Infinity if none is given. */
  readonly outputMax: number;
  readonly stops: readonly string[];
  /** Text of the last user message, without its `simulate:` line. */
  readonly question: string;
  /** The pairs of that line; null without one. */
  readonly line: string | null;
  /** Text of the tools' results, if the last message brings any. */
  readonly toolResult: string | null;
  readonly attachments: readonly Attachment[];
  readonly tools: readonly Tool[];
  readonly toolChoice: 'auto' | 'none' | 'required' | { readonly name: string };
  /** Whether several tools may be called at once. */
  readonly parallel: boolean;
  /** Set if a JSON answer is requested; `schema` is null if any object will do. */
  readonly json: { readonly schema: unknown } | null;
  /** Limit on thinking, in tokens; 0: none is requested. */
  readonly thinkingMax: number;
  /** Whether the thinking itself is shown, or only its signature. */
  readonly thinkingShown: boolean;
  /** Whether it comes encrypted, to be sent back later (Responses); false by default. */
  readonly thinkingSealed?: boolean;
  readonly includeUsage: boolean;
  readonly inputTokens: number;
  /** Hash of the content; seeds every choice made for the answer. */
  readonly key: number;
}

/** A tool call in an answer. The arguments are JSON, cut into the pieces that are streamed. */
export interface Call {
  readonly id: string;
  readonly name: string;
  readonly pieces: readonly string[];
}

/** One answer, cut into tokens. */
export interface Answer {
  readonly thinking: readonly string[];
  readonly text: readonly string[];
  readonly calls: readonly Call[];
  readonly finish: 'stop' | 'length' | 'tools' | 'sequence';
  /** The stop sequence that ended it; null if none did. */
  readonly sequence: string | null;
  readonly outputTokens: number;
}

/** Stands in for the answer of a reply that has none. */
export const noAnswer: Answer = {
  thinking: [],
  text: [],
  calls: [],
  finish: 'stop',
  sequence: null,
  outputTokens: 0,
};

/** A chat reply before it is written in a dialect. */
export interface Reply {
  readonly asked: Asked;
  readonly id: string;
  readonly answers: readonly Answer[];
  /** False: the reply doesn't report its tokens (`missing_usage`). */
  readonly withUsage: boolean;
  /** Whether Azure's content filter results are included; false by default. */
  readonly filtered?: boolean;
}

/** One event of a stream, encoded for its dialect. Only `content` is paced and counted by `afterTokens`. */
export interface Step {
  readonly kind: 'open' | 'content' | 'close' | 'last';
  readonly text: string;
}

/** The simulator's clock; tests pass their own. */
export interface Clock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Wall clock, ms since 1970. */
  wallMs(): number;
  /** Runs `then` after `delayMs`; the returned function cancels it. */
  after(delayMs: number, then: () => void): () => void;
}

/** Creation time of every reply, as replies to the same request must be identical: 2025-01-01, in seconds. */
export const createdSeconds = 1_735_689_600;
