/** The endpoints of the data port, a row each: everything that tells one from another stands here. */
import { type NativeEndpoint, nativeEndpoint } from '../native/inspect.ts';
import type { DialectName } from './dialects.ts';

/** What an endpoint is for. */
export type EndpointKind =
  /** Answers in text; any provider that chats can serve it. */
  | 'chat'
  /** Answers with vectors, which mean nothing beside those of another model. */
  | 'embedding'
  /** Counts a prompt's tokens, which providers do for nothing. */
  | 'count'
  /** Puts documents in order. */
  | 'rerank'
  /** Judges text. */
  | 'moderation'
  /** Makes or reads images and sound. */
  | 'media'
  /** Keeps files at the provider. */
  | 'files'
  /** Lists models; answered by the gateway itself. */
  | 'models';

/** How the usage of a reply that states none is settled. */
export type Unstated =
  /** Its text counts, by estimate, at the model's price. */
  | 'estimated'
  /** Its text counts, by estimate; its cost is unknown, since it depends on images or sound. */
  | 'unpriced'
  /** No tokens are used. */
  | 'nothing';

/** How an auxiliary endpoint (images, audio, moderations, reranking, files) differs from chat. */
export interface Auxiliary {
  /** What its body may be. */
  readonly takes: 'json' | 'form' | 'json_or_form' | 'nothing';
  /** A transcript is JSON unless the request names another form of it; speech and files are bytes. */
  readonly gives: 'json' | 'transcript' | 'speech' | 'file';
  /** The model asked where the request names none, as the API has it. `files`: none is ever named. Null: it must be. */
  readonly model: string | null | 'files';
  readonly unstated: Unstated;
  /** Upper bounds of what it uses beside the prompt's text. */
  readonly reserve: 'images' | 'speech' | 'transcript' | 'nothing';
  /** Asking twice does the work twice at the provider and leaves it there, so it is never repeated. */
  readonly once: boolean;
}

/** What is the same for all requests of an endpoint. */
interface Traits {
  readonly kind: EndpointKind;
  /** As which the native core inspects its bodies, if it takes any. */
  readonly inspectedAs: NativeEndpoint;
  /** The same request has the same answer, so replies may be cached. */
  readonly cached: boolean;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Left out for chat, embeddings and counts. */
  readonly auxiliary?: Auxiliary;
}

/** An endpoint, by its name. */
export interface EndpointOf<Name extends string> extends Traits {
  /** As keys and logs name it. Two dialects may have endpoints of one name. */
  readonly name: Name;
  readonly dialect: DialectName;
  /** As a client calls it; `{id}` stands for a file's id, `{model}` for a model. */
  readonly path: string;
  /** What follows a provider's base URL. */
  readonly upstreamPath: string;
  /** What the path says, where the dialect puts it there and not into the body (Gemini); null: the body says it. */
  readonly inPath: {
    /** Decoded; null: it can't be. */
    readonly model: string | null;
    readonly stream: boolean;
    /** The stream is one JSON list, sent in pieces. */
    readonly list: boolean;
  } | null;
}

const chat = (inspectedAs: NativeEndpoint): Traits => ({
  kind: 'chat',
  inspectedAs,
  cached: true,
  method: 'POST',
});
const embedding = (inspectedAs: NativeEndpoint): Traits => ({ ...chat(inspectedAs), kind: 'embedding' });
const count = (inspectedAs: NativeEndpoint): Traits => ({
  ...chat(inspectedAs),
  kind: 'count',
  cached: false,
});

const plainJson: Auxiliary = {
  takes: 'json',
  gives: 'json',
  model: null,
  unstated: 'estimated',
  reserve: 'nothing',
  once: false,
};
const judged = (kind: 'moderation' | 'rerank', differs: Partial<Auxiliary>): Traits => ({
  kind,
  inspectedAs: nativeEndpoint.Auxiliary,
  cached: true,
  method: 'POST',
  auxiliary: { ...plainJson, ...differs },
});
const media = (reserve: 'images' | 'speech' | 'transcript', differs: Partial<Auxiliary>): Traits => ({
  kind: 'media',
  inspectedAs: nativeEndpoint.Auxiliary,
  cached: false,
  method: 'POST',
  auxiliary: { ...plainJson, unstated: 'unpriced', reserve, ...differs },
});
const files = (method: Traits['method'], differs: Partial<Auxiliary> = {}): Traits => ({
  kind: 'files',
  inspectedAs: nativeEndpoint.Auxiliary,
  cached: false,
  method,
  auxiliary: { ...plainJson, takes: 'nothing', model: 'files', unstated: 'nothing', ...differs },
});
const models: Traits = {
  kind: 'models',
  inspectedAs: nativeEndpoint.Auxiliary,
  cached: false,
  method: 'GET',
};

