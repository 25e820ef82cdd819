/** The faults of a provider of each dialect, behind clients of each: a table of client, provider and row. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { World } from '../../src/base/world.ts';
import { type Chain, labelOf, startChain } from '../support/chain.ts';
import type { Incoming } from '../support/client.ts';
import { eventData, lastError, streamHeaders } from '../support/replies.ts';
import { streamBySdk } from '../support/sdk.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { silenceMs, standingTime } from '../support/time.ts';
import { answers, type Call, refuses, resets, type Script } from '../support/upstream.ts';
import { clients, providers, rowsNamed, rowsOfPair } from './dialect-rows.ts';

const pairs = clients.flatMap((client) =>
  providers.map((provider) => ({ client, provider, name: `${client.name} to ${provider.name}` })),
);

/** Nothing of this may stand in a stream that broke off. */
const forged = [
  '[DONE]',
  'message_stop',
  '"end_turn"',
  '"finish_reason":"stop"',
  'response.completed',
  '"STOP"',
];

/** What the last event of a complete stream says. */
const endings: Readonly<Record<string, string>> = {
  openai: '[DONE]',
  anthropic: 'message_stop',
  responses: 'response.completed',
  gemini: '"finishReason":"STOP"',
};

const json = { 'content-type': 'application/json' };
/** 4 MB of spaces. */
const bombBytes = gzipSync(Buffer.alloc(4 * 1024 * 1024, 32));
const whole =
  (body: string | Buffer, headers: Record<string, string> = json): Script =>
  (call) =>
    call.whole(200, headers, body);

