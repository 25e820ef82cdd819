/**
 * The types between a dialect's request and its reply: what was asked, what is answered, how it is
 * streamed.
 */

export type Dialect = 'openai' | 'anthropic' | 'gemini' | 'bedrock' | 'responses';

/** A file that came with the last message. `bytes` is null where only an address or id was given. */
export interface Attachment {
  readonly noun: 'an image' | 'a document' | 'a sound';
  readonly bytes: number | null;
}

export interface Tool {
  readonly name: string;
  /** JSON Schema of the arguments, as it came. */
  readonly schema: unknown;
}

/** A checked chat request, without its dialect's spelling. */
export interface Asked {
  readonly dialect: Dialect;
  readonly model: string;
  readonly stream: boolean;
  /** How many answers (`n`). */
  readonly choices: number;
  /** Most tokens of each answer; Infinity where none is given. */
  readonly outputMax: number;
  readonly stops: readonly string[];
  /** Text of the last user message, without its `simulate:` line. */
  readonly question: string;
  /** Pairs of that line; null without one. */
  readonly line: string | null;
  /** What the tools answered, if the last message brings that. */
  readonly toolResult: string | null;
  readonly attachments: readonly Attachment[];
  readonly tools: readonly Tool[];
  readonly toolChoice: 'auto' | 'none' | 'required' | { readonly name: string };
  /** Whether several tools may be called at once. */
  readonly parallel: boolean;
  /** A JSON answer is asked for; `schema` is null where any object will do. */
  readonly json: { readonly schema: unknown } | null;
  /** Most tokens of thinking; 0: none is asked for. */
  readonly thinkingMax: number;
  /** Whether the thinking is shown, or its signature alone. */
  readonly thinkingShown: boolean;
  /** Whether it comes sealed, to be given back (Responses); left out: no. */
  readonly thinkingSealed?: boolean;
  readonly includeUsage: boolean;
  readonly inputTokens: number;
  /** Hash of what was said, the start of everything that is chosen for the answer. */
  readonly key: number;
}

/** A tool call of an answer. The arguments are JSON, cut into the pieces that are streamed. */
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
  /** The stop sequence that ended it. */
  readonly sequence: string | null;
  readonly outputTokens: number;
}

/** A chat reply before it is spelled in a dialect. */
export interface Reply {
  readonly asked: Asked;
  readonly id: string;
  readonly answers: readonly Answer[];
  /** False: the reply says nothing of its tokens (`missing_usage`). */
  readonly withUsage: boolean;
  /** With what the content filter found, as Azure tells it; left out: without. */
  readonly filtered?: boolean;
}

/** One event of a stream, ready to be written in the encoding of its dialect. Only `content` is paced and counted by `afterTokens`. */
export interface Step {
  readonly kind: 'open' | 'content' | 'close' | 'last';
  readonly text: string;
}

/** Time as the simulator sees it, so that tests can bring their own. */
export interface Clock {
  /** Milliseconds that never run backwards. */
  nowMs(): number;
  /** Wall clock, milliseconds since 1970. */
  wallMs(): number;
  /** Runs `then` after `delayMs`; the function returned calls it off. */
  after(delayMs: number, then: () => void): () => void;
}

/** Replies are the same for the same request, down to this time of creation: 2025-01-01, in seconds. */
export const createdSeconds = 1_735_689_600;
