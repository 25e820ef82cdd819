/** Writes the heads of the lane's replies, as Node does. */
import { STATUS_CODES } from '../base/node-http.ts';

/** What a head says about its connection. */
export interface KeptConnection {
  /** The connection ends after this reply. */
  readonly closing: boolean;
  /** Otherwise it is closed after being idle for this time. */
  readonly idleMs: number;
}

/** Whether replies of a status have neither body nor length (RFC 9110, section 8.6). */
export const isBodyless = (status: number): boolean => status === 204 || status === 304;

const okLine = 'HTTP/1.1 200 OK\r\n';

/**
 * A head with its closing empty line. Throws if a header can't be written.
 * @param framing the header line that says where the body ends; empty: there is no body
 */
export function headText(
  status: number,
  headers: readonly string[],
  framing: string,
  connection: KeptConnection,
): string {
  let head = status === 200 ? okLine : `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2)
    head += headerLine(i >> 1, headers[i] as string, headers[i + 1] as string);
  return `${head}${framing}${commonLines(connection)}\r\n`;
}

/** The last header at one position, as it was written. */
interface Line {
  readonly name: string;
  value: string;
  text: string;
}

/** By position. Most replies have the same headers in the same order, half of them with the same values. */
const lines: Line[] = [];
const linesMax = 64;

/** Characters a header's value can't contain (RFC 9110, section 5.5), and those its name consists of. */
const badValue = /[^\t\x20-\x7e\x80-\xff]/;
const goodName = /^[\w!#$%&'*+.^`|~-]+$/;
/** Only the framing says where the body ends: two such headers would be read differently by different readers. */
const framingName = /^(content-length|transfer-encoding)$/i;

function headerLine(position: number, name: string, value: string): string {
  const last = lines[position];
  const same = last !== undefined && last.name === name;
  if (same && last.value === value) return last.text;
  if (badValue.test(value) || !(same || isName(name)))
    throw new Error('A header of the reply cannot be written.');
  const text = `${name}: ${value}\r\n`;
  if (same) {
    last.value = value;
    last.text = text;
  } else if (position < linesMax) lines[position] = { name, value, text };
  return text;
}

const isName = (name: string): boolean => goodName.test(name) && !framingName.test(name);

let dateSecond = 0;
let dateLine = '';

/** The `Date` and `Connection` lines. */
function commonLines({ closing, idleMs }: KeptConnection): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateLine = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return closing
    ? `${dateLine}Connection: close\r\n`
    : `${dateLine}Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(idleMs / 1000)}\r\n`;
}
