/** What the pipeline knows about a request's body. */
import type { Form } from '../base/multipart.ts';
import type { Tier } from '../native/classify.ts';
import { bodyFlags } from '../native/inspect.ts';
import type { Findings } from '../native/pii.ts';
import type { Endpoint } from './endpoint.ts';

/** The facts about a body, found in one pass over its bytes. */
export interface ModelRequest {
  /** The body that may leave the pod: scrubbed if the policy requires it. */
  readonly body: Buffer;
  readonly model: string;
  readonly stream: boolean;
  /** The client asked for usage on the stream. */
  readonly wantsUsage: boolean;
  /** The request's limit on reply tokens; null: the model's applies. */
  readonly maxTokens: number | null;
  /** It stated no such limit, so its route's is written into what is sent. */
  readonly limited?: true;
  /** Number of replies asked for. */
  readonly choices: number;
  /** UTF-8 bytes and Unicode code points of the prompt's text. */
  readonly textBytes: number;
  readonly textCharacters: number;
  /** It uses tools that run at the provider, so it isn't sent again once they may have run. */
  readonly serverTools: boolean;
  /** Occurrences of personal data, for each kind that the policy looks for. */
  readonly findings: Findings;
  /** Placeholder → masked value; null: nothing was masked. */
  readonly masked: ReadonlyMap<string, string> | null;
  /** Whether a recogniser looked at it; false: it couldn't, and the request passes; undefined: none was to. */
  readonly checked?: boolean;
  /** SHA-256 of the body as received, hex. */
  readonly digest: string;
  /** HMAC-SHA-256 of the SHA-256 of `body`, hex; the only trace of the prompt in a record. */
  readonly keyedDigest: string;
  /** Byte offsets into `body` where dialects edit in place; 0,0: absent. */
  readonly modelStart: number;
  readonly modelEnd: number;
  readonly streamOptionsStart: number;
  readonly streamOptionsEnd: number;
  readonly firstField: number;
  /** Byte offsets into the body as received of the user's last text, raw: what it asks; 0,0: its last text isn't the user's. */
  readonly questionStart: number;
  readonly questionEnd: number;
  /** Images in the prompt. */
  readonly images: number;
  /** Bits of `bodyFlags`. */
  readonly flags: number;
  /** How complex it is; null: not classified, as no route needs it. */
  readonly tier: Tier | null;
  /** The fields of an upload; undefined: the body is JSON. */
  readonly form?: Form;
}

/** Of a body in which nothing has a place that anybody must know. */
export const noPlaces = {
  modelStart: 0,
  modelEnd: 0,
  streamOptionsStart: 0,
  streamOptionsEnd: 0,
  firstField: 0,
  questionStart: 0,
  questionEnd: 0,
  images: 0,
} as const;

const plainName = /^[\w.:@/-]{1,128}$/;
let lastModel = '';
let lastPlain = '';

/** A model name as records may show it: a client can send any text as one. Empty: it isn't a plain name. */
export function plainModel(model: string): string {
  if (model === lastModel) return lastPlain;
  lastModel = model;
  lastPlain = plainName.test(model) ? model : '';
  return lastPlain;
}

/** Whether a request asks for a stream of events. */
export const isEvents = ({ flags }: ModelRequest): boolean => (flags & bodyFlags.stream) !== 0;

/** Whether the reply is raw bytes, into which no event can be inserted. */
export const givesBytes = ({ auxiliary }: Endpoint, request: ModelRequest | null): boolean =>
  auxiliary !== undefined &&
  (auxiliary.gives === 'file' ||
    auxiliary.gives === 'anything' ||
    (auxiliary.gives === 'speech' && request !== null && !isEvents(request)));
