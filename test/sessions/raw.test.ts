/** Handshakes and frames that no library would send, over a bare socket. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { startSessions, startSessionUpstream } from '../support/session-upstream.ts';

const head = (lines: readonly string[] = [], start = 'GET /v1/realtime?model=m HTTP/1.1'): string =>
  [
    start,
    'host: localhost',
    'connection: keep-alive, Upgrade',
    'upgrade: WebSocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
    ...lines,
    '',
    '',
  ].join('\r\n');

/** A frame; masked with zeros unless told otherwise. */
function frame(first: number, data: Buffer | string, masked = true): Buffer {
  const bytes = Buffer.from(data);
  const length =
    bytes.length < 126
      ? Buffer.from([bytes.length | (masked ? 128 : 0)])
      : Buffer.from([126 | (masked ? 128 : 0), bytes.length >> 8, bytes.length & 255]);
  return Buffer.concat([Buffer.from([first]), length, Buffer.alloc(masked ? 4 : 0), bytes]);
}

async function raw(url: string, ...sent: (string | Buffer)[]) {
  const { hostname, port } = new URL(url);
  const socket: Socket = connectTcp(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  let seen = Buffer.alloc(0);
  let look = (): void => {};
  let closed = false;
  socket.on('data', (chunk) => {
    seen = Buffer.concat([seen, chunk]);
    look();
  });
  socket.on('close', () => {
    closed = true;
    look();
  });
  await new Promise<void>((resolve) => socket.on('connect', () => resolve()));
  for (const each of sent) socket.write(each);
  const until = (fits: (bytes: Buffer, closed: boolean) => boolean) =>
    new Promise<Buffer>((resolve) => {
      look = () => {
        if (fits(seen, closed)) resolve(seen);
      };
      look();
    });
  return { socket, until };
}

const isOpen = (bytes: Buffer): boolean => bytes.includes('\r\n\r\n');
/** The code of a close frame at the end. */
const closeCode = (bytes: Buffer): number => {
  const at = bytes.lastIndexOf(0x88);
  return at < 0 ? 0 : bytes.readUInt16BE(at + 2);
};

describe('frames', () => {
  test.each([
    ['unmasked', frame(0x81, 'hi', false), 1002],
    ['of a reserved kind', frame(0x83, 'hi'), 1002],
    ['with a reserved bit', frame(0xc1, 'hi'), 1002],
    ['of text that is no UTF-8', frame(0x81, Buffer.from([0xc3, 0x28])), 1007],
    ['of a continuation without a start', frame(0x80, 'hi'), 1002],
    ['of a ping in pieces', frame(0x09, 'hi'), 1002],
    ['of a closing with a code that must not be sent', frame(0x88, Buffer.from([0x03, 0xed])), 1002],
    [
      'of a length that is far too large',
      Buffer.from([0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
      1009,
    ],
  ])(
    '%s end the session with the code for it, and the provider learns nothing of them',
    async (_, bytes, code) => {
      const upstream = await startSessionUpstream();
      const sidecar = await startSessions(upstream);
      const client = await raw(sidecar.url, head());
      const [side] = await Promise.all([upstream.opened(), client.until(isOpen)]);
      client.socket.write(bytes);
      expect(closeCode(await client.until((seen) => closeCode(seen) > 0))).toBe(code);
      expect(await side.closed).toEqual([1001, '']);
      expect(side.messages).toEqual([]);
      expect(await sidecar.recordWhere(({ status }) => status === 101)).toMatchObject({ abandoned: true });
      // It closes even if this side never does.
      await client.until((_seen, closed) => closed);
    },
  );

  test('that come with the handshake wait for the provider', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const client = await raw(sidecar.url, Buffer.concat([Buffer.from(head()), frame(0x81, 'early')]));
    const side = await upstream.opened();
    expect(await side.next()).toBe('early');
    client.socket.write(frame(0x81, 'later'));
    expect(await side.next()).toBe('later');
  });

  test('H12: of which thousands come in one packet, few are passed on in one turn of the event loop', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const client = await raw(sidecar.url, head());
    const [side] = await Promise.all([upstream.opened(), client.until(isOpen)]);
    let [inTurn, most, over] = [0, 0, false];
    const turn = (): void => {
      inTurn = 0;
      if (!over) setImmediate(turn);
    };
    turn();
    const { send } = WebSocket.prototype;
    const sent = vi.spyOn(WebSocket.prototype, 'send').mockImplementation(function (this: WebSocket, ...all) {
      inTurn += 1;
      most = Math.max(most, inTurn);
      return send.apply(this, all as Parameters<typeof send>);
    });
    onTestFinished(() => sent.mockRestore());
    const count = 5000;
    client.socket.write(Buffer.concat(Array(count).fill(frame(0x81, 'x'))));
    await expect.poll(() => side.messages.length, { timeout: 20_000 }).toBe(count);
    over = true;
    expect(most).toBeLessThan(20);
  });

  test('that come byte by byte are read', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const client = await raw(sidecar.url);
    client.socket.setNoDelay(true);
    for (const byte of Buffer.concat([Buffer.from(head()), frame(0x81, 'slow')])) {
      client.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await (await upstream.opened()).next()).toBe('slow');
  });
});

