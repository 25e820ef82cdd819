/** HTTP/1.1 to a provider, on real sockets: what is sent, which replies are read, and when a connection is used again. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Connections, openConnections } from '../../src/upstream/connect.ts';
import type { UpstreamSend } from '../../src/upstream/request-head.ts';
import { isReused, type Sending } from '../../src/upstream/sending.ts';
import { createAuthority } from '../support/certificates.ts';
import { eventually } from '../support/until.ts';

interface Result {
  status: number;
  headers: unknown;
  body: string;
  error: Error | null;
}

interface Asked {
  readonly done: Promise<Result>;
  /** The last request's; null: it isn't sent. */
  sending: Sending | null;
  readonly result: Result;
}

const post: UpstreamSend = { path: '/v1', method: 'POST', headers: ['x-a', 'b'], body: Buffer.from('{}') };

/** Sends a request. @param onStart called before it is sent @param onHead called when its reply begins */
function ask(
  connections: Connections,
  send = post,
  onStart = (_: Sending): void => {},
  onHead = (_: Sending): void => {},
): Asked {
  const result: Result = { status: 0, headers: {}, body: '', error: null };
  const asked = { sending: null as Sending | null, result };
  const done = new Promise<Result>((resolve) =>
    connections.dispatch(send, {
      onRequestStart(sending) {
        asked.sending = sending;
        onStart(sending);
      },
      onResponseStart(sending, status, headers) {
        if (status >= 200) Object.assign(result, { status, headers });
        onHead(sending);
      },
      onResponseData(_, chunk) {
        result.body += chunk.toString('latin1');
      },
      onResponseEnd: () => resolve(result),
      onResponseError(_, error) {
        result.error = error;
        resolve(result);
      },
    }),
  );
  return Object.assign(asked, { done });
}

/** A provider. @param onRequest called with each read of each connection */
async function provider(onRequest: (socket: Socket, bytes: Buffer, count: number) => unknown): Promise<{
  readonly connections: Connections;
  readonly sockets: Socket[];
}> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    let count = 0;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      count += 1;
      onRequest(socket, bytes, count);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connections = openConnections(`http://127.0.0.1:${port}`, 5000, () => true);
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await connections.close();
  });
  return { connections, sockets };
}

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n';

describe('a request', () => {
  const sent = async (send: UpstreamSend, bytes: number): Promise<string> => {
    let got = '';
    const { connections } = await provider((socket, chunk) => {
      got += chunk.toString('latin1');
      if (got.length >= bytes) socket.write(`${ok}{}`);
    });
    expect((await ask(connections, send).done).error).toBeNull();
    return got;
  };
  const host = /host: 127\.0\.0\.1:\d+\r\n/;

  test('is written with its host, its headers and its length', async () => {
    const got = await sent(post, 10);
    expect(got.replace(host, 'host\n')).toBe(
      'POST /v1 HTTP/1.1\r\nhost\nconnection: keep-alive\r\nx-a: b\r\ncontent-length: 2\r\n\r\n{}',
    );
  });

  test('without a body has a length only if its method is for one that has', async () => {
    expect(await sent({ ...post, body: null }, 10)).toContain('content-length: 0\r\n\r\n');
    for (const method of ['GET', 'DELETE'])
      expect(await sent({ ...post, method, body: null }, 10)).toMatch(/^(GET|DELETE) .*x-a: b\r\n\r\n$/s);
  });

  test('of any length arrives', async () => {
    for (const length of [16_000, 16_384, 20_000, 3_000_000]) {
      const body = Buffer.alloc(length, 'ab');
      const got = await sent({ ...post, body }, length);
      expect(got.endsWith(`content-length: ${length}\r\n\r\n${body.toString()}`)).toBe(true);
    }
  });

  test('that would end its own head is not sent', async () => {
    const { connections, sockets } = await provider(() => {});
    for (const bad of ['a\r\nb: c', 'a\nb', 'a\u010db', 'a\0'])
      expect((await ask(connections, { ...post, headers: ['x-a', bad] }).done).error).toBeInstanceOf(Error);
    for (const name of ['Transfer-Encoding', 'Content-Length'])
      expect((await ask(connections, { ...post, headers: [name, 'x'] }).done).error).toBeInstanceOf(Error);
    for (const path of ['/a b', '/a\r\n', 'a'])
      expect((await ask(connections, { ...post, path }).done).error).toBeInstanceOf(Error);
    expect(sockets).toEqual([]);
  });

  test('that is given up before it is sent leaves its connection to the next', async () => {
    const { connections, sockets } = await provider((socket) => socket.write(`${ok}{}`));
    ask(connections, post, (sending) => sending.abort(new Error('late')));
    await eventually(() => expect(connections.size).toBe(1));
    await eventually(async () => expect((await ask(connections).done).body).toBe('{}'));
    expect((await ask(connections).done).body).toBe('{}');
    expect(sockets.length).toBeLessThanOrEqual(2);
  });
});

