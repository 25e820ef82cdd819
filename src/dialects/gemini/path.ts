/** Gemini's paths, which contain the model and whether the reply is streamed. */

const methods = [
  'generateContent',
  'streamGenerateContent',
  'countTokens',
  'embedContent',
  'batchEmbedContents',
] as const;
/** The method at the end of a path. */
export type GeminiMethod = (typeof methods)[number];

/** The parts of a path. */
export interface GeminiPath {
  /** Decoded; null: it can't be decoded. */
  readonly model: string | null;
  readonly method: GeminiMethod;
}

/** Paths of AI Studio (`/v1beta/models/…`, in newer SDKs `/v1`) and of Vertex, with or without a project. */
const pattern =
  /^\/v1(?:beta1?)?(?:\/projects\/[^/]+\/locations\/[^/]+)?(?:\/publishers\/google)?\/models\/(.+):(\w+)$/;

/** Reads a path; null: it has no known method. */
export function readPath(path: string): GeminiPath | null {
  const found = pattern.exec(path);
  const method = methods.find((name) => name === found?.[2]);
  return method === undefined ? null : { model: decoded(found?.[1] ?? ''), method };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Whether a query asks for server-sent events; otherwise streams are JSON lists. */
export const asksForEvents = (url: string): boolean => /[?&]alt=sse(?:&|$)/.test(url);

/** The key in a query; null: none. */
export function keyInQuery(url: string): string | null {
  const value = /[?&]key=([^&]+)/.exec(url)?.[1];
  return value === undefined ? null : decoded(value);
}
