/** Rewrites the model in bodies of `:countTokens`, `:embedContent` and `:batchEmbedContents`, which repeat it. */

import { isObject, type Json, listOf, parseObject } from '../../base/json.ts';
import type { ModelRequest } from '../../exchange/request.ts';

/** The body with the provider's model name; unchanged if it names none or that one. */
export function nameModel({ body, model: asked }: ModelRequest, model: string): Buffer {
  const text = body.toString('utf8');
  let other = asked !== model && text.includes('"model"');
  // Quotes inside strings are escaped, so this finds members only.
  for (const [, name] of text.matchAll(/"model"\s*:\s*"((?:[^"\\]|\\.)*)"/g))
    other ||= name !== model && name !== `models/${model}`;
  const json = other ? parseObject(text) : null;
  if (json === null) return body;
  const named = (holder: Json): Json =>
    'model' in holder ? { ...holder, model: `models/${model}` } : holder;
  const { requests, generateContentRequest: request } = json;
  return Buffer.from(
    JSON.stringify({
      ...named(json),
      ...(Array.isArray(requests) ? { requests: listOf(requests).map(named) } : {}),
      ...(isObject(request) ? { generateContentRequest: named(request) } : {}),
    }),
  );
}