describe('a reply', () => {
  const reply = async (text: string): Promise<Result> => {
    const { connections } = await provider((socket) => socket.end(Buffer.from(text, 'latin1')));
    return ask(connections).done;
  };

  test.each([
    ['of a length', `${ok}{}`, '{}'],
    [
      'in chunks',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1;a=b\r\n}\r\n0\r\nx: y\r\n\r\n',
      '{}',
    ],
    [
      'in many chunks with an extension each',
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${`1;a=${'b'.repeat(60)}\r\nc\r\n`.repeat(1000)}0\r\n\r\n`,
      'c'.repeat(1000),
    ],
    ['that ends with its connection', 'HTTP/1.1 200 OK\r\n\r\n{}', '{}'],
    ['after interim ones', `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: a\r\n\r\n${ok}{}`, '{}'],
    ['without a body', 'HTTP/1.1 204 No Content\r\nx: y\r\n\r\n', ''],
    // From here on they are undici's.
    ['of HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n{}', '{}'],
    ['with a header outside of ASCII', 'HTTP/1.1 200 OK\r\nx: caf\xe9\r\ncontent-length: 2\r\n\r\n{}', '{}'],
    [
      'with another connection option',
      'HTTP/1.1 200 OK\r\nconnection: a, close\r\ncontent-length: 2\r\n\r\n{}',
      '{}',
    ],
    ['with 70 headers', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(70)}content-length: 2\r\n\r\n{}`, '{}'],
  ])('%s is read', async (_, text, body) => {
    expect(await reply(text)).toMatchObject({ error: null, body });
  });

  test.each([
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n', 'HTTPParserError'],
    [
      'with two lengths',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}',
      'ResponseContentLengthMismatchError',
    ],
    ['with a head of 20 KB', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 'HeadersOverflowError'],
    ['in broken chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}x', 'MALFORMED_REPLY'],
    [
      'with an endless extension',
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=${'b'.repeat(20_000)}`,
      'MALFORMED_REPLY',
    ],
    ['cut off', `${ok}{`, 'CONNECTION_CLOSED'],
    ['cut off in its head', 'HTTP/1.1 200', 'CONNECTION_CLOSED'],
    ['none', '', 'CONNECTION_CLOSED'],
  ])('that is %s is told as what it is', async (_, text, said) => {
    const { error } = await reply(text);
    expect([error?.name, (error as { code?: string } | null)?.code]).toContain(said);
    expect(isReused(error as Error)).toBe(false);
  });

  test("stops while it isn't read, and goes on", async () => {
    const body = Buffer.alloc(32 * 1024 * 1024, 'a');
    const { connections } = await provider((socket, bytes) => {
      if (!bytes.includes('GET')) return socket.write(`${ok}{}`);
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`);
      return socket.write(body);
    });
    const get: UpstreamSend = { ...post, method: 'GET', body: null };
    let asked: Asked | null = null;
    await new Promise<void>((paused) => {
      asked = ask(connections, get, undefined, (sending) => {
        sending.pause();
        paused();
      });
    });
    // Whole replies on another connection meanwhile.
    for (let i = 0; i < 20; i++) expect((await ask(connections).done).body).toBe('{}');
    const { sending, done, result } = asked as unknown as Asked;
    expect(result.body.length).toBeLessThanOrEqual(64 * 1024);
    sending?.resume();
    expect((await done).body.length).toBe(body.length);
  });

  test('that is given up closes its connection, and no other', async () => {
    const { connections, sockets } = await provider((socket) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'),
    );
    const [first, second] = [ask(connections), ask(connections)];
    await eventually(() => expect([first.result.body, second.result.body]).toEqual(['{', '{']));
    first.sending?.abort(new Error('enough'));
    await eventually(() => expect(sockets.filter(({ closed }) => closed)).toHaveLength(1));
    expect(connections.size).toBe(1);
    sockets.find(({ closed }) => !closed)?.write('12345678');
    expect((await second.done).body).toBe('{12345678');
  });
});

