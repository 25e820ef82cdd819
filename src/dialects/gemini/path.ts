/** Gemini's paths, which contain the model and whether the reply is streamed. */

import { endpoints, isPassed } from '../../exchange/endpoint.ts';

const methods: ReadonlySet<string> = new Set(
  endpoints
    .filter((each) => each.dialect === 'gemini' && !isPassed(each))
    .map(({ upstreamPath }) => upstreamPath.slice(1)),
);

/** The parts of a path. */
export interface GeminiPath {
  /** Decoded; null: it can't be decoded. */
  readonly model: string | null;
  /** As in the paths of the table of endpoints, such as `generateContent`. */
  readonly method: string;
}

/** Paths of AI Studio (`/v1beta/models/…`, in newer SDKs `/v1` or `/v1alpha`) and of Vertex, with or without a project. */
const pattern =
  /^\/v1(?:beta1?|alpha)?(?:\/projects\/[^/]+\/locations\/[^/]+)?(?:\/publishers\/google)?\/models\/(.+):(\w+)$/;

/** Reads a path; null: it has no known method. */
export function readPath(path: string): GeminiPath | null {
  const [, model = '', method = ''] = pattern.exec(path) ?? [];
  return methods.has(method) ? { model: decoded(model), method } : null;
}

/** A part of a path, decoded; null: it can't be. */
export function decoded(text: string): string | null {
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
