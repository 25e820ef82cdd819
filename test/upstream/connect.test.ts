/** Connections to a provider: how many there are, which are used again, and how they end. */
import { createHook } from 'node:async_hooks';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { constants, createSecureServer } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createSocketServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Connections, openConnections } from '../../src/upstream/connect.ts';
import type { ReplyHandler, Sending } from '../../src/upstream/sending.ts';
import { eventually } from '../support/until.ts';

/** Sends a request; resolves when its reply has ended, with the error it failed with. */
const ask = (connections: Connections): Promise<Error | null> =>
  new Promise((resolve) => {
    connections.dispatch(
      { path: '/', method: 'POST', headers: [], body: Buffer.from('{}') },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd: () => resolve(null),
        onResponseError: (_, error) => resolve(error),
      },
    );
  });

const unheard: ReplyHandler = {
  onRequestStart() {},
  onResponseStart() {},
  onResponseData() {},
  onResponseEnd() {},
  onResponseError() {},
};

const askAtOnce = (connections: Connections, count: number): Promise<(Error | null)[]> =>
  Promise.all(Array.from({ length: count }, () => ask(connections)));

interface Opened {
  readonly connections: Connections;
  /** Connections that were opened so far. */
  count(): number;
}

async function open(server: Server, scheme: 'http' | 'https' = 'http'): Promise<Opened> {
  let count = 0;
  server.on(scheme === 'http' ? 'connection' : 'secureConnection', () => {
    count += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `${scheme}://localhost:${(server.address() as AddressInfo).port}`;
  const connections = openConnections(origin, 5000, () => true);
  onTestFinished(async () => {
    await connections.close().catch(() => {});
    server.close();
  });
  return { connections, count: () => count };
}

/** Answers once `count` requests wait, so that they are under way at once. */
function together(count: number): RequestListener {
  let waiting: ServerResponse[] = [];
  return (request, response) => {
    request.resume();
    waiting.push(response);
    if (waiting.length < count) return;
    for (const each of waiting) each.end('{}');
    waiting = [];
  };
}

test('requests at once have a connection each; later ones use those again, the last used first', async () => {
  const sockets: unknown[] = [];
  const wait = together(3);
  let alone = false;
  const { connections, count } = await open(
    createServer((request, response) => {
      if (!alone) return wait(request, response);
      sockets.push(request.socket);
      response.end('{}');
    }),
  );
  for (let i = 0; i < 4; i++) expect(await askAtOnce(connections, 3)).toEqual([null, null, null]);
  expect(count()).toBe(3);
  alone = true;
  for (let i = 0; i < 5; i++) expect(await ask(connections)).toBeNull();
  expect(count()).toBe(3);
  expect(new Set(sockets).size).toBe(1);
});

/** Counts the lookups of names from now on. */
function countLookups(): () => number {
  let count = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'GETADDRINFOREQWRAP') count += 1;
    },
  }).enable();
  onTestFinished(() => void hook.disable());
  return () => count;
}

test("connections opened at once look the provider's name up once, and later ones do again", async () => {
  const { connections } = await open(createServer(together(200)));
  const lookups = countLookups();
  expect(await askAtOnce(connections, 200)).toEqual(Array(200).fill(null));
  expect(lookups()).toBe(1);
  expect(await askAtOnce(connections, 200)).toEqual(Array(200).fill(null));
  const more = Array.from({ length: 400 }, () => ask(connections));
  expect(await Promise.all(more)).toEqual(Array(400).fill(null));
  expect(lookups()).toBe(2);
});

test('what a busy time needed is let go when it is closed', async () => {
  const server = createServer(together(20));
  const { connections } = await open(server);
  await askAtOnce(connections, 20);
  expect(connections.size).toBe(20);
  server.closeIdleConnections();
  await eventually(() => expect(connections.size).toBe(0));
});

test('a connection that fails is not used again', async () => {
  let broken = true;
  const { connections, count } = await open(
    createServer((request, response) => {
      if (broken) request.socket.destroy();
      else response.end('{}');
    }),
  );
  expect(await ask(connections)).toBeInstanceOf(Error);
  broken = false;
  expect(await ask(connections)).toBeNull();
  expect(await ask(connections)).toBeNull();
  expect(count()).toBe(2);
});

