/** Replies of providers as they shouldn't be, and what undici makes of them. */
import { Duplex } from 'node:stream';
import Client from 'undici/lib/dispatcher/client.js';
import { type Random, seeded } from './native-random.ts';

/** What a client made of the bytes of one reply. */
export interface Understood {
  readonly status: number;
  readonly headers: unknown;
  readonly body: string;
  /** It ended as it should. */
  readonly ended: boolean;
  /** The connection can carry another request. Line breaks behind a reply are more than it for us, but not for undici. */
  readonly kept: boolean;
}

const bodies = ['', '{}', 'hello', '{"a":"b\\r\\n"}', 'x'.repeat(300), 'data: {"a":1}\n\ndata: [DONE]\n\n'];
const asides = [
  'content-type: application/json',
  'Set-Cookie: a=b; path=/',
  'set-cookie: c=d',
  'x-request-id: 1',
  'Date: Sun, 29 Nov 2026 12:00:00 GMT',
  'x-empty:',
  'x-spaces: \t a b \t ',
  'server: a',
  'constructor: a',
  'x-latin: caf\xe9',
];
const connections = ['keep-alive', 'close', 'Keep-Alive', 'Close', 'upgrade', 'keep-alive, close', 'x', ''];
const codings = [
  'chunked',
  'Chunked',
  'gzip, chunked',
  'gzip',
  'identity',
  'chunked, gzip',
  'chunked, chunked',
  '',
];
const kept = ['timeout=5', 'timeout=1', 'timeout=60, max=10', 'max=5', 'timeout=x'];
const trailers = [
  '',
  '',
  '',
  'x-a: b\r\n',
  'X-A:b\r\nx-c: d\r\n',
  ': b\r\n',
  'a b: c\r\n',
  'x\r\n',
  'x-a: \x01\r\n',
];
const extensions = ['', '', '', '', ';a', ';a=b', ';a="b c"', '; a', ' ', ';a=\x01', ';', ';a;b=c', ';a="b'];
const breaks = [
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\r\n',
  '\n',
  '\r',
  '\r\r\n',
  ' \r\n',
  '\r\n ',
];

/** Mostly the first, sometimes another. */
const often = <T>(random: Random, first: T, others: readonly T[]): T =>
  random.once(6) ? random.pick(others) : first;

/** The bytes of a reply, of which one in three is well-formed. */
export function oddReply(seed: number): Buffer {
  const random = seeded(seed);
  const strict = random.once(3);
  const vary = <T>(first: T, others: readonly T[]): T => (strict ? first : often(random, first, others));
  const end = (): string => (strict || !random.once(12) ? '\r\n' : random.pick(breaks));
  const status = vary(random.pick(['200', '429', '500']), [
    '204',
    '304',
    '201',
    '205',
    '999',
    '099',
    '20',
    '2000',
  ]);
  const version = vary('HTTP/1.1', [
    'HTTP/1.0',
    'HTTP/1.2',
    'HTTP/2.0',
    'http/1.1',
    'HTTP/0.9',
    'HTTP/11',
    'ICY',
  ]);
  const reason = vary(' OK', ['', ' ', ' Not  Found', ' caf\xe9', ' a\tb', '  x', '\t']);
  let text = strict || !random.once(15) ? '' : random.pick(['\r\n', '\n', ' ', 'HTTP/1.1 102 P\r\n\r\n']);
  text += `${version}${vary(' ', ['  ', '\t', ''])}${status}${reason}${end()}`;
  const body = random.pick(bodies);
  const lines: string[] = [];
  for (let i = random.below(5); i > 0; i--)
    lines.push(random.pick(asides.slice(0, strict ? 8 : asides.length)));
  if (random.once(4)) lines.push(`Connection: ${strict ? 'keep-alive' : random.pick(connections)}`);
  if (random.once(6)) lines.push(`Keep-Alive: ${random.pick(kept)}`);
  const form = random.below(strict ? 2 : 5);
  if (form === 0 || form === 3) lines.push(`Content-Length: ${lengthOf(body, strict, random)}`);
  if (form === 1 || form === 3) lines.push(`transfer-encoding: ${vary('chunked', codings)}`);
  if (form === 3 || (form === 0 && !strict && random.once(8)))
    lines.push(`content-length: ${lengthOf(body, strict, random)}`);
  for (const line of lines) text += `${line}${end()}`;
  text += end();
  text += form === 1 || (form === 3 && random.once(2)) ? chunksOf(body, strict, random, end) : body;
  if (!strict && random.once(8)) text += random.pick(['\r\n', 'x', 'HTTP/1.1 200 OK\r\n\r\n']);
  return mutated(Buffer.from(text, 'latin1'), strict ? 1000 : 4, random);
}

