/** The endpoints of the data port, one row each: everything in which they differ is here. */
import { hash } from 'node:crypto';
import { type NativeEndpoint, nativeEndpoint } from '../native/inspect.ts';
import type { DialectName } from './dialects.ts';

/** What an endpoint is for. */
export type EndpointKind =
  /** Generates text; any provider with a chat API can serve it. */
  | 'chat'
  /** Returns vectors, which can't be compared with those of another model. */
  | 'embedding'
  /** Counts a prompt's tokens, which providers do free of charge. */
  | 'count'
  /** Ranks documents by relevance. */
  | 'rerank'
  /** Classifies text as harmful or not. */
  | 'moderation'
  /** Generates or reads images and audio. */
  | 'media'
  /** Stores files at the provider. */
  | 'files'
  /** Anything else of a provider's API: passed on to it, and neither read nor translated. */
  | 'passthrough'
  /** Opens a WebSocket, whose messages are passed on both ways, and not translated. */
  | 'session'
  /** Lists models; answered by the gateway itself. */
  | 'models'
  /** Takes a caller's word on a cached answer; answered by the gateway itself. */
  | 'feedback';

/** Methods that are served. */
export type Method = 'GET' | 'POST' | 'DELETE' | 'PATCH' | 'PUT';

/** How a reply is billed if it doesn't state its usage. */
export type Unstated =
  /** Tokens are estimated from its text and billed at the model's price. */
  | 'estimated'
  /** Tokens are estimated from its text; the cost is unknown, since it depends on images or audio. */
  | 'unpriced'
  /** It uses no tokens. */
  | 'nothing';

/** How an auxiliary endpoint (images, audio, moderations, reranking, files, whatever is passed through) differs from chat. */
export interface Auxiliary {
  /** What its request body may be. */
  readonly takes: 'json' | 'form' | 'json_or_form' | 'nothing' | 'anything';
  /**
   * Its reply. A transcript is JSON unless the request names another format; speech and files are bytes, and so is
   * anything that isn't JSON.
   */
  readonly gives: 'json' | 'transcript' | 'speech' | 'file' | 'anything';
  readonly unstated: Unstated;
  /** Which upper bound is reserved for what it uses in addition to the prompt's text. */
  readonly reserve: 'images' | 'speech' | 'transcript' | 'nothing';
  /** Not idempotent: a second call would create a second object at the provider, so it is never retried. */
  readonly once: boolean;
}

/** Properties that all requests to an endpoint share. */
interface Traits {
  readonly kind: EndpointKind;
  /** The endpoint as the native core knows it, for inspecting bodies; ignored if it has none. */
  readonly inspectedAs: NativeEndpoint;
  /** Whether replies may be cached. */
  readonly cached: boolean;
  /** The name that requests without a model are routed by; undefined: they must name one, unless none ever does. */
  readonly unnamed?: string;
  /** Passed on unread, but billed like a model's reply: its body names the model, and its reply says what it used. */
  readonly billed?: true;
  /** The usual one, where several are `passed`. */
  readonly method: Method;
  /** Its requests are passed on with any of these methods. */
  readonly passed?: readonly Method[];
  /** What a provider's path has before that of its base URL; undefined: nothing. */
  readonly before?: string;
  /** Nobody can tell whose objects its paths name, so it is passed on only where all of them are one tenant's. */
  readonly unowned?: true;
  /** Undefined for chat, embeddings and token counts. */
  readonly auxiliary?: Auxiliary;
}