describe.each(pairs)('$name', ({ client, provider }) => {
  const same = client.name === provider.name;

  test('the tests are those of the list', ({ task }) => {
    const names = (task.suite?.tasks ?? []).map(({ name }) => name);
    expect(rowsNamed(names)).toEqual(rowsOfPair(client.name, provider.name));
  });

  const streamHead = (call: Call): void => call.streamHead(streamHeaders(provider));
  const streamed =
    (...events: (string | Buffer)[]): Script =>
    (call) => {
      streamHead(call);
      for (const event of events) call.write(event);
      call.end();
    };
  const start = (
    scripts: readonly (readonly Script[])[],
    more: ConfigInput = {},
    world: Partial<World> = {},
  ): Promise<Chain> => startChain(client, scripts, more, world, provider);
  const good = answers(provider, 'Good');

  /** A stream of which the client has seen `Hello`. */
  const begun = async (chain: Chain, headers = {}, index = 0): Promise<{ call: Call; reply: Incoming }> => {
    const coming = chain.stream({}, headers);
    const call = await chain.first.call(index);
    streamHead(call);
    call.write(provider.opening);
    call.write(provider.text('Hello'));
    const reply = await coming;
    await reply.sees('Hello');
    return { call, reply };
  };

  const expectCut = (text: string, reason: string): void => {
    expect(client.textOf(eventsBefore(text))).toBe('Hello');
    const error = lastError(client, text);
    expect(error).toMatchObject({ code: 'stream_cut', type: 'api_error' });
    expect(error?.message).toContain(reason);
    for (const end of forged) expect(text).not.toContain(end);
  };
  /** All but the last event, which is the gateway's own error. */
  const eventsBefore = (text: string): string => {
    const plain = text.replaceAll('\r\n', '\n');
    return plain.slice(0, plain.lastIndexOf('\n\n', plain.length - 3) + 2);
  };

  test('no fault: text, whole and streamed, with its usage', async () => {
    const chain = await start([[answers(provider, 'Grüße, ', '日本 🎉')]]);
    const reply = await chain.ask();
    expect(reply.status).toBe(200);
    expect(JSON.stringify(JSON.parse(reply.text))).toContain('Grüße, 日本 🎉');
    const stream = await (await chain.stream()).all();
    expect(client.textOf(stream)).toBe('Grüße, 日本 🎉');
    for (const record of chain.records())
      expect(record).toMatchObject({ inputTokens: 25, outputTokens: 15, usageKnown: true, error: '' });
    expect((await streamBySdk(client, chain.url)).error).toBeNull();
  });

  for (const stream of [false, true]) {
    const kind = stream ? 'stream' : 'whole';

    test(`row 1: a reset before the headers falls back (${kind})`, async () => {
      const chain = await start([[resets], [good]]);
      expect((await chain.ask({ stream })).text).toContain('Good');
    });

    test(`row 11: a 200 with an error in its body is no answer (${kind})`, async () => {
      const { body } = provider.error(500, 'Overloaded.');
      const chain = await start([[whole(body)], [good]]);
      expect((await chain.ask({ stream })).text).toContain('Good');
      expect(await chain.breaker()).toBe('open');
    });

    if (same) continue;
    test(`row 12: a reply in the client's own dialect instead of the provider's gives 502 (${kind})`, async () => {
      const chain = await start([[answers(client, 'Wrong')]]);
      const { status, text } = await chain.ask({ stream });
      expect(status).toBe(502);
      expect(client.errorOf(text)).toMatchObject({ code: 'upstream_failed' });
    });
  }

  test('row 2: a reset before the first content is invisible', async () => {
    const script: Script = (call) => {
      streamHead(call);
      call.write(provider.opening);
      call.reset();
    };
    const chain = await start([[script], [good]]);
    const text = await (await chain.stream()).all();
    expect(client.textOf(text)).toBe('Good');
    expect(lastError(client, text)).toBeNull();
  });

  test('row 3: a cut after text ends in an error event of the client, and is billed', async () => {
    const chain = await start([[], [good]]);
    const { call, reply } = await begun(chain);
    call.reset();
    expectCut(await reply.all(), 'reset');
    const record = await chain.recordWhere(({ stream }) => stream);
    expect(record).toMatchObject({ error: 'stream_cut', target: labelOf(0), attempts: 1 });
    expect(record.outputTokens).toBeGreaterThan(0);
    expect(await chain.breaker()).toBe('open');
  });

  test('row 3: restart on-cut begins again, in the client’s dialect', async () => {
    const chain = await start([[], [answers(provider, 'Anew')]]);
    const { call, reply } = await begun(chain, { 'x-sidegate-restart': 'on-cut' });
    call.reset();
    const text = await reply.all();
    expect(text).toContain('sidegate');
    expect(client.textOf(text)).toBe('HelloAnew');
    expect(lastError(client, text)).toBeNull();
  });

  test('row 4: a clean end without finish reason is an error, and the SDK throws', async () => {
    const chain = await start([[]]);
    const { call, reply } = await begun(chain);
    call.end();
    expectCut(await reply.all(), 'ended_early');
    chain.first.answer(streamed(provider.opening, provider.text('Hello')));
    expect(await chain.breaker()).toBe('open');
  });

  test('row 4: a finish reason without the last event is complete, and gets its end', async () => {
    const chain = await start([[streamed(provider.opening, provider.text('Hello'), provider.finish())]]);
    const text = await (await chain.stream()).all();
    expect(client.textOf(text)).toBe('Hello');
    expect(lastError(client, text)).toBeNull();
    const [last = ''] = eventData(text).slice(-1);
    expect(last).toContain(endings[client.name]);
    expect(await chain.breaker()).toBe('closed');
  });

  test('row 5: no first token in time: the next target', async () => {
    const opens: Script = (call) => {
      streamHead(call);
      call.write(provider.opening);
    };
    for (const begins of [() => {}, opens]) {
      const time = standingTime();
      const silent: Script = (call) => {
        begins(call);
        time.pass(silenceMs);
      };
      const attempt = { firstTokenTimeoutMs: silenceMs };
      const chain = await start([[silent], [good]], { attempt }, time.world);
      expect(client.textOf(await (await chain.stream()).all())).toBe('Good');
      const { tried } = await chain.recordWhere(() => true);
      expect(tried).toContain('first_token_timeout');
    }
  });

  test('row 6: a stall ends by the idle timeout, with comments meanwhile', async () => {
    const time = standingTime();
    const settings = { attempt: { idleTimeoutMs: silenceMs }, listen: { keepAliveMs: 10 } };
    const chain = await start([[]], settings, time.world);
    const { reply } = await begun(chain);
    await reply.sees(': keep-alive\n\n: keep-alive\n\n');
    time.pass(silenceMs);
    const text = await reply.all();
    expectCut(text.replaceAll(': keep-alive\n\n', ''), 'idle_timeout');
  });

  test('row 11: an error event before content falls back, after it ends the stream', async () => {
    const early = streamed(provider.opening, provider.errorEvent('Overloaded'));
    const chain = await start([[early], [good]]);
    expect(client.textOf(await (await chain.stream()).all())).toBe('Good');
    const late = await start([[]]);
    const { call, reply } = await begun(late);
    call.write(provider.errorEvent('Overloaded'));
    expectCut(await reply.all(), 'error_in_body');
  });

  const bad: readonly (readonly [name: string, body: string | Buffer])[] = [
    ['JSON that is cut off', provider.whole('Hello').slice(0, -20)],
    ['a web page', '<!doctype html><title>Sign in</title>'],
    ['nothing', ''],
    ['a list', '[1, 2]'],
    // Where both speak the same it is passed on as it is.
    ...(same ? [] : [['an object without its fields', '{}'] as const]),
    ['no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
  ];
  test.each(bad)('row 12: %s gives 502', async (_, body) => {
    const chain = await start([[whole(body)]]);
    const { status, text } = await chain.ask();
    expect(status).toBe(502);
    expect(client.errorOf(text)).toMatchObject({ code: 'upstream_failed' });
  });

  test('row 12: what is no event ends the stream, before content and after', async () => {
    const wrong = [
      '{"error":{"message":"upstream connect error"}}\n\n',
      'data: {"id":"x","choices":[{"index":0,"del\n\n',
      'data: [1]\n\n',
      '<html><body>502 Bad Gateway</body></html>\n\n',
    ];
    const patient = { attempt: { breaker: { failures: 99 } } };
    const early = wrong.map((bytes) => streamed(provider.opening, bytes));
    const chain = await start([early, [good]], patient);
    const late = await start([[]], patient);
    for (const [index, bytes] of wrong.entries()) {
      expect(client.textOf(await (await chain.stream()).all()), bytes).toBe('Good');
      const { call, reply } = await begun(late, {}, index);
      call.end(bytes);
      expectCut(await reply.all(), '');
    }
  });

  test('row 12: every byte a packet of its own gives the same output', async () => {
    const events = provider.stream('Grüße, ', '日本 🎉', ' "quoted" \\ \n');
    const bytes = Buffer.concat(events.map((event) => Buffer.from(event)));
    const split: Script = async (call) => {
      streamHead(call);
      await call.writeSplit(bytes, [...bytes.keys()]);
      call.end();
    };
    const chain = await start([[streamed(bytes), split]]);
    const strip = (text: string): string =>
      text.replaceAll(/"created":\d+/g, '"created":0').replaceAll(/req_\w+/g, '');
    const atOnce = await (await chain.stream()).all();
    expect(strip(await (await chain.stream()).all())).toBe(strip(atOnce));
    expect(client.textOf(atOnce)).toBe('Grüße, 日本 🎉 "quoted" \\ \n');
  });

  test('row 13: packed replies are unpacked, broken ones give 502', async () => {
    const packed = gzipSync(provider.whole('Packed'));
    const gzip = { ...json, 'content-encoding': 'gzip' };
    const chain = await start([[whole(packed, gzip), whole(packed.subarray(0, -12), gzip)]], {
      attempt: { breaker: { failures: 9 } },
    });
    expect((await chain.ask()).text).toContain('Packed');
    expect((await chain.ask()).status).toBe(502);
    const bomb = await start([[whole(bombBytes, gzip)]], {
      attempt: { replyMaxBytes: 1024 * 1024 },
    });
    expect((await bomb.ask()).status).toBe(502);
  });

  for (const status of [400, 404, 413, 422]) {
    test(`row 26: a ${status} is passed on in the client's words`, async () => {
      const chain = await start([
        [refuses(provider.error(status, 'This is your own doing: “quoted” é'))],
        [good],
      ]);
      for (const stream of [false, true]) {
        const reply = await chain.ask({ stream });
        expect(reply.status).toBe(status);
        expect(client.errorOf(reply.text)?.message).toBe('This is your own doing: “quoted” é');
      }
      expect(chain.second.calls).toHaveLength(0);
      expect(await chain.breaker()).toBe('closed');
    });
  }

  for (const status of [401, 403]) {
    test(`row 26: a ${status} on the gateway's credential: the next target, else 502 without the key`, async () => {
      const refusal = refuses(provider.error(status, 'Incorrect API key provided: provider-key.'));
      const chain = await start([[refusal], [good]]);
      expect((await chain.ask()).text).toContain('Good');
      const alone = await start([[refusal]]);
      const reply = await alone.ask();
      expect(reply.status).toBe(502);
      expect(client.errorOf(reply.text)).toMatchObject({ code: 'upstream_credential' });
      expect(reply.text).not.toContain('provider-key');
    });
  }

  test('row 7: a 429 that is the last word keeps its status and its time', async () => {
    const busy = provider.error(429, 'Later.');
    const chain = await start([[refuses({ ...busy, headers: { ...busy.headers, 'retry-after': '2' } })]]);
    const reply = await chain.ask();
    expect(reply.status).toBe(429);
    expect(reply.headers['retry-after']).toBe('2');
    expect(client.errorOf(reply.text)?.message).toBe('Later.');
  });
});