describe('a connection', () => {
  test.each([
    ['is used again', '', 1],
    ['is used again within the time it is kept', 'keep-alive: timeout=60\r\n', 1],
    ['is not used again if that time is too short', 'keep-alive: timeout=2\r\n', 3],
    ['is not used again if it is said to be closed', 'connection: close\r\n', 3],
  ])('%s', async (_, header, count) => {
    const { connections, sockets } = await provider((socket) =>
      socket.write(`${ok.replace('\r\n', `\r\n${header}`)}{}`),
    );
    for (let i = 0; i < 3; i++) expect((await ask(connections).done).body).toBe('{}');
    expect(sockets).toHaveLength(count);
  });

  test('that says more than its reply is not used again', async () => {
    const { connections, sockets } = await provider((socket) => socket.write(`${ok}{}${ok}{}`));
    for (let i = 0; i < 2; i++) expect((await ask(connections).done).body).toBe('{}');
    expect(sockets).toHaveLength(2);
  });

  test('never takes what came with a reply for the next one', async () => {
    const authority = createAuthority();
    const server = createTlsServer({ ...authority.issue('localhost'), maxVersion: 'TLSv1.2' }, (socket) => {
      socket.on('error', () => {});
      socket.on('data', () => {
        socket.write(`${ok}{}`);
        socket.write(`${ok}no`);
      });
    });
    // Each write is a record of TLS, and a client gets two of them at once.
    const relay = createServer((near) => {
      const far = connect((server.address() as AddressInfo).port, '127.0.0.1');
      near.on('error', () => {}).on('close', () => far.destroy());
      far.on('error', () => {});
      near.pipe(far);
      let records: Buffer = Buffer.alloc(0);
      far.on('data', (bytes) => {
        records = Buffer.concat([records, bytes]);
        const whole = (at: number): number =>
          at + 5 > records.length ? at + 5 : at + 5 + records.readUInt16BE(at + 3);
        if (records[0] === 23 && records.length < whole(whole(0))) return;
        near.write(records);
        records = Buffer.alloc(0);
      });
    });
    for (const each of [server, relay]) await once(each.listen(0, '127.0.0.1'), 'listening');
    const origin = `https://localhost:${(relay.address() as AddressInfo).port}`;
    const tls = { ca: authority.cert };
    const connections = openConnections(origin, 5000, () => true, { proxy: null, tls });
    onTestFinished(async () => {
      for (const each of [server, relay]) each.close();
      await connections.close();
    });
    for (let i = 0; i < 3; i++) expect((await ask(connections).done).body).toBe('{}');
    await eventually(() => expect(connections.size).toBe(0));
  });

  test('that says something unasked is closed', async () => {
    const { connections, sockets } = await provider((socket) => socket.write(`${ok}{}`));
    await ask(connections).done;
    sockets[0]?.write(`${ok}no`);
    await eventually(() => expect(connections.size).toBe(0));
    expect((await ask(connections).done).body).toBe('{}');
  });

  test('that died while it was idle says so; a fresh one carries the request', async () => {
    const { connections, sockets } = await provider((socket, _, count) => {
      if (count === 1) socket.write(`${ok}{}`);
      else socket.resetAndDestroy();
    });
    await ask(connections).done;
    const { error } = await ask(connections).done;
    expect(isReused(error as Error)).toBe(true);
    expect((await ask(connections).done).body).toBe('{}');
    expect(sockets).toHaveLength(2);
  });

  test('is not used again if its provider answered before it had read the request', async () => {
    const { connections, sockets } = await provider((socket) => {
      socket.pause();
      socket.write(`${ok}{}`);
    });
    const body = Buffer.alloc(64 * 1024 * 1024);
    expect((await ask(connections, { ...post, body }).done).body).toBe('{}');
    expect((await ask(connections).done).body).toBe('{}');
    expect(sockets).toHaveLength(2);
  });
});
