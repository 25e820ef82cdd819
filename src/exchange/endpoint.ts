/** The endpoints of the data port: what each is and how it differs from chat. */
import type { DialectName } from './dialects.ts';

/** What a reply without stated usage is taken for. */
export type Unstated =
  /** Its text counts, by estimate, at the model's price. */
  | 'estimated'
  /** Its text counts, by estimate, but what it costs hangs on images or sound: nobody knows. */
  | 'unpriced'
  /** No tokens are used. */
  | 'nothing';

/** How an endpoint differs from chat. */
export interface Passthrough {
  /** What its body may be. */
  readonly takes: 'json' | 'form' | 'json_or_form' | 'nothing';
  /** A transcript is JSON unless the request names another form of it; speech and files are bytes. */
  readonly gives: 'json' | 'transcript' | 'speech' | 'file';
  /** Who is asked where the request names no model, as the API has it. `files`: none is ever named. Null: it must be. */
  readonly model: string | null | 'files';
  readonly unstated: Unstated;
  /** The same request has the same answer, so that it may be cached. */
  readonly cached: boolean;
  /** Upper bounds of what it uses beside the prompt's text. */
  readonly reserve: 'images' | 'speech' | 'transcript' | 'nothing';
  /** Asking twice does twice the work at the provider, and leaves it there. */
  readonly once: boolean;
}

/** Endpoints that any chat provider can answer. */
export const chatEndpoints: readonly EndpointName[] = [
  'chat',
  'messages',
  'responses',
  'generate',
  'stream_generate',
];

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
