/** An SDK as the suites see it: one question in, one answer out, in words that all SDKs share. */

/** A tool's JSON schema, or that of an answer. */
export interface Schema {
  readonly type: 'object';
  readonly properties: Readonly<Record<string, { readonly type: string }>>;
  readonly required: string[];
  readonly additionalProperties: false;
}

/** What a tool answered. */
export interface Result {
  readonly call: HeardCall;
  readonly text: string;
}

/** What an app asks for. */
export interface Asked {
  readonly model: string;
  readonly prompt: string;
  readonly stream: boolean;
  /** Most tokens of the reply; null: the app names none, where its dialect lets it. */
  readonly tokensMax: number | null;
  readonly tools: readonly { readonly name: string; readonly parameters: Schema }[];
  readonly choice: 'auto' | 'required' | { readonly name: string };
  /** A PNG picture beside the prompt, in Base64. */
  readonly image: string | null;
  readonly schema: Schema | null;
  /** The turn before: what the SDK gave then, and what the tools that it called answered. */
  readonly before: { readonly raw: unknown; readonly results: readonly Result[] } | null;
  readonly headers: Readonly<Record<string, string>>;
}

export interface HeardCall {
  readonly id: string;
  readonly name: string;
  readonly input: unknown;
}

/** What an app has in its hands after a call. */
export interface Heard {
  readonly text: string;
  readonly calls: readonly HeardCall[];
  /** Pieces of text or of arguments that a stream brought. */
  readonly pieces: number;
  readonly finish: 'stop' | 'length' | 'calls' | 'none';
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** The model's turn as the SDK wants it back. */
  readonly raw: unknown;
}

/** What an SDK throws. */
export interface Failure {
  /** Name of its class. */
  readonly kind: string;
  readonly status: number | null;
  readonly message: string;
}

/** One way of an SDK to call. */
export interface SdkClient {
  /** Asks; rejects with what the SDK throws. */
  ask(asked: Asked): Promise<Heard>;
  /** What was thrown, in shared words. */
  failure(thrown: unknown): Failure;
  /** Class of an error by its status. */
  kindOf(status: number): string;
}

/** A JavaScript SDK's error. */
export function failureOf(thrown: unknown): Failure {
  if (!(thrown instanceof Error)) throw thrown;
  const { status, statusCode } = thrown as { status?: number; statusCode?: number };
  return { kind: thrown.constructor.name, status: status ?? statusCode ?? null, message: thrown.message };
}