/** An endpoint with this name. */
export interface EndpointOf<Name extends string> extends Traits {
  /** Its name in keys and logs. Two dialects may share a name. */
  readonly name: Name;
  readonly dialect: DialectName;
  /**
   * The path that clients request; `{id}` stands for an object's id, `{model}` for a model, other words in braces for
   * any text, and `/**` at the end for nothing, or whatever follows: an object's id, if there is none before.
   */
  readonly path: string;
  /** The path after a provider's base URL. */
  readonly upstreamPath: string;
  /** Id of the object at the provider that a request's path names; null: none. */
  readonly object: string | null;
  /** What the path specifies, in dialects that don't put it in the body (Gemini); null: the body specifies it. */
  readonly inPath: {
    /** Decoded; null: it can't be decoded. */
    readonly model: string | null;
    readonly stream: boolean;
    /** The stream is one JSON list, sent element by element. */
    readonly list: boolean;
  } | null;
  /** The deployment that a request's path names, decoded, which is its model whatever its body says; undefined: none. */
  readonly deployment?: string;
}

/** The route for requests that name no model, where a provider has a default that isn't documented. */
export const unnamedRoute = 'default';

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
  ...(reserve === 'images' ? { unnamed: unnamedRoute } : {}),
  auxiliary: { ...plainJson, unstated: 'unpriced', reserve, ...differs },
});
const files = (method: Traits['method'], differs: Partial<Auxiliary> = {}): Traits => ({
  kind: 'files',
  inspectedAs: nativeEndpoint.Auxiliary,
  cached: false,
  method,
  auxiliary: { ...plainJson, takes: 'nothing', unstated: 'nothing', ...differs },
});
const passthrough = (passed: readonly Method[]): Traits => ({
  ...files(passed[0] ?? 'GET', { takes: 'anything', gives: 'anything' }),
  kind: 'passthrough',
  passed,
});
/** Objects of one type at the provider. */
const objects = passthrough(['GET', 'POST', 'DELETE', 'PATCH', 'PUT']);
const posted = passthrough(['POST']);
/** Whatever else a provider's API has, or will have. */
const rest: Traits = { ...objects, unowned: true };
/** Text from a model, by an API that isn't modelled. */
const generated: Traits = {
  ...posted,
  billed: true,
  auxiliary: { ...plainJson, takes: 'anything', gives: 'anything', unstated: 'estimated' },
};
/** A WebSocket to a model, whose usage its provider reports after each reply. */
const session: Traits = {
  ...files('GET', { gives: 'anything', unstated: 'unpriced' }),
  kind: 'session',
  billed: true,
};
const models: Traits = {
  kind: 'models',
  inspectedAs: nativeEndpoint.Auxiliary,
  cached: false,
  method: 'GET',
};

const feedback: Traits = { ...models, kind: 'feedback', method: 'POST' };

/** The version at the start of a client's path, which is replaced by the provider's base URL. */
const version = /^(?:\/upload)?\/v\d+(?:beta)?/;

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
  object: null,
  inPath: null,
  ...traits,
});

/** Gemini's paths contain the model, followed by the method. */
const ofModel = <Name extends string>(name: Name, method: string, traits: Traits): EndpointOf<Name> => ({
  ...row(name, 'gemini', `/v1beta/models/{model}:${method}`, traits),
  upstreamPath: `:${method}`,
});

/** How paths to a deployment begin. */
export const deploymentPath = '/openai/deployments/{model}';

/** The service of Gemini's Live API; its version is that of the provider's base URL. */
const liveService = 'google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent';

