/** Streams as they are passed on: a defect of ours ends one of them, and nothing else. */
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Gather } from '../../src/base/gather.ts';
import { dialects } from '../../src/dialects/index.ts';
import { following, generated, only } from '../../src/exchange/chunks.ts';
import { chainConfig, startChain } from '../support/chain.ts';
import { allOf } from '../support/chunks.ts';
import { openSocket, readAll } from '../support/client.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, type Call } from '../support/upstream.ts';

afterEach(() => vi.restoreAllMocks());

const breaks = (): never => {
  throw new TypeError('told to nobody');
};

describe('a defect', () => {
  const places: readonly (readonly [where: string, (call: Call) => void])[] = [
    [
      'in the middle of a stream',
      (call) => {
        vi.spyOn(Gather.prototype, 'push').mockImplementationOnce(breaks);
        call.write(wire.text(' there'));
      },
    ],
    [
      'at the end of a stream',
      (call) => {
        vi.spyOn(dialects.openai, 'errorEvent').mockImplementationOnce(breaks);
        call.cut();
      },
    ],
    [
      'once a stream is over',
      (call) => {
        vi.spyOn(Gather.prototype, 'take').mockImplementationOnce(breaks);
        call.end(wire.finish() + wire.end);
      },
    ],
  ];
  test.each(places)('%s resets the connection, and is logged', async (_, provoke) => {
    const cache = { enabled: true };
    const chain = await startChain(wire, [[() => {}, answers(wire, 'Lives')]], {
      cache,
      attempt: { breaker: { failures: 9 } },
    });
    const coming = chain.stream();
    const call = await chain.first.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('Hello'));
    const reply = await coming;
    await reply.sees('Hello');
    provoke(call);
    await expect(reply.all()).rejects.toThrow();
    const record = await chain.recordWhere(({ error }) => error === 'internal');
    expect(record.status).toBe(200);
    expect(chain.logText()).toContain('"stack":"TypeError');
    expect(chain.logText()).not.toContain('told to nobody');
    // Nothing of it was stored.
    expect((await chain.ask({ stream: true })).text).toContain('Lives');
  });
});

test('what one read brought in a thousand chunks goes out in few', async () => {
  const chunked = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  const count = 1000;
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
  const events = chunked(wire.text('x')).repeat(count) + chunked(wire.finish() + wire.end);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.write(`${head}${chunked(wire.opening)}${events}${chunked('')}`));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const config = chainConfig(wire, [`http://127.0.0.1:${port}/v1`], {
    authenticate: { anonymousTenant: 't' },
  });
  const sidecar = await startTestSidecar(config);
  onTestFinished(async () => {
    await sidecar.stop();
    server.close();
  });
  const body = JSON.stringify(wire.request('Hi', { stream: true }));
  const socket = await openSocket(sidecar.url);
  socket.write(
    `POST ${wire.path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  const text = await readAll(socket);
  expect(text.split('"content":"x"')).toHaveLength(count + 1);
  // Each of the provider's reads is 64 KiB at most.
  expect(text.match(/\r\n[0-9a-f]+\r\n/g)?.length).toBeLessThan(40);
});

test('chunks of a generator that throws end as a stream that is cut', async () => {
  async function* twice(): AsyncGenerator<Buffer> {
    yield Buffer.from('one');
    breaks();
  }
  const onDefect = vi.fn();
  const broken = generated(twice(), onDefect);
  expect(String(await allOf(broken))).toBe('one');
  expect([broken.cut, onDefect.mock.calls.length]).toEqual([true, 1]);
  const whole = generated(only(Buffer.from('two')), onDefect);
  expect(String(await allOf(whole))).toBe('two');
  expect([whole.cut, onDefect.mock.calls.length]).toEqual([false, 1]);
});

test('chunks that follow a first one come after it, and say how they end', async () => {
  const begin = vi.fn(async () => generated(only(Buffer.from('two')), breaks, () => true));
  const chunks = following(Buffer.from('one'), begin);
  await new Promise<void>((resolve) => chunks.next(() => resolve()));
  expect(begin).not.toHaveBeenCalled();
  expect(String(await allOf(chunks))).toBe('two');
  expect(chunks.cut).toBe(true);
});
