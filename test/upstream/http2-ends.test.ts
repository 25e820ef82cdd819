/** How replies over HTTP/2 end, from a provider that writes its frames itself: as a whole only if it has ended them. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { type Connections, openConnections } from '../../src/upstream/connect.ts';
import { createAuthority } from '../support/certificates.ts';

/** Types of frames, and flags (RFC 9113, section 6). */
const [data, headers, reset, settings, ping] = [0, 1, 3, 4, 6];
const [endStream, ack, endHeaders] = [1, 1, 4];

function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** `:status: 200`; and a trailer, `a: b`. */
const [ok, trailer] = [Buffer.from([0x88]), Buffer.from([0, 1, 0x61, 1, 0x62])];
const body = Buffer.alloc(9000, 'x');

/** Ways to end a reply, by what follows its body. */
const ends = {
  whole: (id: number) => frame(data, endStream, id),
  // As a provider does that hasn't read all of the request.
  'whole, then reset': (id: number) =>
    Buffer.concat([frame(data, endStream, id), frame(reset, 0, id, Buffer.alloc(4))]),
  trailers: (id: number) => frame(headers, endStream | endHeaders, id, trailer),
  NO_ERROR: (id: number) => frame(reset, 0, id, Buffer.from([0, 0, 0, 0])),
  INTERNAL_ERROR: (id: number) => frame(reset, 0, id, Buffer.from([0, 0, 0, 2])),
  CANCEL: (id: number) => frame(reset, 0, id, Buffer.from([0, 0, 0, 8])),
};

/** A provider whose replies all end in one way. */
async function provider(end: (id: number) => Buffer): Promise<Connections> {
  const authority = createAuthority();
  const server = createServer({ ...authority.issue('localhost'), ALPNProtocols: ['h2'] }, (socket) => {
    let read = Buffer.alloc(0);
    let greeting = 24;
    socket.on('error', () => {});
    socket.write(frame(settings, 0, 0));
    socket.on('data', (chunk) => {
      read = Buffer.concat([read, chunk]);
      if (read.length < greeting) return;
      read = read.subarray(greeting);
      greeting = 0;
      while (read.length >= 9 && read.length >= 9 + read.readUIntBE(0, 3)) {
        const [length, type, flags, id] = [
          read.readUIntBE(0, 3),
          read[3],
          read[4] ?? 0,
          read.readUInt32BE(5),
        ];
        const payload = Buffer.from(read.subarray(9, 9 + length));
        read = read.subarray(9 + length);
        if (type === settings && (flags & ack) === 0) socket.write(frame(settings, ack, 0));
        if (type === ping && (flags & ack) === 0) socket.write(frame(ping, ack, 0, payload));
        if (type !== data || (flags & endStream) === 0) continue;
        socket.write(Buffer.concat([frame(headers, endHeaders, id, ok), frame(data, 0, id, body), end(id)]));
      }
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const reach = { proxy: null, tls: { ca: authority.cert } };
  const connections = openConnections(`https://localhost:${port}`, 5000, () => true, reach);
  onTestFinished(async () => {
    await connections.close();
    server.close();
  });
  return connections;
}

/** Bytes of a reply and how it ended. @param slow it isn't read before all of it has come */
const ask = (connections: Connections, slow: boolean): Promise<string> =>
  new Promise((resolve) => {
    let bytes = 0;
    connections.dispatch(
      { path: '/', method: 'POST', headers: [], body: Buffer.from('{}') },
      {
        onRequestStart() {},
        onResponseStart(sending) {
          if (!slow) return;
          sending.pause();
          setTimeout(() => sending.resume(), 50);
        },
        onResponseData(_, chunk) {
          bytes += chunk.length;
        },
        onResponseEnd: () => resolve(`whole: ${bytes}`),
        onResponseError: () => resolve('failed'),
      },
    );
  });

test.each(['whole', 'whole, then reset', 'trailers'] as const)('%s', async (end) => {
  const connections = await provider(ends[end]);
  for (const slow of [false, true, false]) expect(await ask(connections, slow)).toBe('whole: 9000');
});

test.each(['NO_ERROR', 'INTERNAL_ERROR', 'CANCEL'] as const)('reset with %s', async (end) => {
  const connections = await provider(ends[end]);
  for (const slow of [false, true, false]) expect(await ask(connections, slow)).toBe('failed');
});