/** Every endpoint by the path that it has in its own API. */
const byApi = [
  // https://platform.openai.com/docs/api-reference
  row('chat', 'openai', '/v1/chat/completions', chat(nativeEndpoint.Chat)),
  // A stored prompt names its own model.
  row('responses', 'responses', '/v1/responses', {
    ...chat(nativeEndpoint.Responses),
    unnamed: unnamedRoute,
  }),
  row('embeddings', 'openai', '/v1/embeddings', embedding(nativeEndpoint.Embeddings)),
  // One path for all dialects: the reply is in the client's.
  row('models', 'openai', '/v1/models', models),
  row('models', 'openai', '/v1/models/{id}', models),
  row('cache_feedback', 'openai', '/v1/cache/feedback', feedback),
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
    // The default model according to OpenAI's reference.
    { ...judged('moderation', { unstated: 'nothing' }), unnamed: 'omni-moderation-latest' },
  ),
  row('rerank', 'openai', '/v1/rerank', judged('rerank', {})),
  row('rerank', 'cohere', '/v2/rerank', { ...chat(nativeEndpoint.Rerank), kind: 'rerank' }),
  row('files', 'openai', '/v1/files', files('POST', { takes: 'form', once: true })),
  row('files', 'openai', '/v1/files', files('GET')),
  row('files', 'openai', '/v1/files/{id}', files('GET')),
  row('files', 'openai', '/v1/files/{id}', files('DELETE')),
  row('files', 'openai', '/v1/files/{id}/content', files('GET', { gives: 'file' })),
  row('stored_chats', 'openai', '/v1/chat/completions', passthrough(['GET'])),
  row('stored_chats', 'openai', '/v1/chat/completions/{id}/**', objects),
  // Words where an id would be come first, here and below.
  row('stored_responses', 'responses', '/v1/responses/compact', generated),
  row('stored_responses', 'responses', '/v1/responses/input_tokens', posted),
  row('stored_responses', 'responses', '/v1/responses/**', objects),
  // https://developers.openai.com/api/docs/guides/websocket-mode
  row('responses', 'responses', '/v1/responses', session),
  row('completions', 'openai', '/v1/completions', generated),
  row('agents', 'openai', '/v1/agents/automations/**', objects),
  row('agents', 'openai', '/v1/agents/environments/templates/**', objects),
  row('agents', 'openai', '/v1/agents/environments/**', objects),
  row('agents', 'openai', '/v1/agents/sessions/**', objects),
  row('agents', 'openai', '/v1/agents/**', objects),
  row('agents', 'openai', '/v1/vaults/**', objects),
  row('assistants', 'openai', '/v1/assistants/**', objects),
  row('assistants', 'openai', '/v1/threads/runs', posted),
  row('assistants', 'openai', '/v1/threads/**', objects),
  row('batches', 'openai', '/v1/batches/**', objects),
  row('chatkit', 'openai', '/v1/chatkit/sessions/**', objects),
  row('chatkit', 'openai', '/v1/chatkit/threads/**', objects),
  row('containers', 'openai', '/v1/containers/**', objects),
  row('content_checks', 'openai', '/v1/content_provenance_checks', posted),
  row('content_checks', 'openai', '/v1/decisions', posted),
  row('conversations', 'openai', '/v1/conversations/**', objects),
  row('evals', 'openai', '/v1/evals/**', objects),
  row('fine_tuning', 'openai', '/v1/fine_tuning/jobs/**', objects),
  row('fine_tuning', 'openai', '/v1/fine_tuning/alpha/graders/{verb}', posted),
  row('skills', 'openai', '/v1/skills/**', objects),
  row('uploads', 'openai', '/v1/uploads/**', objects),
  row('voices', 'openai', '/v1/audio/voices/**', objects),
  row('voices', 'openai', '/v1/audio/voice_consents/**', objects),
  row('vector_stores', 'openai', '/v1/vector_stores/**', objects),
  row('videos', 'openai', '/v1/videos/characters/**', objects),
  row('videos', 'openai', '/v1/videos/edits', posted),
  row('videos', 'openai', '/v1/videos/extensions', posted),
  row('videos', 'openai', '/v1/videos/**', objects),
  // https://platform.openai.com/docs/guides/realtime-websocket
  row('realtime', 'openai', '/v1/realtime', session),
  row('realtime', 'openai', '/v1/realtime/translations', session),
  // https://ai.google.dev/api/live
  row('live', 'gemini', `/ws/${liveService}`, session),
  row('message_batches', 'anthropic', '/v1/messages/batches/**', objects),
  row('anthropic_complete', 'anthropic', '/v1/complete', posted),
  row('anthropic_agents', 'anthropic', '/v1/agents/**', objects),
  row('anthropic_agents', 'anthropic', '/v1/deployments/**', objects),
  row('anthropic_agents', 'anthropic', '/v1/deployment_runs/**', objects),
  row('anthropic_agents', 'anthropic', '/v1/dreams/**', objects),
  row('anthropic_agents', 'anthropic', '/v1/environments/**', objects),
  row('anthropic_agents', 'anthropic', '/v1/memory_stores/**', objects),
  row('anthropic_agents', 'anthropic', '/v1/sessions/**', objects),
  row('anthropic_agents', 'anthropic', '/v1/tunnels/**', objects),
  row('anthropic_agents', 'anthropic', '/v1/user_profiles/**', objects),
  row('anthropic_agents', 'anthropic', '/v1/vaults/**', objects),
  row('anthropic_files', 'anthropic', '/v1/files/**', objects),
  row('anthropic_skills', 'anthropic', '/v1/skills/**', objects),
  row('gemini_batches', 'gemini', '/v1beta/batches/**', objects),
  row('gemini_caches', 'gemini', '/v1beta/cachedContents/**', objects),
  row('gemini_files', 'gemini', '/v1beta/files/**', objects),
  row('gemini_files', 'gemini', '/v1beta/fileSearchStores/**', objects),
  // https://ai.google.dev/api/files#v1beta.media.upload
  row('gemini_files', 'gemini', '/upload/v1beta/files', {
    ...passthrough(['POST', 'PUT']),
    before: '/upload',
  }),
  row('gemini_models', 'gemini', '/v1beta/models/{model}:{verb}', posted),
  row('gemini_models', 'gemini', '/v1beta/models/{model}/operations/**', objects),
  row('gemini_models', 'gemini', '/v1beta/tunedModels/**', objects),
  row('cohere_chat', 'cohere', '/v2/chat', generated),
  // A model of one's own, such as a fine-tuned one: the list at this path is that of the routes.
  row('own_models', 'openai', '/v1/models/{id}', passthrough(['DELETE'])),
  // Last, since they have every path.
  row('rest', 'openai', '/v1/**', rest),
  row('rest', 'anthropic', '/v1/**', rest),
  row('rest', 'gemini', '/v1beta/**', rest),
  row('rest', 'gemini', '/upload/v1beta/**', { ...rest, before: '/upload' }),
  row('rest', 'cohere', '/v2/**', rest),
] as const;

