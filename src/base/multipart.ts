/**
 * Locates the fields of a `multipart/form-data` body in place. Only short texts are copied.
 * https://www.rfc-editor.org/rfc/rfc7578 and https://www.rfc-editor.org/rfc/rfc2046#section-5.1
 *
 * It is stricter than the RFCs, since the provider must find the same fields when it parses the body: a form that could
 * be read in two ways is refused.
 */
import { isUtf8 } from 'node:buffer';
import { Refusal } from './errors.ts';

/** One field of a form; offsets are bytes of the body. */
export interface FormPart {
  readonly name: string;
  /** It has a file name, whatever its content. */
  readonly file: boolean;
  /** Where its headers start. */
  readonly headStart: number;
  /** Where its content starts; it ends before `end`. */
  readonly start: number;
  readonly end: number;
}

/** A form and its fields, in the order of the body. */
export interface Form {
  readonly boundary: string;
  readonly parts: readonly FormPart[];
}

const partsMax = 256;
const headMaxBytes = 4096;
/** Of all text fields together, which may be samples of speakers as data URLs. */
const textsMaxBytes = 16 * 1024 * 1024;

const crlf = Buffer.from('\r\n');
const headEnd = Buffer.from('\r\n\r\n');

/** Finds the fields of a form. @param contentType value of the header, with the boundary */
export function readForm(body: Buffer, contentType: string): Form | Refusal {
  const boundary = boundaryOf(contentType);
  if (boundary === null)
    return refuse('The content type has no boundary, or one that RFC 2046 does not allow.');
  const delimiter = Buffer.from(`--${boundary}`);
  const parts: FormPart[] = [];
  let textBytes = 0;
  let at = body.indexOf(delimiter);
  // A preamble ends with a line break.
  if (at < 0 || !isBlank(body, 0, at) || (at > 0 && !startsAt(body, crlf, at - crlf.length)))
    return refuse('The form does not begin with its boundary.');
  for (;;) {
    const after = at + delimiter.length;
    if (body.toString('latin1', after, after + 2) === '--') {
      if (!isBlank(body, after + 2, body.length)) return refuse('The form is followed by other bytes.');
      return { boundary, parts };
    }
    if (!startsAt(body, crlf, after))
      return refuse(`The boundary at byte ${at} is not followed by a line break.`);
    if (parts.length === partsMax) return refuse(`The form has more than ${partsMax} fields.`);
    const headStart = after + crlf.length;
    const ends = body.subarray(headStart, headStart + headMaxBytes).indexOf(headEnd);
    if (ends < 0)
      return refuse(`The headers of the field at byte ${at} have no end within ${headMaxBytes} bytes.`);
    const head = readHead(body.toString('utf8', headStart, headStart + ends));
    if (typeof head === 'string') return refuse(`The field at byte ${at} ${head}.`);
    const start = headStart + ends + headEnd.length;
    at = body.indexOf(delimiter, start);
    if (at < 0) return refuse('The form ends before its last boundary.');
    const end = at - crlf.length;
    if (end < start || !startsAt(body, crlf, end))
      return refuse(`The boundary at byte ${at} is not at the start of a line.`);
    if (!head.file) {
      textBytes += end - start;
      if (textBytes > textsMaxBytes)
        return refuse(`The form's text fields have more than ${textsMaxBytes} bytes.`);
      if (head.encoded || !isUtf8(body.subarray(start, end)))
        return refuse(`The field "${head.name}" is not plain UTF-8 text.`);
    }
    parts.push({ name: head.name, file: head.file, headStart, start, end });
  }
}

/** The text field with a name; undefined: there is none. Two fields of that name, or a file, are refused. */
export function textOf(form: Form, name: string, body: Buffer): string | undefined | Refusal {
  const [first, second] = form.parts.filter((part) => part.name === name);
  if (second !== undefined)
    return new Refusal('duplicate_field', `The field "${name}" occurs more than once.`, { param: name });
  if (first?.file === true)
    return new Refusal('invalid_field', `The field "${name}" must be text, not a file.`, { param: name });
  return first === undefined ? undefined : body.toString('utf8', first.start, first.end);
}

const refuse = (what: string): Refusal => new Refusal('invalid_form', what, { param: 'body' });

/** Most bytes of a preamble or epilogue. */
const blankMaxBytes = 1024;

/**
 * Whether bytes are nothing but white space. Parsers skip what surrounds a form, and SDKs put line breaks there; text
 * could hide there from everybody but a lenient parser.
 */
const isBlank = (body: Buffer, start: number, end: number): boolean =>
  end - start <= blankMaxBytes && /^[ \t\r\n]*$/.test(body.toString('latin1', start, end));

const startsAt = (body: Buffer, what: Buffer, at: number): boolean =>
  body.subarray(at, at + what.length).equals(what);

/** The boundary, quoted or not, of the characters that RFC 2046 allows; null: missing, repeated or invalid. */
function boundaryOf(contentType: string): string | null {
  const found = [...contentType.matchAll(/;\s*boundary=(?:"([^"]*)"|([^\s;"]*))/gi)];
  const [only] = found;
  if (only === undefined || found.length > 1) return null;
  const boundary = only[1] ?? only[2] ?? '';
  return /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/.test(boundary) ? boundary : null;
}

interface Head {
  readonly name: string;
  readonly file: boolean;
  /** Its content has a transfer encoding, such as Base64. */
  readonly encoded: boolean;
}

/** Reads a field's headers; a string describes what is wrong with them. */
function readHead(text: string): Head | string {
  let named: { name: string; file: boolean } | null = null;
  let encoded = false;
  for (const line of text.split('\r\n')) {
    const header = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n]*)$/.exec(line);
    if (header === null) return 'has a malformed header line';
    const [, key = '', value = ''] = header;
    if (/^content-transfer-encoding$/i.test(key)) encoded = !/^(binary|[78]bit)\s*$/i.test(value);
    if (!/^content-disposition$/i.test(key)) continue;
    if (named !== null) return 'has two Content-Disposition headers';
    const read = readDisposition(value);
    if (read === null) return 'has an ambiguous Content-Disposition header';
    named = read;
  }
  return named === null ? 'has no Content-Disposition' : { ...named, encoded };
}

const parameter = /\s*;\s*([\w-]+\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/y;

/** Reads a `Content-Disposition`; null: it is not `form-data` with exactly one plain name. */
function readDisposition(value: string): { name: string; file: boolean } | null {
  const kind = /^form-data(?=\s*(;|$))/i.exec(value);
  if (kind === null) return null;
  let name: string | null = null;
  let file = false;
  parameter.lastIndex = kind[0].length;
  let read = kind[0].length;
  for (let found = parameter.exec(value); found !== null; found = parameter.exec(value)) {
    read = parameter.lastIndex;
    const [, key = '', quoted, plain = ''] = found;
    if (/^name$/i.test(key)) {
      if (name !== null) return null;
      name = quoted ?? plain;
    } else if (/^filename\*?$/i.test(key)) file = true;
    else if (/^name\*$/i.test(key)) return null;
  }
  const whole = value.slice(read).trim() === '';
  // Parsers disagree about escapes in names.
  return whole && name !== null && /^[^"\\%]{1,128}$/.test(name) ? { name, file } : null;
}

/** Whether a body is a form. @param contentType value of the header */
export const isForm = (contentType: string | undefined): boolean =>
  contentType !== undefined &&
  contentType !== 'application/json' &&
  /^multipart\/form-data\s*(;|$)/i.test(contentType);
