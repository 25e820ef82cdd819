/** The types of one request on its way through the stages. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Cancellation } from './base/cancellation.ts';
import type { ErrorCode } from './base/errors.ts';
import type { Form } from './base/multipart.ts';
import type { Passthrough } from './dialects/openai/beside-endpoints.ts';
import type { DialectName } from './exchange/dialects.ts';
import type { KeyLimitConfig } from './limit/settings.ts';
import type { Tier } from './upstream/target.ts';

export const endpointNames = [
  'chat',
  'responses',
  'embeddings',
  'models',
  'messages',
  'count_tokens',
  'generate',
  'stream_generate',
  'embed',
  'gemini_count_tokens',
  'embed_content',
  'batch_embed_contents',
  'images',
  'image_edits',
  'image_variations',
  'speech',
  'transcriptions',
  'translations',
  'moderations',
  'rerank',
  'files',
] as const;
export type EndpointName = (typeof endpointNames)[number];

/** Whether an endpoint answers with vectors, which mean nothing beside another model's. */
export const isEmbedding = (endpoint: EndpointName): boolean =>
  endpoint === 'embeddings' ||
  endpoint === 'embed' ||
  endpoint === 'embed_content' ||
  endpoint === 'batch_embed_contents';

/** Endpoints that count a prompt, which providers do for nothing. */
export const countsTokens = (name: EndpointName): boolean =>
  name === 'count_tokens' || name === 'gemini_count_tokens';

/** An endpoint of the data port. */
export interface Endpoint {
  readonly name: EndpointName;
  readonly dialect: DialectName;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** What follows a provider's base URL. */
  readonly upstreamPath: string;
  /** Number of the endpoint in the native core's `inspect`; -1: it takes no body. */
  readonly inspectId: number;
  /** What the path says beside the model, where dialects don't put it into the body (Gemini); null: the body says it. */
  readonly inPath: {
    readonly stream: boolean;
    /** The stream is one JSON list, sent in pieces. */
    readonly list: boolean;
  } | null;
  /** How it differs from chat, where it is one of those that are passed through beside it. */
  readonly passthrough?: Passthrough;
}

/** One request as it came, read whole. Node's request objects end before this. */
export interface Exchange {
  /** Sent as `x-request-id`. */
  readonly id: string;
  readonly endpoint: Endpoint;
  /** Path without query, as asked for. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Cancelled when the client is gone or must be let go. */
  readonly cancellation: Cancellation;
  /** Monotonic, ms. */
  readonly startedMs: number;
  /** Lets the work go on when the client hangs up. */
  detach(): void;
  /** While it waits in a queue with a bound of its own it doesn't count as a request at work. */
  park(parked: boolean): void;
}

/** Who calls. */
export interface Identity {
  readonly tenant: string;
  readonly team: string | null;
  readonly user: string | null;
  /** Id of the virtual key or of the token's issuer; null for the anonymous tenant. */
  readonly keyId: string | null;
  readonly tags: readonly string[];
  /** Model names the key may use, exact or with a trailing *; null: all. */
  readonly models: readonly string[] | null;
  /** Endpoints the key may use; null: all. */
  readonly endpoints: readonly EndpointName[] | null;
  /** Why the caller would have been refused if the gateway did not only observe; null: it wouldn't. */
  readonly observed: ErrorCode | null;
  /** The caller's credential is a provider's own, and goes there. */
  readonly ownCredential: boolean;
  /** Limits of the key's own; none where it is left out. */
  readonly limits?: readonly KeyLimitConfig[];
}

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
  /** Occurrences found, whatever the policy. */
  readonly emails: number;
  readonly cards: number;
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

/** Tokens of one reply. `known`: the provider said so; else counted from its text, or estimated from bytes. */
export interface Usage {
  /** All of the prompt, in both dialects: read from the provider's cache, written to it, and neither. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the input, read from the provider's cache. */
  readonly cachedInputTokens: number;
  /** Of the input, written to it. */
  readonly cacheWriteTokens: number;
  readonly known: boolean;
  /** Of images and sound, where there are any. */
  readonly media?: MediaUsage;
  /** What a rerank is billed by; left out: nothing of the kind. */
  readonly searchUnits?: number;
}

/** What a reply says of images and sound. */
export interface MediaUsage {
  /** Of the input tokens. */
  readonly inputTokens: number;
  /** Of the output tokens. */
  readonly outputTokens: number;
  /** Length of the sound that was heard, where that is what is billed. */
  readonly soundMs: number;
}

/** What goes back to the client. Headers are flat name, value pairs. */
export type Reply = WholeReply | StreamReply;

export interface WholeReply {
  readonly kind: 'whole';
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

export interface StreamReply {
  readonly kind: 'stream';
  readonly status: number;
  readonly headers: readonly string[];
  /** Written while nothing comes, so that nobody thinks the connection dead; empty: nothing may be. */
  readonly keepAlive: string;
  /** Whole SSE events, or pieces of a list; ends by itself, never throws. */
  readonly chunks: AsyncIterable<Buffer>;
  /** After the end: it broke off in a form that can't say so, so the connection must. Left out: it never does. */
  readonly isCut?: () => boolean;
}

/** A reply as it can be kept: before values are restored in it, so that no store holds personal data. */
export interface StoredReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  readonly stream: boolean;
  /** `provider/model` that answered. */
  readonly target: string;
  /** Fields that were left out for it; names separated by commas. */
  readonly dropped?: string;
  /** What it cost, so that what its next use saves is known; 0 where the price isn't. */
  readonly costNanoUsd: number;
}

export const noUsage: Usage = {
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  known: true,
};
