/** Replies that are not what they say: errors under a 200, bytes that are no JSON or no events, packed bodies. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { labelOf, startChain } from '../support/chain.ts';
import { eventData, lastError, type Wire, wires } from '../support/replies.ts';
import { streamBySdk } from '../support/sdk.ts';
import { answers, type Script } from '../support/upstream.ts';

const json = { 'content-type': 'application/json' };
const respond =
  (body: string | Buffer, headers: Record<string, string> = json): Script =>
  (call) =>
    call.whole(200, headers, body);

/** A stream of these bytes, from its opening on. */
const streamed =
  (...events: (string | Buffer)[]): Script =>
  (call) => {
    call.streamHead();
    for (const event of events) call.write(event);
    call.end();
  };

/** Bodies of a 200 that are no answer. */
const noAnswers = (wire: Wire): readonly (readonly [name: string, body: string | Buffer])[] => [
  ['JSON that is cut off', wire.whole('Hello').slice(0, -20)],
  ['a web page', '<!doctype html><title>Sign in</title>'],
  ['nothing at all', ''],
  ['a list', '[1, 2]'],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
];

/** What may stand in a stream instead of the next event. */
const noEvents: readonly (readonly [name: string, bytes: string | Buffer])[] = [
  ['raw JSON', '{"error":{"message":"upstream connect error","type":"server_error"}}\n\n'],
  ['data that is cut off', 'data: {"id":"x","choices":[{"index":0,"del\n\n'],
  ['a web page', '<html><body>502 Bad Gateway</body></html>\n\n'],
  ['data that is no UTF-8', Buffer.from('data: {"id":"\xff\xfe\xc3("}\n\n', 'latin1')],
];