test('closing waits for requests under way, and later ones fail', async () => {
  let answer: ServerResponse | null = null;
  const { connections } = await open(
    createServer((_, response) => {
      answer = response;
    }),
  );
  const asked = ask(connections);
  await eventually(() => expect(answer).not.toBeNull());
  let closed = false;
  const closing = Promise.all([connections.close(), connections.close()]).then(() => {
    closed = true;
  });
  expect(closed).toBe(false);
  (answer as ServerResponse | null)?.end('{}');
  expect(await asked).toBeNull();
  await closing;
  expect(await ask(connections)).toBeInstanceOf(Error);
});

describe('over TLS', () => {
  let pair: { readonly key: Buffer; readonly cert: Buffer };

  beforeAll(() => {
    const folder = mkdtempSync(join(tmpdir(), 'sidegate-connect-'));
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const made = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost'];
    execFileSync('openssl', ['req', ...made, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    pair = { key: readFileSync(key), cert: readFileSync(cert) };
    rmSync(folder, { recursive: true });
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  });
  afterAll(() => void vi.unstubAllEnvs());

  test('HTTP/1.1 is alike from the first connection on', async () => {
    const one = together(1);
    const three = together(3);
    let listener = one;
    const { connections, count } = await open(
      createTlsServer(pair, (q, r) => listener(q, r)),
      'https',
    );
    expect(await ask(connections)).toBeNull();
    listener = three;
    for (let i = 0; i < 3; i++) expect(await askAtOnce(connections, 3)).toEqual([null, null, null]);
    expect(count()).toBe(3);
  });

  test('a provider that has HTTP/2 again is spoken to in HTTP/2', async () => {
    const before = createTlsServer(pair, together(1));
    const { connections } = await open(before, 'https');
    expect(await ask(connections)).toBeNull();
    expect(await ask(connections)).toBeNull();
    const { port } = before.address() as AddressInfo;
    before.closeAllConnections();
    before.close();
    let listener = together(1);
    const server = createSecureServer(pair, (q, r) => listener(q as never, r as never));
    let opened = 0;
    server.on('secureConnection', () => opened++).listen(port, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    await eventually(() => expect(connections.size).toBe(0));
    // The first tells, and later ones share it.
    for (let i = 0; i < 2; i++) expect(await ask(connections)).toBeNull();
    listener = together(3);
    for (let i = 0; i < 3; i++) expect(await askAtOnce(connections, 3)).toEqual([null, null, null]);
    expect(opened).toBe(1);
  });

  test('connections that turn out to be of HTTP/2 and are not needed are closed', async () => {
    const server = createSecureServer(pair, (request, response) => {
      request.resume();
      response.end('{}');
    }) as unknown as Server;
    const sockets: Socket[] = [];
    server.on('secureConnection', (socket) => sockets.push(socket));
    const { connections } = await open(server, 'https');
    // Once undici is loaded, the first of them is ready for the others' requests.
    expect(await ask(connections)).toBeNull();
    const later = openConnections(
      `https://localhost:${(server.address() as AddressInfo).port}`,
      5000,
      () => true,
    );
    onTestFinished(() => later.close());
    expect(await askAtOnce(later, 8)).toEqual(Array(8).fill(null));
    await eventually(() =>
      expect(sockets.filter(({ closed }) => !closed)).toHaveLength(connections.size + later.size),
    );
  });

  test('closing waits for a request that turns out to be for HTTP/2', async () => {
    const server = createSecureServer(pair, together(1) as never) as unknown as Server;
    const sockets: Socket[] = [];
    server.on('secureConnection', (socket) => sockets.push(socket));
    const { connections } = await open(server, 'https');
    let ended = false;
    const asked = ask(connections).finally(() => (ended = true));
    await connections.close();
    expect(ended).toBe(true);
    expect(await asked).toBeNull();
    await eventually(() => expect(sockets.every(({ closed }) => closed)).toBe(true));
    expect(sockets).toHaveLength(1);
  });

  test('requests at once share a connection of HTTP/2', async () => {
    const wait = together(3);
    let first = true;
    const server = createSecureServer(pair, (request, response) => {
      if (first) {
        first = false;
        response.end('{}');
      } else wait(request as never, response as never);
    });
    const { connections, count } = await open(server as unknown as Server, 'https');
    expect(await ask(connections)).toBeNull();
    for (let i = 0; i < 3; i++) expect(await askAtOnce(connections, 3)).toEqual([null, null, null]);
    expect(count()).toBe(1);
  });

  test('a request over HTTP/2 that is given up is cancelled, and others go on, though it was not sent to its end', async () => {
    const codes: unknown[] = [];
    const server = createSecureServer(pair);
    let begun = 0;
    server.on('stream', (stream, { ':path': path }) => {
      if (path === '/') {
        stream.resume().respond({ ':status': 200 });
        return void stream.end('{}');
      }
      begun += 1;
      stream.on('error', () => {}).on('close', () => codes.push(stream.rstCode));
    });
    const { connections } = await open(server as unknown as Server, 'https');
    expect(await ask(connections)).toBeNull();
    // Of the longer one, the provider takes no more than it allows for.
    for (const [at, bytes] of [2, 1_000_000].entries()) {
      let sending: Sending | null = null;
      connections.dispatch(
        { path: '/slow', method: 'POST', headers: [], body: Buffer.alloc(bytes, 'a') },
        {
          ...unheard,
          onRequestStart(sent) {
            sending = sent;
          },
        },
      );
      await eventually(() => expect(begun).toBe(at + 1));
      (sending as Sending | null)?.abort(new Error('given up'));
      await eventually(() => expect(codes.length).toBe(at + 1));
      expect(codes).toEqual(Array(at + 1).fill(constants.NGHTTP2_CANCEL));
      expect(await ask(connections)).toBeNull();
    }
    expect(connections.size).toBe(1);
  });

  test('a connection of HTTP/2 that died without a word is not used again once a request on it was given up', async () => {
    const server = createSecureServer(pair, (request, response) => {
      request.resume();
      response.end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    // What is between them loses what it knew of the first connection, and says nothing.
    const between: Socket[] = [];
    const proxy = createSocketServer((client) => {
      const provider = connect((server.address() as AddressInfo).port, '127.0.0.1');
      for (const socket of [client, provider]) between.push(socket.on('error', () => {}));
      client.pipe(provider).pipe(client);
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const connections = openConnections(`https://localhost:${port}`, 1000, () => true);
    onTestFinished(async () => {
      for (const socket of between) socket.destroy();
      await connections.close().catch(() => {});
      proxy.close();
      server.close();
    });
    expect(await ask(connections)).toBeNull();
    for (const socket of between) socket.unpipe().pause();
    let sending: Sending | null = null;
    connections.dispatch(
      { path: '/', method: 'POST', headers: [], body: Buffer.from('{}') },
      {
        ...unheard,
        onRequestStart(sent) {
          sending = sent;
        },
      },
    );
    await eventually(() => expect(sending).not.toBeNull());
    const beside = ask(connections);
    (sending as Sending | null)?.abort(new Error('late'));
    expect(await beside).toBeInstanceOf(Error);
    expect(await ask(connections)).toBeNull();
    expect(await ask(connections)).toBeNull();
    expect(between).toHaveLength(4);
  });

  test('requests beyond what a connection of HTTP/2 takes get another one at once', async () => {
    const wait = together(300);
    let first = true;
    const settings = { maxConcurrentStreams: 10 };
    const server = createSecureServer({ ...pair, settings }, (request, response) => {
      if (first) {
        first = false;
        response.end('{}');
      } else wait(request as never, response as never);
    });
    const { connections } = await open(server as unknown as Server, 'https');
    expect(await ask(connections)).toBeNull();
    // Answered when all of them have arrived.
    expect(await askAtOnce(connections, 300)).toEqual(Array(300).fill(null));
  });
});
