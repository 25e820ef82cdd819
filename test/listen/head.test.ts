/** The lane's reader of heads: what it reads, Node's parser reads the same way; the rest it leaves to Node. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { HeadReader } from '../../src/listen/head.ts';

/** A request as Node reads it. */
interface Read {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Node's HTTP server, asked what the first request of some bytes is; null: it refuses them, or waits for more. */
async function startReader(): Promise<{ read(bytes: Buffer): Promise<Read | null>; close(): void }> {
  let found: Read | null = null;
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { method = '', url = '', headers } = req;
      found ??= { method, url, headers, body: Buffer.concat(chunks).toString('latin1') };
      res.end();
    });
  });
  server.on('clientError', (_, socket) => socket.destroy());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    async read(bytes) {
      found = null;
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume().end(bytes);
      await once(socket, 'close');
      return found;
    },
    close: () => void server.close(),
  };
}

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
const name = fc.oneof(
  token,
  fc.constantFrom(
    'Accept',
    'user-agent',
    'X-Api-Key',
    'te',
    'Set-Cookie',
    'Expect',
    'Upgrade',
    'constructor',
    '__proto__',
  ),
  fc.constantFrom(
    'Connection',
    'connection',
    'Transfer-Encoding',
    'Content-Length',
    'trailer',
    'bad name',
    '',
  ),
);

const value = fc.oneof(
  fc.stringMatching(/^[\x20-\x7e]{0,20}$/),
  fc.constantFrom(
    'keep-alive',
    'close',
    'Keep-Alive, close',
    'chunked',
    '5',
    '+5',
    '0x5',
    'ü',
    'a\tb',
    '\x7f',
    ' padded \t',
  ),
);

const separator = fc.constantFrom(': ', ':', ':\t ', ' : ', ' ');
const lineEnd = fc.oneof(
  { weight: 12, arbitrary: fc.constant('\r\n') },
  fc.constantFrom('\n', '\r', '\r\n '),
);

const header = fc.tuple(name, separator, value, lineEnd).map((parts) => parts.join(''));
const usualHeader = fc
  .tuple(token, fc.stringMatching(/^[\x21-\x7e]{1,20}$/))
  .map(([n, v]) => `${n}: ${v}\r\n`);

const path = fc.oneof(
  fc.stringMatching(/^\/[\x21-\x7e]{0,20}$/),
  fc.constantFrom('/v1/chat/completions', '*', 'http://a/b', '/a b', '/ü', ''),
);

const requestLine = fc.oneof(
  { weight: 6, arbitrary: path.map((url) => `POST ${url} HTTP/1.1\r\n`) },
  fc.constantFrom(
    'GET / HTTP/1.1\r\n',
    'POST / HTTP/1.0\r\n',
    'POST  / HTTP/1.1\r\n',
    'POST / HTTP/1.1\n',
    '\r\nPOST / HTTP/1.1\r\n',
  ),
);

/** Requests, most of them plain, with something wrong at one or more places. */
const request = fc
  .record({
    line: requestLine,
    before: fc.array(fc.oneof({ weight: 8, arbitrary: usualHeader }, header), { maxLength: 6 }),
    host: fc.constantFrom('host: a\r\n', 'Host: a\r\n', 'host:a\r\n', ''),
    after: fc.array(fc.oneof({ weight: 8, arbitrary: usualHeader }, header), { maxLength: 3 }),
    body: fc.stringMatching(/^[\x20-\x7e]{0,40}$/),
    lengthOff: fc.constantFrom(0, 0, 0, 0, 0, 1, -1),
    rest: fc.constantFrom('', '', '', 'POST /next HTTP/1.1\r\n', '\r\n'),
  })
  .map(({ line, before, host, after, body, lengthOff, rest }) => {
    const length = `content-length: ${body.length + lengthOff}\r\n`;
    return Buffer.from(
      `${line}${before.join('')}${host}${length}${after.join('')}\r\n${body}${rest}`,
      'latin1',
    );
  });

test("what the lane accepts, Node's parser reads the same way", async () => {
  const node = await startReader();
  onTestFinished(node.close);
  let plain = 0;
  let left = 0;
  const property = fc.asyncProperty(request, async (bytes) => {
    const head = new HeadReader().read(bytes);
    if (head === null) {
      left += 1;
      return;
    }
    if (head.bodyEnd > bytes.length) return;
    plain += 1;
    const { method, url, headers, bodyStart, bodyEnd } = head;
    const body = bytes.toString('latin1', bodyStart, bodyEnd);
    expect({ method, url, headers, body }).toEqual(await node.read(bytes));
  });
  await fc.assert(property, { numRuns: 5000 });
  // Both ways are taken, or nothing was compared.
  expect(plain).toBeGreaterThan(500);
  expect(left).toBeGreaterThan(500);
});

test('a used reader reads a head like a new one', () => {
  const reader = new HeadReader();
  fc.assert(
    fc.property(request, (bytes) => {
      expect(reader.read(bytes)).toEqual(new HeadReader().read(bytes));
    }),
    { numRuns: 5000 },
  );
});

test('a head that is too large or has too many headers is left to Node', () => {
  const read = (headers: string): unknown =>
    new HeadReader().read(Buffer.from(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n${headers}\r\n`));
  const many = (count: number): string => Array.from({ length: count }, (_, i) => `h${i}: x\r\n`).join('');
  expect(read(many(62))).not.toBeNull();
  expect(read(many(63))).toBeNull();
  expect(read(`long: ${'x'.repeat(16_000)}\r\n`)).not.toBeNull();
  expect(read(`long: ${'x'.repeat(17_000)}\r\n`)).toBeNull();
});
