/** Reads multipart forms: fields by name (a list if a name is repeated), and files. */

import type { Json } from '../base/json.ts';
import { readForm } from '../base/multipart.ts';
import { invalid } from './errors.ts';

/** An uploaded file. */
export interface Upload {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Whether a field's value is a file. */
export const isUpload = (value: unknown): value is Upload =>
  typeof value === 'object' && value !== null && 'bytes' in value && Buffer.isBuffer(value.bytes);

/** The fields of a form, numbers and booleans converted. Throws a `Rejection` if the form is malformed. */
export function formFields(body: Buffer, contentType: string): Json {
  const form = readForm(body, contentType);
  if (!('parts' in form)) return invalid(`Could not parse the multipart form. ${form.message}`);
  const fields: Record<string, unknown> = {};
  for (const { name: key, file, headStart, start, end } of form.parts) {
    const name = key.replace(/\[\]$/, '');
    const head = body.toString('utf8', headStart, start);
    const bytes = body.subarray(start, end);
    const value: unknown = file
      ? { name: /filename="([^"]*)"/.exec(head)?.[1] ?? '', bytes }
      : typed(bytes.toString());
    const before = fields[name];
    fields[name] = before === undefined ? value : [before, value].flat();
  }
  return fields;
}

const typed = (text: string): unknown =>
  text === 'true' || text === 'false' ? text === 'true' : /^\d{1,9}$/.test(text) ? Number(text) : text;
