/** Streams as relays really send them: packed, oddly typed, with whole images in one event. FIELD rows B5 and B25. */
import { randomBytes } from 'node:crypto';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask, send } from '../support/client.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { anthropicWire, openaiWire, type Wire, wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { type Script, startUpstream } from '../support/upstream.ts';

async function start(wire: Wire, script: Script, more: ConfigInput = {}) {
  const upstream = await startUpstream(script);
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: { p: { dialect: wire.name, baseUrl: upstream.baseUrl } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
    catalog: { models: [{ model: '*', inputUsdPerMTok: 1, outputUsdPerMTok: 1 }] },
    ...more,
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const post = (client: Wire = wire) =>
    ask(sidecar.url, client.streamPath ?? client.path, { body: client.request('hi', { stream: true }) });
  return { upstream, sidecar, post };
}

const packers = {
  gzip: gzipSync,
  'x-gzip': gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
} as const;

describe.each(wires)('B25: $name', (wire) => {
  const events = wire.stream('Hello there').join('');

  test.each(Object.entries(packers))(
    'a stream packed by %s is unpacked as it arrives',
    async (encoding, pack) => {
      const packed = pack(events);
      const { post, sidecar } = await start(wire, async (call) => {
        call.streamHead({ 'content-encoding': encoding });
        await call.writeSplit(
          packed,
          Array.from({ length: packed.length - 1 }, (_, i) => i + 1),
        );
        call.end();
      });
      const { status, headers, text } = await post();
      expect([status, headers['content-encoding']]).toEqual([200, undefined]);
      expect(text).toContain('there');
      const { usageKnown, outputTokens, attempts } = await sidecar.recordWhere(() => true);
      expect([usageKnown, outputTokens, attempts]).toEqual([true, 15, 1]);
    },
  );

  test('a packed stream that is cut, or no such thing, ends as one that is not packed', async () => {
    const packed = gzipSync(events);
    const broken = await start(wire, (call) => {
      call.streamHead({ 'content-encoding': 'gzip' });
      call.end(Buffer.from(events));
    });
    expect((await broken.post()).status).toBe(502);
    const unknown = await start(wire, (call) => {
      call.streamHead({ 'content-encoding': 'zstd' });
      call.end(packed);
    });
    expect((await unknown.post()).status).toBe(502);
    const cut = await start(wire, (call) => {
      call.streamHead({ 'content-encoding': 'gzip' });
      call.write(packed.subarray(0, -40));
      call.cut();
    });
    expect((await cut.post()).status).toBeGreaterThanOrEqual(200);
  });

  test.each([
    'Text/Event-Stream',
    'TEXT/EVENT-STREAM; charset=UTF-8',
    'application/octet-stream',
    'text/plain; charset=utf-8',
    '',
  ])('a stream of type "%s" is one', async (type) => {
    const head = type === '' ? {} : { 'content-type': type };
    const { post } = await start(wire, async (call) => {
      call.head(200, head);
      call.write(`\n${events.slice(0, 3)}`);
      call.end(events.slice(3));
    });
    const { status, text } = await post();
    expect(status).toBe(200);
    expect(text).toContain('there');
  });

  test.each(['application/octet-stream', ''])(
    'an error of type "%s" in place of a stream is one',
    async (type) => {
      const head: Record<string, string> = type === '' ? {} : { 'content-type': type };
      const body = JSON.stringify({ error: { type: 'invalid_request_error', message: 'no', code: 'bad' } });
      const { post, upstream } = await start(wire, (call) => {
        const packed = gzipSync(body);
        call.head(200, { ...head, 'content-encoding': 'gzip' });
        return call.writeSplit(packed, [packed.length - 12]).then(() => call.end());
      });
      expect((await post()).status).toBe(400);
      expect(upstream.calls).toHaveLength(1);
    },
  );
});

test('B25: a client that reads nothing of a packed stream holds up its provider, and is given up', async () => {
  const events = openaiWire.stream('Hello there').join('');
  const { upstream, sidecar } = await start(openaiWire, () => {}, { listen: { clientTimeoutMs: 50 } });
  const sent = send(sidecar.url, openaiWire.path, { body: openaiWire.request('hi', { stream: true }) });
  const call = await upstream.call(0);
  call.streamHead({ 'content-encoding': 'gzip' });
  call.write(gzipSync(events.slice(0, events.indexOf('\n\n', events.indexOf('there')) + 2)));
  (await sent.reply).pause();
  const text = randomBytes(24 * 1024).toString('base64');
  const delta = openaiWire.stream(text).find((event) => event.length > 10_000) ?? '';
  expect(await call.flood(gzipSync(delta), 4096)).toBeLessThan(4096);
  await call.aborted;
  expect((await sidecar.recordWhere(() => true)).abandoned).toBe(true);
});

/** An image of this many MB as one event of Gemini. */
const image = (mb: number): string => {
  const data = Buffer.alloc(mb * 1024 * 1024, 7).toString('base64');
  const candidate = {
    content: { role: 'model', parts: [{ inlineData: { mimeType: 'image/png', data } }] },
    finishReason: 'STOP',
  };
  const usageMetadata = { promptTokenCount: 100, candidatesTokenCount: 1290, totalTokenCount: 1390 };
  return `data: ${JSON.stringify({ candidates: [candidate], usageMetadata })}\r\n\r\n`;
};

describe('B5: an image in one event', () => {
  test.each([6, 40])('of %s MB passes, and is billed once', async (mb) => {
    const event = image(mb);
    const { post, upstream, sidecar } = await start(geminiWire, (call) => {
      call.streamHead();
      call.end(event);
    });
    const { status, text } = await post();
    expect([status, text.length]).toEqual([200, event.length]);
    expect(upstream.calls).toHaveLength(1);
    expect((await sidecar.recordWhere(() => true)).costNanoUsd).toBe(1390 * 1000);
  });

  test('beyond the bound it is not asked for again, and the prompt is billed', async () => {
    const { post, upstream, sidecar } = await start(
      geminiWire,
      (call) => {
        call.streamHead();
        call.end(image(2));
      },
      { attempt: { eventMaxBytes: 1024 * 1024 } },
    );
    const { status, text } = await post();
    expect([status, text.includes('too_large')]).toEqual([502, true]);
    expect(upstream.calls).toHaveLength(1);
    const { costNanoUsd, attempts } = await sidecar.recordWhere(() => true);
    expect(attempts).toBe(1);
    expect(costNanoUsd).toBeGreaterThan(0);
  });

  test('row 38: a whole reply beyond the bound is billed its prompt as well', async () => {
    const { upstream, sidecar } = await start(
      openaiWire,
      (call) => call.whole(200, { 'content-type': 'application/json' }, `{"a":"${'x'.repeat(200_000)}"}`),
      { attempt: { replyMaxBytes: 100_000 } },
    );
    const reply = await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('hi') });
    expect([reply.status, upstream.calls.length]).toEqual([502, 1]);
    expect((await sidecar.recordWhere(() => true)).costNanoUsd).toBeGreaterThan(0);
  });

  test('of 6 MB is told to a client of another dialect', async () => {
    const { post } = await start(geminiWire, (call) => {
      call.streamHead();
      call.end(image(6));
    });
    for (const client of [openaiWire, anthropicWire]) expect((await post(client)).status).toBe(200);
  });
});