/** Where the paths of APIs begin; what follows is the same at the provider, whose base URL has a beginning of its own. */
const version = /^\/v\d+/;

const row = <Name extends string>(
  name: Name,
  dialect: DialectName,
  path: string,
  traits: Traits,
): EndpointOf<Name> => ({
  name,
  dialect,
  path,
  upstreamPath: path.replace(version, ''),
  inPath: null,
  ...traits,
});

/** Gemini's paths hold the model, and what follows it names the method. */
const ofModel = <Name extends string>(name: Name, method: string, traits: Traits): EndpointOf<Name> => ({
  ...row(name, 'gemini', `/v1beta/models/{model}:${method}`, traits),
  upstreamPath: `:${method}`,
});

/** Every endpoint whose path says what is meant. */
export const endpoints = [
  // https://platform.openai.com/docs/api-reference
  row('chat', 'openai', '/v1/chat/completions', chat(nativeEndpoint.Chat)),
  row('responses', 'responses', '/v1/responses', chat(nativeEndpoint.Responses)),
  row('embeddings', 'openai', '/v1/embeddings', embedding(nativeEndpoint.Embeddings)),
  // The same path in the dialect of whoever asks.
  row('models', 'openai', '/v1/models', models),
  row('models', 'openai', '/v1/models/{id}', models),
  // https://docs.anthropic.com/en/api
  row('messages', 'anthropic', '/v1/messages', chat(nativeEndpoint.Messages)),
  row('count_tokens', 'anthropic', '/v1/messages/count_tokens', count(nativeEndpoint.CountTokens)),
  // https://ai.google.dev/api
  ofModel('generate', 'generateContent', chat(nativeEndpoint.Generate)),
  ofModel('stream_generate', 'streamGenerateContent', chat(nativeEndpoint.Generate)),
  // https://docs.cohere.com/reference
  row('embed', 'cohere', '/v2/embed', embedding(nativeEndpoint.Embed)),
  ofModel('gemini_count_tokens', 'countTokens', count(nativeEndpoint.Generate)),
  ofModel('embed_content', 'embedContent', embedding(nativeEndpoint.Generate)),
  ofModel('batch_embed_contents', 'batchEmbedContents', embedding(nativeEndpoint.Generate)),
  row('images', 'openai', '/v1/images/generations', media('images', {})),
  row('image_edits', 'openai', '/v1/images/edits', media('images', { takes: 'json_or_form' })),
  row('image_variations', 'openai', '/v1/images/variations', media('images', { takes: 'form' })),
  row('speech', 'openai', '/v1/audio/speech', media('speech', { gives: 'speech' })),
  row(
    'transcriptions',
    'openai',
    '/v1/audio/transcriptions',
    media('transcript', { takes: 'form', gives: 'transcript' }),
  ),
  row(
    'translations',
    'openai',
    '/v1/audio/translations',
    media('transcript', { takes: 'form', gives: 'transcript' }),
  ),
  row(
    'moderations',
    'openai',
    '/v1/moderations',
    // The model that OpenAI's reference names where a request doesn't.
    judged('moderation', { model: 'omni-moderation-latest', unstated: 'nothing' }),
  ),
  row('rerank', 'openai', '/v1/rerank', judged('rerank', {})),
  row('rerank', 'cohere', '/v2/rerank', { ...chat(nativeEndpoint.Rerank), kind: 'rerank' }),
  row('files', 'openai', '/v1/files', files('POST', { takes: 'form', once: true })),
  row('files', 'openai', '/v1/files', files('GET')),
  row('files', 'openai', '/v1/files/{id}', files('GET')),
  row('files', 'openai', '/v1/files/{id}', files('DELETE')),
  row('files', 'openai', '/v1/files/{id}/content', files('GET', { gives: 'file' })),
] as const;

export type EndpointName = (typeof endpoints)[number]['name'];

/** An endpoint of the data port. */
export type Endpoint = EndpointOf<EndpointName>;

/** Each name once, in the order of the rows. */
export const endpointNames = [...new Set(endpoints.map(({ name }) => name))];

/** The list of models, in the dialect of whoever asks for it. */
export const modelsEndpoint = (dialect: DialectName): Endpoint =>
  row('models', dialect, '/v1/models', models);