test('whatever bytes come, each session ends by itself and the next one is served', async () => {
  const upstream = await startSessionUpstream(({ socket }) =>
    socket.on('message', (data, binary) => socket.send(data, { binary })),
  );
  const sidecar = await startSessions(upstream, { listen: { sessions: { max: 4 } } });
  const good = fc.uint8Array({ maxLength: 200 }).map((bytes) => frame(0x82, Buffer.from(bytes)));
  const bad = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(good, bad), { maxLength: 6 }), fc.boolean(), async (sent, early) => {
      const client = await raw(sidecar.url);
      client.socket.write(early ? Buffer.concat([Buffer.from(head()), ...sent]) : head());
      await client.until(isOpen);
      if (!early) for (const each of sent) client.socket.write(each);
      client.socket.end();
      await client.until((_, closed) => closed);
    }),
    { numRuns: 60 },
  );
  const last = await raw(sidecar.url, head(), frame(0x81, 'still here'));
  await last.until((seen) => seen.includes('still here'));
  await expect.poll(() => sidecar.records().length).toBeGreaterThanOrEqual(60);
  expect(sidecar.logText()).not.toContain('"defect"');
  for (const { status, error } of sidecar.records()) expect([status, error]).toEqual([101, '']);
});

describe('handshakes', () => {
  const status = async (url: string, ...sent: (string | Buffer)[]): Promise<string> => {
    const client = await raw(url, ...sent);
    const bytes = await client.until((_, closed) => closed);
    return bytes.toString('latin1');
  };

  test.each([
    ['another version', head().replace('13', '8'), 'sec-websocket-version: 13'],
    ['no key', head().replace(/sec-websocket-key.*\r\n/, ''), 'sec-websocket-key'],
    ['a short key', head().replace('dGhlIHNhbXBsZSBub25jZQ==', 'abc'), 'sec-websocket-key'],
    ['two keys', head(['sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==']), 'sec-websocket-key'],
    ['a protocol twice', head(['sec-websocket-protocol: a, b, a']), 'each once'],
    ['protocols that are none', head(['sec-websocket-protocol: a, ,b c']), 'sec-websocket-protocol'],
    ['a body', `${head(['content-length: 2'])}{}`, 'without a body'],
    ['a chunked body', `${head(['transfer-encoding: chunked'])}0\r\n\r\n`, 'without a body'],
    ['HTTP/1.0', head([], 'GET /v1/realtime?model=m HTTP/1.0'), 'HTTP/1.1'],
    [
      'no upgrade',
      head()
        .replace(/upgrade: WebSocket\r\n/, '')
        .replace('keep-alive, Upgrade', 'close'),
      'Upgrade',
    ],
  ])('with %s are refused', async (_, sent, told) => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const seen = await status(sidecar.url, sent);
    expect(seen).toMatch(/^HTTP\/1\.1 400 /);
    expect(seen).toContain(told);
    expect(upstream.handshakes).toEqual([]);
  });

  test.each(['/v1/chat/completions', '/v1/batches', '/v1/realtime/x', '/ws/other'])(
    'at %s, where there is no WebSocket, are refused',
    async (path) => {
      const upstream = await startSessionUpstream();
      const sidecar = await startSessions(upstream);
      expect(await status(sidecar.url, head([], `GET ${path} HTTP/1.1`))).toMatch(/^HTTP\/1\.1 404 /);
    },
  );

  test('behind another request on the connection are refused if that is not answered yet', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const get = 'GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n';
    const seen = await status(sidecar.url, get + head());
    expect(seen.match(/HTTP\/1\.1 \d+/g)?.[0]).toBe('HTTP/1.1 200');
    expect(upstream.handshakes.length).toBeLessThanOrEqual(1);
  });

  test('behind an answered request on the connection are taken', async () => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const client = await raw(sidecar.url, 'GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await client.until((seen) => seen.includes('"list"'));
    client.socket.write(head());
    await client.until((seen) => seen.includes('HTTP/1.1 101'));
  });

  test.each(['h2c', 'h2c, websocket2'])('for %s are served without', async (protocol) => {
    const upstream = await startSessionUpstream();
    const sidecar = await startSessions(upstream);
    const sent = `GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`;
    expect(await status(sidecar.url, sent)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('of a client that is gone before the provider answers cost nothing', async () => {
    let refuse = (): void => {};
    const asked = new Promise<void>((resolve) => {
      refuse = resolve;
    });
    const upstream = await startSessionUpstream(undefined, () => {
      refuse();
      return null;
    });
    const sidecar = await startSessions(upstream);
    const client = await raw(sidecar.url, head());
    await asked;
    client.socket.resetAndDestroy();
    const record = await sidecar.recordWhere(({ endpoint }) => endpoint === 'realtime');
    expect(record).toMatchObject({ abandoned: true, outputTokens: 0 });
  });

  test('of a client that hangs up while its provider is silent are given up there, too', async () => {
    const asked = Promise.withResolvers<Socket>();
    const silent = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => asked.resolve(socket));
    });
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as AddressInfo;
    const sidecar = await startSessions({ url: `http://127.0.0.1:${port}/v1` });
    const client = await raw(sidecar.url, head());
    const provider = await asked.promise;
    // No reset, as nothing that it was sent is unread.
    client.socket.destroy();
    await once(provider, 'close');
    expect(await sidecar.recordWhere(({ endpoint }) => endpoint === 'realtime')).toMatchObject({
      abandoned: true,
    });
  });
});
