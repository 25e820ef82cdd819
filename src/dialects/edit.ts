/** Edits of request bodies in place, and the last event of a stream. */
import type { ModelRequest } from '../exchange/request.ts';
import type { Destination } from './wire.ts';

/** The data of the last event that is a JSON object; empty: there is none. */
export function lastEvent(events: Buffer): Readonly<Record<string, unknown>> {
  for (const block of events
    .toString('utf8')
    .split(/\r\n\r\n|\n\n|\r\r/)
    .reverse()) {
    const data = block.split(/[\r\n]+/).flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []));
    try {
      const event: unknown = JSON.parse(data.join('\n'));
      if (typeof event === 'object' && event !== null) return event as Record<string, unknown>;
    } catch {
      // A comment, or `[DONE]`.
    }
  }
  return {};
}

/** An edit of a body: bytes `start`–`end` are replaced by `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Replaces spans of a body. Edits must be in order and not overlap; all other bytes are kept. */
export function edit(body: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return body;
  const parts: Buffer[] = [];
  let from = 0;
  for (const { start, end, text } of edits) {
    parts.push(body.subarray(from, start), Buffer.from(text));
    from = end;
  }
  parts.push(body.subarray(from));
  return Buffer.concat(parts);
}

const nothing: readonly Edit[] = [];

/** A body, and where it names which model. */
export type Named = Pick<ModelRequest, 'body' | 'model' | 'modelStart' | 'modelEnd' | 'firstField' | 'form'>;

/** Puts the provider's model name into a body; nothing if the client used the same name. */
export function renaming(request: Named, name: string): readonly Edit[] {
  const { modelStart, modelEnd, model, firstField, body } = request;
  if (name === model) return nothing;
  const text = JSON.stringify(name);
  if (modelEnd > 0) return [{ start: modelStart - 1, end: modelEnd + 1, text }];
  const empty = /^\s*}/.test(body.toString('latin1', firstField, firstField + 64));
  return [{ start: firstField, end: firstField, text: `"model":${text}${empty ? '' : ','}` }];
}

/** The body, JSON or a form, with the provider's model name; unchanged if the client used the same name. */
export function renameModel(request: Named, model: string): Buffer {
  const { body, form, modelStart, modelEnd } = request;
  if (form === undefined) return edit(body, renaming(request, model));
  if (model === request.model) return body;
  const named = modelEnd > 0;
  const field = `--${form.boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n${model}\r\n`;
  return edit(body, [
    named ? { start: modelStart, end: modelEnd, text: model } : { start: 0, end: 0, text: field },
  ]);
}

/** Adds the longest reply that the route sets; at the end of the body, where it counts more than a `null` before. */
export function limiting(
  { body }: ModelRequest,
  field: string,
  { maxTokens = null }: Destination,
): readonly Edit[] {
  if (maxTokens === null) return nothing;
  const end = body.lastIndexOf('}');
  return [{ start: end, end, text: `,${JSON.stringify(field)}:${maxTokens}` }];
}
