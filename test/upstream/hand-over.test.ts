/** Connections that are handed on to undici: nothing is lost on the way, and one that breaks on it harms nobody. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { openUndici } from '../../src/upstream/by-undici.ts';
import { Connection, readShared, Sent } from '../../src/upstream/connection.ts';
import { createReach } from '../../src/upstream/reach.ts';
import type { UpstreamSend } from '../../src/upstream/request-head.ts';
import type { ReplyHandler } from '../../src/upstream/sending.ts';
import { createAuthority } from '../support/certificates.ts';
import { eventually } from '../support/until.ts';

const post: UpstreamSend = { path: '/', method: 'POST', headers: [], body: Buffer.from('{}') };

/** Sends a request to this server; resolves with what is handed on. @param ca of the server's certificate */
async function handedOn(server: Server, ca?: string): Promise<{ origin: string; connection: Duplex }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const origin = ca === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  const tls = ca === undefined ? undefined : { ca };
  const open = createReach(origin, 5000, () => true, { proxy: null, tls }, readShared);
  const connection = await new Promise<Duplex>((resolve, reject) => {
    const handler: ReplyHandler = {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData() {},
      onResponseEnd() {},
      onResponseError: (_, error) => reject(error),
    };
    const head = 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n';
    new Connection(open, {
      onFree() {},
      onGone() {},
      onUnsent() {},
      onHttp2: resolve,
      onUnusual: resolve,
    }).send(new Sent(post, head, handler));
  });
  onTestFinished(() => {
    connection.destroy();
    server.close();
  });
  return { origin, connection };
}

test('what a provider of HTTP/2 says before somebody reads it is kept', async () => {
  const authority = createAuthority();
  const pair = authority.issue('localhost');
  // Up to TLS 1.2 the server ends the handshake: what it says then comes in the same read.
  const server = createTlsServer({ ...pair, maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] }, (socket) => {
    socket.on('error', () => {}).write('its settings');
  });
  const { connection } = await handedOn(server, authority.cert);
  await eventually(() => expect(connection.readableLength).toBe(12));
  expect(String(connection.read())).toBe('its settings');
});

test('an unusual reply whose connection breaks before it is read fails its request', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.once('data', () => socket.write('HTTP/1.0 200 OK\r\n\r\n'));
  });
  const { origin, connection } = await handedOn(server);
  sockets[0]?.resetAndDestroy();
  await eventually(() => expect(connection.destroyed).toBe(true));
  const undici = openUndici(
    origin,
    5000,
    () => {},
    () => {},
  );
  const error = await new Promise<Error>((resolve, reject) =>
    undici.sendAlone(connection, post, {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData() {},
      onResponseEnd: () => reject(new Error('no reply is whole')),
      onResponseError: (_, failure) => resolve(failure),
    }),
  );
  expect(error).toMatchObject({ code: 'ECONNRESET' });
});
