/** Gemini's paths: the model and whether the answer streams stand there, not in the body. */

const methods = [
  'generateContent',
  'streamGenerateContent',
  'countTokens',
  'embedContent',
  'batchEmbedContents',
] as const;
export type GeminiMethod = (typeof methods)[number];

/** What a path asks for. */
export interface GeminiPath {
  /** As written in the path, decoded; null: the path can't be decoded. */
  readonly model: string | null;
  readonly method: GeminiMethod;
}

/** AI Studio's paths (`/v1beta/models/…`; newer SDKs say `/v1`) and Vertex', with or without a project. */
const pattern =
  /^\/v1(?:beta1?)?(?:\/projects\/[^/]+\/locations\/[^/]+)?(?:\/publishers\/google)?\/models\/(.+):(\w+)$/;

/** Null: it is no path of a method that is known. */
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

/** Whether a query asks for server-sent events; without that, streams are lists in pieces. */
export const asksForEvents = (url: string): boolean => /[?&]alt=sse(?:&|$)/.test(url);

/** The key of a query; null: none. */
export function keyInQuery(url: string): string | null {
  const value = /[?&]key=([^&]+)/.exec(url)?.[1];
  return value === undefined ? null : decoded(value);
}