function lengthOf(body: string, strict: boolean, random: Random): string {
  const right = String(body.length);
  if (strict || !random.once(5)) return right;
  return random.pick([
    `${right} `,
    `0${right}`,
    `+${right}`,
    '-1',
    `${body.length + 3}`,
    '0x2',
    '',
    '1 2',
    '9'.repeat(25),
  ]);
}

function chunksOf(body: string, strict: boolean, random: Random, end: () => string): string {
  let text = '';
  for (let at = 0; at < body.length; ) {
    const size = 1 + random.below(body.length - at);
    const hex = random.once(2) ? size.toString(16) : `0${size.toString(16).toUpperCase()}`;
    text += `${hex}${strict ? '' : random.pick(extensions)}${end()}${body.slice(at, at + size)}${end()}`;
    at += size;
  }
  return `${text}0${end()}${strict ? '' : random.pick(trailers)}${end()}`;
}

/** The same bytes, of which a few may be others, gone or doubled. */
function mutated(bytes: Buffer, times: number, random: Random): Buffer {
  if (!random.once(times) || bytes.length === 0) return bytes;
  const at = random.below(bytes.length);
  const other = Buffer.from([random.pick([0, 9, 10, 13, 32, 58, 59, 65, 127, 200, random.below(256)])]);
  const kind = random.below(4);
  if (kind === 0) return Buffer.concat([bytes.subarray(0, at), other, bytes.subarray(at + 1)]);
  if (kind === 1) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
  if (kind === 2) return Buffer.concat([bytes.subarray(0, at), other, bytes.subarray(at)]);
  return bytes.subarray(0, at);
}

/** Cuts bytes into pieces anywhere. */
export function pieces(bytes: Buffer, seed: number): Buffer[] {
  const random = seeded(seed);
  const all: Buffer[] = [];
  const most = random.pick([1, 20, 60, 1000, 1000, 1000]);
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.below(most));
    all.push(bytes.subarray(at, end));
    at = end;
  }
  return all;
}

/** Lets undici read a reply that comes in these pieces, after which the provider closes the connection if it is open. */
export function understoodByUndici(all: readonly Buffer[]): Promise<Understood> {
  return new Promise((resolve) => {
    let [status, headers, body, kept]: [number, unknown, string, boolean] = [0, {}, '', false];
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const client = new Client('http://provider.test', {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 30_000,
      connect: (_: unknown, done: (error: null, socket: Duplex) => void) =>
        queueMicrotask(() => done(null, socket)),
    } as never);
    const finish = (ended: boolean): void => {
      resolve({ status, headers, body, ended, kept: ended && kept });
      socket.destroy();
      void client.destroy();
    };
    client.dispatch(
      { path: '/', method: 'POST', headers: [], body: '{}' },
      {
        onRequestStart() {},
        onResponseStart(_, code, given) {
          if (code < 200) return;
          [status, headers] = [code, trimmed(given)];
        },
        onResponseData(_, chunk) {
          body += chunk.toString('latin1');
        },
        onResponseEnd() {
          // undici closes what it won't use again at once, and what has more than the reply with the next bytes.
          setImmediate(() =>
            setImmediate(() => {
              kept = !socket.destroyed;
              finish(true);
            }),
          );
        },
        onResponseError: () => finish(false),
      },
    );
    void feed(socket, all);
  });
}

/** undici leaves white space behind values, which doesn't belong to them (RFC 9110, section 5.5). */
const trimmed = (headers: object): object =>
  JSON.parse(JSON.stringify(headers), (_, value: unknown) =>
    typeof value === 'string' ? value.replace(/[ \t]+$/, '') : value,
  ) as object;

async function feed(socket: Duplex, all: readonly Buffer[]): Promise<void> {
  for (const piece of all) {
    await new Promise(setImmediate);
    if (socket.destroyed) return;
    socket.push(piece);
  }
  for (let i = 0; i < 4; i++) await new Promise(setImmediate);
  if (!socket.destroyed) socket.push(null);
}