describe.each(wires)('$name', (wire) => {
  const errorBody =
    wire.name === 'openai' ? wire.error(500, 'Overloaded.').body : wire.error(529, 'Overloaded.').body;

  for (const stream of [true, false]) {
    test(`row 11: a 200 with an error in its body is an error, never cached (${stream ? 'stream' : 'whole'} asked)`, async () => {
      const chain = await startChain(wire, [[respond(errorBody), answers(wire, 'Good')]], {
        cache: { enabled: true },
        attempt: { breaker: { failures: 2 } },
      });
      const bad = await chain.ask({ stream });
      expect(bad.status).toBe(502);
      expect(wire.errorOf(bad.text)).toMatchObject({ code: 'upstream_failed' });
      expect(bad.headers['x-should-retry']).toBe('false');
      const good = await chain.ask({ stream });
      expect(good.status).toBe(200);
      expect(good.headers['cache-status']).toContain('fwd');
      expect(chain.first.calls).toHaveLength(2);
      expect(chain.records().map(({ error }) => error)).toEqual(['upstream_failed', '']);
    });
  }

  test('row 11: such an error falls back, and counts for the breaker', async () => {
    const chain = await startChain(wire, [[respond(errorBody)], [answers(wire, 'Good')]]);
    expect((await chain.ask()).text).toContain('Good');
    expect(await chain.breaker()).toBe('open');
  });

  test('row 11: an error event in place of the first content is retried elsewhere', async () => {
    const bad = streamed(wire.opening, wire.errorEvent('Overloaded'));
    const chain = await startChain(wire, [[bad], [answers(wire, 'Good')]]);
    expect(wire.textOf(await (await chain.stream()).all())).toBe('Good');
  });

  test('row 11: an error event after text ends the answer with an error, never cached', async () => {
    const bad = streamed(
      wire.opening,
      wire.text('Hello'),
      wire.errorEvent('Overloaded'),
      wire.finish(),
      wire.end,
    );
    const chain = await startChain(wire, [[bad, answers(wire, 'Good')]], {
      cache: { enabled: true },
      attempt: { breaker: { failures: 2 } },
    });
    const text = await (await chain.stream()).all();
    expect(text.startsWith(wire.opening + wire.text('Hello'))).toBe(true);
    expect(eventData(text).slice(0, -1)).toEqual(eventData(wire.opening + wire.text('Hello')));
    expect(lastError(wire, text)).toMatchObject({ code: 'stream_cut' });
    expect(wire.textOf(await (await chain.stream()).all())).toBe('Good');
    expect(await chain.breaker()).toBe('closed');
  });

  test('row 12: a whole reply where a stream was asked for is passed on, and paid for once', async () => {
    const chain = await startChain(wire, [[respond(wire.whole('Hello'))], [answers(wire, 'Good')]]);
    const reply = await chain.ask({ stream: true });
    expect([reply.status, reply.headers['content-type'], reply.text]).toEqual([
      200,
      'application/json',
      wire.whole('Hello'),
    ]);
    expect([chain.first.calls.length, await chain.breaker()]).toEqual([1, 'closed']);
    expect(chain.records()).toMatchObject([{ outputTokens: 15, usageKnown: true, error: '' }]);
  });

  test('row 12: a stream where a whole reply was asked for, or less than an answer, is none', async () => {
    const chain = await startChain(
      wire,
      [[streamed(...wire.stream('Hello')), respond('{}')], [answers(wire, 'Good')]],
      { attempt: { breaker: { failures: 9 } } },
    );
    expect((await chain.ask({ stream: false })).text).toBe(wire.whole('Good'));
    expect(wire.textOf((await chain.ask({ stream: true })).text)).toBe('Good');
    expect(chain.first.calls).toHaveLength(2);
    expect(chain.records().every(({ tried }) => tried.startsWith(`${labelOf(0)}: malformed`))).toBe(true);
  });

  for (const [name, body] of noAnswers(wire)) {
    test(`row 12: ${name} for a whole reply gives 502`, async () => {
      const chain = await startChain(wire, [[respond(body)]]);
      const { status, text } = await chain.ask();
      expect(status).toBe(502);
      expect(wire.errorOf(text)).toMatchObject({ code: 'upstream_failed' });
      expect(await chain.breaker()).toBe('open');
    });
  }

  for (const [name, bytes] of noEvents) {
    test(`rows 11, 12: ${name} before the first content gives 502, after it an error event`, async () => {
      const chain = await startChain(
        wire,
        [[streamed(wire.opening, bytes), streamed(wire.opening, wire.text('Hello'), bytes, wire.end)]],
        { attempt: { breaker: { failures: 3 } } },
      );
      const early = await chain.ask({ stream: true });
      expect(early.status).toBe(502);
      expect(wire.errorOf(early.text)).toMatchObject({ code: 'upstream_failed' });
      const late = await (await chain.stream()).all();
      const before = wire.opening + wire.text('Hello');
      expect(late.startsWith(before)).toBe(true);
      expect(lastError(wire, late)).toMatchObject({ code: 'stream_cut' });
      // One event follows what was good, and it is the gateway's own.
      expect(late.slice(before.length).match(/^data: /gm)).toHaveLength(1);
      expect((await streamBySdk(wire, chain.url)).error?.message).toContain('broke off');
    });
  }

  test('row 12: a reply that is no HTTP is an upstream failure', async () => {
    const chain = await startChain(wire, [[(call) => call.raw('SSH-2.0-OpenSSH_9.6\r\n\r\n')]]);
    const { status, text } = await chain.ask();
    expect(status).toBe(502);
    expect(wire.errorOf(text)).toMatchObject({ code: 'upstream_failed' });
  });

  test('row 12: headers of a provider that no client could be sent harm nobody', async () => {
    const script: Script = (call) =>
      call.raw(
        Buffer.from(
          `HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\nopenai-organization: caf\u00e9 \u65e5\u672c\r\n` +
            `request-id: caf\u00e9 \u65e5\u672c\r\ncontent-length: ${Buffer.byteLength(wire.whole('Hi'))}\r\n\r\n${wire.whole('Hi')}`,
        ),
      );
    const chain = await startChain(wire, [[script, answers(wire, 'Lives')]]);
    expect((await chain.ask()).status).toBe(200);
    expect((await chain.ask()).text).toContain('Lives');
  });

  test('row 12: an event over the bound ends the stream, whatever it holds', async () => {
    const big = wire.text('x'.repeat(4000));
    const chain = await startChain(wire, [[streamed(wire.opening, wire.text('Hello'), big, wire.end)]], {
      attempt: { eventMaxBytes: 2048 },
    });
    const text = await (await chain.stream()).all();
    expect(eventData(text).slice(0, -1)).toEqual(eventData(wire.opening + wire.text('Hello')));
    expect(lastError(wire, text)?.message).toContain('too_large');
  });

  test('row 12: every byte a packet of its own gives the same output', async () => {
    const events = wire.stream('Grüße, ', '日本 🎉', ' "quoted" \\ \n', '\u2028 end');
    const whole = Buffer.from(events.join(''));
    const script: Script = async (call) => {
      call.streamHead();
      await call.writeSplit(
        whole,
        Array.from({ length: whole.length - 1 }, (_, i) => i + 1),
      );
      call.end();
    };
    const chain = await startChain(wire, [[script]]);
    const asked = { stream_options: { include_usage: true } };
    // The client asked for usage itself, so that not one byte may differ.
    expect(await (await chain.stream(wire.name === 'openai' ? asked : {})).all()).toBe(whole.toString());
  });

  // What CRLF changes is near the ends of lines; `test/native/native.test.ts` has every cut of it.
  for (const [lineEnd, within] of [
    ['\n', Number.POSITIVE_INFINITY],
    ['\r\n', 2],
  ] as const) {
    test(`row 12: a cut at any byte gives the same output (${JSON.stringify(lineEnd)})`, async () => {
      const events = [wire.opening, wire.text('é日🎉'), wire.finish(), wire.usage, wire.end];
      const whole = Buffer.from(events.join('').replaceAll('\n', lineEnd));
      const expected = events
        .filter((event) => event !== wire.usage)
        .join('')
        .replaceAll('\n', lineEnd);
      let cut = 0;
      const script: Script = async (call) => {
        call.streamHead();
        await call.writeSplit(whole, [cut]);
        call.end();
      };
      const chain = await startChain(wire, [[script]]);
      for (cut = 1; cut < whole.length; cut++) {
        if (!whole.subarray(Math.max(0, cut - within), cut + within).includes('\n')) continue;
        expect(await (await chain.stream()).all(), `cut at byte ${cut}`).toBe(expected);
      }
    });
  }

  test('row 13: a packed reply is unpacked, though nobody asked for it', async () => {
    const packed = gzipSync(wire.whole('Unpacked'));
    // Its name may be written in any case, and has an older one (RFC 9110, sections 8.4.1 and 8.4.1.3).
    for (const encoding of ['gzip', 'GZip', 'x-gzip']) {
      const chain = await startChain(wire, [[respond(packed, { ...json, 'content-encoding': encoding })]]);
      const { headers, text } = await chain.ask();
      expect(text).toBe(wire.whole('Unpacked'));
      expect(headers['content-encoding']).toBeUndefined();
      expect(chain.first.calls[0]?.headers['accept-encoding']).toBe('identity');
    }
  });

  test('row 13: truncated gzip gives 502, or the next target', async () => {
    const packed = gzipSync(wire.whole('Hello, hello, hello'));
    const cut = respond(packed.subarray(0, -12), { ...json, 'content-encoding': 'gzip' });
    const alone = await startChain(wire, [[cut]]);
    const { status, text } = await alone.ask();
    expect(status).toBe(502);
    expect(wire.errorOf(text)).toMatchObject({ code: 'upstream_failed' });
    const chain = await startChain(wire, [[cut], [answers(wire, 'Good')]]);
    expect((await chain.ask()).text).toContain('Good');
  });

  test('row 13: a packed event stream is unpacked as it arrives; by an encoding that nobody knows it gives 502', async () => {
    const script =
      (encoding: string): Script =>
      (call) => {
        call.streamHead({ 'content-encoding': encoding });
        call.end(gzipSync(wire.stream('Hello').join('')));
      };
    const chain = await startChain(wire, [[script('gzip'), script('zstd')]]);
    expect((await chain.ask({ stream: true })).text).toContain('Hello');
    expect((await chain.ask({ stream: true })).status).toBe(502);
  });

  test('row 13: a reply larger than the bound gives 502 and is not read on', async () => {
    const chain = await startChain(wire, [[]], { attempt: { replyMaxBytes: 64 * 1024 } });
    const sent = chain.send();
    const call = await chain.first.call(0);
    call.head(200, json);
    const chunks = await call.flood(Buffer.alloc(64 * 1024, ' '), 4096);
    expect(chunks).toBeLessThan(4096);
    expect((await sent.reply).status).toBe(502);
  });
});
