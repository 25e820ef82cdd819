/** What the pipeline knows about a request's body. */
import type { Form } from '../base/multipart.ts';
import type { Tier } from '../native/classify.ts';
import { bodyFlags } from '../native/inspect.ts';
import type { Findings } from '../native/pii.ts';
import type { Endpoint } from './endpoint.ts';

/** What the pipeline knows about a body, found in one pass over its bytes. */
export interface ModelRequest {
  /** The body that may leave the pod: scrubbed where the policy asks for it. */
  readonly body: Buffer;
  readonly model: string;
  readonly stream: boolean;
  /** The client itself asked for usage on the stream. */
  readonly wantsUsage: boolean;
  /** The request's own limit on reply tokens; null: the model's. */
  readonly maxTokens: number | null;
  /** Replies asked for. */
  readonly choices: number;
  /** UTF-8 bytes and Unicode code points of the prompt's text. */
  readonly textBytes: number;
  readonly textCharacters: number;
  /** Server tools run at the provider: such a request is never repeated. */
  readonly serverTools: boolean;
  /** How often personal data occurs, by kind, of those that the policy looks for. */
  readonly findings: Findings;
  /** Placeholder → value, for each value that was masked. */
  readonly masked: ReadonlyMap<string, string> | null;
  /** SHA-256 of the body as it came, hex. */
  readonly digest: string;
  /** HMAC-SHA-256 of the SHA-256 of `body`, hex; the only trace of the prompt in a record. */
  readonly keyedDigest: string;
  /** Byte offsets into `body` where dialects edit in place; 0,0: absent. */
  readonly modelStart: number;
  readonly modelEnd: number;
  readonly streamOptionsStart: number;
  readonly streamOptionsEnd: number;
  readonly firstField: number;
  /** Bits of `bodyFlags`. */
  readonly flags: number;
  /** How much it asks of a model; null: nobody wanted to know. */
  readonly tier: Tier | null;
  /** What an upload holds; left out: the body is JSON. */
  readonly form?: Form;
}

/** Its stream, if there is one, is of events. */
export const isEvents = ({ flags }: ModelRequest): boolean => (flags & bodyFlags.stream) !== 0;

/** Whether the answer is bytes as they come: no event can be put between them. */
export const givesBytes = ({ auxiliary }: Endpoint, request: ModelRequest | null): boolean =>
  auxiliary !== undefined &&
  (auxiliary.gives === 'file' || (auxiliary.gives === 'speech' && request !== null && !isEvents(request)));