/** What clients of Azure ask a deployment for, whose name is in the path; all else has the same paths as at OpenAI. */
const deployed: ReadonlySet<string> = new Set([
  'chat',
  'embeddings',
  'completions',
  'images',
  'image_edits',
  'speech',
  'transcriptions',
  'translations',
]);

/** Every endpoint; a request is matched by method and path, those of sessions by their path. */
export const endpoints = [
  ...byApi,
  ...byApi
    .filter(({ name }) => deployed.has(name))
    .map((endpoint) => ({ ...endpoint, path: `${deploymentPath}${endpoint.upstreamPath}` })),
];

/** Whether requests are about objects that a provider keeps, or for whatever of its API isn't modelled. */
export const isOfProvider = ({ kind }: Pick<Traits, 'kind'>): boolean =>
  kind === 'files' || isPassed({ kind });

/** Whether requests are passed on unread, to providers with `passthrough`. */
export const isPassed = ({ kind }: Pick<Traits, 'kind'>): boolean =>
  kind === 'passthrough' || kind === 'session';

/** An upload that has begun at Google, as an object; ids of these are longer than others. */
export const uploadObject = (id: string): string => `uploads/${hash('sha256', id)}`;

/** The name of an endpoint, as in keys and logs. */
export type EndpointName = (typeof endpoints)[number]['name'];

/** An endpoint of the data port. */
export type Endpoint = EndpointOf<EndpointName>;

/** Every name once, in the order of the rows. */
export const endpointNames = [...new Set(endpoints.map(({ name }) => name))];

/** The endpoint that lists models, for clients of a dialect. */
export const modelsEndpoint = (dialect: DialectName): Endpoint =>
  row('models', dialect, '/v1/models', models);
