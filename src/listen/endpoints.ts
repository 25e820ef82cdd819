/** Finds the endpoint of the data port that a request's head asks for. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../base/errors.ts';
import { asksForEvents, decoded, readPath } from '../dialects/gemini/path.ts';
import type { DialectName } from '../exchange/dialects.ts';
import {
  deploymentPath,
  type Endpoint,
  endpoints,
  isOfProvider,
  isPassed,
  modelsEndpoint,
  uploadObject,
} from '../exchange/endpoint.ts';

/** A request's head, read by the lane or by Node. */
export interface Head {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Names in lowercase. */
  readonly headers: IncomingHttpHeaders;
  /** Its connection can become a WebSocket, as it asks; undefined: it can't, or needn't. */
  readonly upgrades?: true;
  /** A fault found while reading it; null: none. */
  readonly fault: Refusal | null;
}

/** Endpoints with a fixed path that take a body, by path. */
export const endpointsByPath: ReadonlyMap<string, Endpoint> = new Map(
  endpoints.flatMap((endpoint) =>
    endpoint.path.includes('{') || isOfProvider(endpoint) || endpoint.kind === 'models'
      ? []
      : [[endpoint.path, endpoint]],
  ),
);

const geminiEndpoints: readonly Endpoint[] = endpoints.filter(
  (each) => each.dialect === 'gemini' && !isPassed(each),
);

/** WebSockets, by their path. */
const sessionsByPath: ReadonlyMap<string, Endpoint> = new Map(
  endpoints.flatMap((endpoint) => (endpoint.kind === 'session' ? [[endpoint.path, endpoint]] : [])),
);

/** What a deployment of Azure is asked for, by the path after its name. */
const deployed: ReadonlyMap<string, Endpoint> = new Map(
  endpoints.flatMap((endpoint) =>
    endpoint.path.startsWith(deploymentPath) ? [[endpoint.upstreamPath, endpoint]] : [],
  ),
);

/** Azure's paths begin so, with a version or without. */
const azureStart = /^\/openai(?:\/v1)?\//;
/** Python's SDK leaves slashes in a deployment's name as they are. */
const ofDeployment = /^\/openai\/deployments\/(.+?)((?:\/(?:chat|images|audio))?\/\w+)$/;

const modelsPath = '/v1/models';
const geminiModelsPath = /^\/v1(?:beta|alpha)?\/models(?:\/|$)/;
const geminiVersion = /^(\/upload)?\/v1(?:alpha)?\//;
/** Google's SDK writes two slashes. */
const liveVersion = /^\/?(\/ws\/google\.ai\.generativelanguage\.)v1(?:alpha|beta)?\./;

/** A parameter's value; null: there is none. Of several, nobody knows which a provider takes: they are one that is nobody's. */
function namedIn(query: URLSearchParams, name: string): string | null {
  const all = query.getAll(name);
  return all.length === 0 ? null : all.join();
}

/** The upload that a URL goes on with, as an object of its own; null: it begins one, or is none. */
function uploadIn(url: string): string | null {
  if (!url.startsWith('/upload/')) return null;
  const id = namedIn(new URLSearchParams(url.slice(pathOf(url).length)), 'upload_id');
  return id === null ? null : uploadObject(id);
}

/** The endpoint of a head; undefined: there is none. */
export function endpointAt(head: Head, dialect: DialectName): Endpoint | undefined {
  const { url, method, upgrades } = head;
  const path = pathOf(url);
  if (upgrades === true) return sessionAt(url);
  if (dialect === 'gemini') {
    const own = geminiEndpoint(path, url);
    if (own !== undefined && own.kind !== 'models') return own;
    const named = path.replace(geminiVersion, '$1/v1beta/');
    const found = providersEndpoint(method, named, dialect, own !== undefined);
    return found === undefined ? own : { ...found, object: found.object ?? uploadIn(url) };
  }
  const exact = isModelsPath(path) ? modelsEndpoint(dialect) : endpointsByPath.get(path);
  if (exact?.method === method) return exact;
  if (isAzure(url)) return azureEndpoint(head, path, dialect);
  const isKnown = exact !== undefined || sessionsByPath.has(path);
  const found = providersEndpoint(method, path, dialect, isKnown);
  return exact === undefined || found?.method === method ? found : exact;
}

/** Whether a URL is one of Azure's, where the version of the API may be in the query. */
export const isAzure = (url: string): boolean => url.startsWith('/openai/');

/** The endpoint of one of Azure's paths: that of OpenAI's path, or of a deployment. */
function azureEndpoint(head: Head, path: string, dialect: DialectName): Endpoint | undefined {
  const [, name, asked = ''] = ofDeployment.exec(path) ?? [];
  if (name === undefined) {
    const found = endpointAt({ ...head, url: path.replace(azureStart, '/v1/') }, dialect);
    return found?.dialect === dialect ? found : undefined;
  }
  const endpoint = deployed.get(asked);
  const deployment = decoded(name);
  return endpoint === undefined || deployment === null ? undefined : { ...endpoint, deployment };
}

const isModelsPath = (path: string): boolean => path === modelsPath || path.startsWith(`${modelsPath}/`);

