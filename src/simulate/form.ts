/** Reads multipart forms: fields by name (a list if a name is repeated), and files. */

import type { Json } from '../base/json.ts';
import { invalid } from './errors.ts';

/** An uploaded file. */
export interface Upload {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Whether a field's value is a file. */
export const isUpload = (value: unknown): value is Upload =>
  typeof value === 'object' && value !== null && 'bytes' in value && Buffer.isBuffer(value.bytes);

/**
 * The fields of a form, numbers and booleans converted. Throws a `Rejection` if the form is malformed. It is read as
 * a provider reads it, not by the gateway's parser, whose faults would otherwise stay unseen.
 */
export function formFields(body: Buffer, contentType: string): Json {
  const [, quoted, plain] = /boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain ?? invalid('Could not parse the multipart form: it has no boundary.');
  // Latin-1 keeps every byte. A line break before the body makes its first delimiter like the others.
  const [, ...sections] = `\r\n${body.toString('latin1')}`.split(`\r\n--${boundary}`);
  const last = sections.findIndex((section) => section.startsWith('--'));
  if (last < 0) return invalid('Could not parse the multipart form: its last boundary is missing.');
  const fields: Record<string, unknown> = {};
  // Whatever follows the last boundary is ignored.
  for (const section of sections.slice(0, last)) {
    const ends = section.indexOf('\r\n\r\n');
    const head = Buffer.from(section.slice(0, ends), 'latin1').toString('utf8');
    const key = /;\s*name=(?:"([^"]*)"|([^\s;]+))/i.exec(head);
    if (ends < 0 || key === null) return invalid('Could not parse the multipart form: a field has no name.');
    const name = (key[1] ?? key[2] ?? '').replace(/\[\]$/, '');
    const bytes = Buffer.from(section.slice(ends + 4), 'latin1');
    const file = /;\s*filename\*?=(?:"([^"]*)"|([^\s;]+))?/i.exec(head);
    const value: unknown =
      file === null ? typed(bytes.toString()) : { name: file[1] ?? file[2] ?? '', bytes };
    const before = fields[name];
    fields[name] = before === undefined ? value : [before, value].flat();
  }
  return fields;
}

const typed = (text: string): unknown =>
  text === 'true' || text === 'false' ? text === 'true' : /^\d{1,9}$/.test(text) ? Number(text) : text;