/** The WebSocket of a URL, and the model that its query names; undefined: there is none. */
export function sessionAt(url: string): Endpoint | undefined {
  const endpoint = sessionsByPath.get(
    pathOf(url).replace(liveVersion, '$1v1beta.').replace(azureStart, '/v1/'),
  );
  if (endpoint === undefined) return undefined;
  const query = new URLSearchParams(url.slice(pathOf(url).length));
  const model = query.get('model') ?? query.get('deployment') ?? '';
  // A session may join a call, which is somebody's.
  return { ...endpoint, object: namedIn(query, 'call_id'), inPath: { model, stream: true, list: false } };
}

/** A Gemini endpoint: method and model are in its path. */
export function geminiEndpoint(path: string, url: string): Endpoint | undefined {
  const asked = readPath(path);
  if (asked === null) return geminiModelsPath.test(path) ? modelsEndpoint('gemini') : undefined;
  const { method, model } = asked;
  const endpoint = geminiEndpoints.find(({ upstreamPath }) => upstreamPath === `:${method}`);
  if (endpoint === undefined) return undefined;
  const stream = method === 'streamGenerateContent';
  return { ...endpoint, inPath: { model, stream, list: stream && !asksForEvents(url) } };
}

/** Paths of an endpoint whose requests are about objects at the provider. Google's may end in a verb. */
const pathsOf = ({ path, dialect }: Endpoint): RegExp => {
  const isGoogle = dialect === 'gemini';
  const verb = isGoogle ? '(?::\\w{1,64})?' : '';
  // As providers write ids: nothing that a URL would have to escape, and no dots alone.
  const segment = `(?!\\.{1,2}(?:[/:]|$))[\\w.~@=+,!$*'()${isGoogle ? '' : ':'}-]{1,256}`;
  return new RegExp(
    `^${path
      .replace('{id}/**', `{id}(?:/${segment})*${verb}`)
      .replace('{id}', `(?<id>${segment})`)
      .replace('{verb}', '\\w{1,64}')
      .replace('{model}', segment)
      .replace('/**', `(?:/(?<id>${segment})(?:/${segment})*)?${verb}`)}$`,
  );
};

const providersEndpoints: readonly (readonly [RegExp, Endpoint])[] = endpoints
  .filter((each) => isOfProvider(each) && each.kind !== 'session')
  .map((endpoint: Endpoint) => [pathsOf(endpoint), endpoint]);

/** The object that a path names. Google's ids are unique within their kind only, and apps choose them: `files/abc`. */
function objectOf({ path, dialect }: Endpoint, id: string | undefined): string | null {
  if (id === undefined) return null;
  return dialect === 'gemini' ? `${/(\w+)\/(?:\*\*|\{id\})/.exec(path)?.[1] ?? ''}/${id}` : id;
}

/**
 * The endpoint of a request about objects at a provider, completed by what its path says; undefined: there is none.
 * @param known the path has a meaning here, so it is none of the rest of the API
 */
function providersEndpoint(
  method: string,
  path: string,
  dialect: DialectName,
  known: boolean,
): Endpoint | undefined {
  let other: Endpoint | undefined;
  for (const [paths, endpoint] of providersEndpoints) {
    const found = endpoint.dialect === dialect ? paths.exec(path) : null;
    if (found === null || (endpoint.unowned === true && (known || other !== undefined))) continue;
    const { passed = [endpoint.method], path: pattern, upstreamPath: upstream } = endpoint;
    const versionLength = pattern.length - upstream.length;
    const completed = {
      ...endpoint,
      upstreamPath: path.slice(versionLength),
      // No id begins with a slash, so nobody is known to have made it.
      object: endpoint.unowned === true ? path : objectOf(endpoint, found.groups?.id),
    };
    const asked = passed.find((each) => each === method);
    if (asked !== undefined) return { ...completed, method: asked };
    other ??= completed;
  }
  return other;
}

/**
 * The dialect of a request, by its path or, if that is ambiguous, by the version header Anthropic's SDK
 * always sends.
 */
export function dialectOf({ url, headers, upgrades }: Head): DialectName {
  if (upgrades === true) return sessionAt(url)?.dialect ?? 'openai';
  // Only Gemini paths contain a colon.
  if (
    url.startsWith('/v1beta/') ||
    url.startsWith('/v1alpha/') ||
    url.startsWith('/upload/') ||
    (url.includes(':') && readPath(pathOf(url)) !== null)
  )
    return 'gemini';
  if (url.startsWith('/v2/')) return 'cohere';
  if (isAzure(url)) return /^\/openai\/(?:v1\/)?responses/.test(url) ? 'responses' : 'openai';
  // Newer SDKs of Google use `/v1`, where other APIs have paths of the same name.
  const isGoogle = headers['x-goog-api-client'] !== undefined || headers['x-goog-api-key'] !== undefined;
  if (isGoogle && url.startsWith('/v1/') && !endpointsByPath.has(pathOf(url))) return 'gemini';
  if (headers['anthropic-version'] !== undefined) return 'anthropic';
  if (url.startsWith('/v1/messages')) return 'anthropic';
  return url.startsWith('/v1/responses') ? 'responses' : 'openai';
}

/** The path of a URL, without its query. */
export function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}
