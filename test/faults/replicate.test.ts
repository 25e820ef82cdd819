/** The faults of a provider whose answers are predictions: whole ones, streamed to clients in one piece. */
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { World } from '../../src/base/world.ts';
import { type Chain, startChain } from '../support/chain.ts';
import { geminiWire } from '../support/gemini-wire.ts';
import { eventData, lastError, statedUsage, testModel, type Wire, wires } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { silenceMs, standingTime } from '../support/time.ts';
import { resets, type Script } from '../support/upstream.ts';
import { rowsNamed, rowsOfPrediction } from './dialect-rows.ts';

const clients: readonly Wire[] = [...wires, responsesWire, geminiWire];

type Json = Record<string, unknown>;

const prediction = (more: Json = {}): string =>
  JSON.stringify({
    id: 'gm3qorzdhgbfurvjtvhg6dckhu',
    model: 'meta/llama',
    input: { prompt: 'Hi' },
    output: ['Go', 'od'],
    error: null,
    status: 'succeeded',
    urls: {
      get: 'https://api.replicate.com/v1/predictions/gm3q',
      stream: 'https://stream.replicate.com/v1/a',
    },
    metrics: {
      input_token_count: statedUsage.inputTokens,
      output_token_count: statedUsage.outputTokens,
      predict_time: 0.3,
    },
    ...more,
  });

const json = { 'content-type': 'application/json' };
const replies =
  (body: string | Buffer, status = 201, headers: Record<string, string> = json): Script =>
  (call) =>
    call.whole(status, headers, body);
const good = replies(prediction());
const refused = (status: number, detail: string): Script =>
  replies(JSON.stringify({ title: 'No', detail, status }), status);

/** Two providers of predictions, which a route names by their models. */
function start(
  client: Wire,
  scripts: readonly (readonly Script[])[],
  more: ConfigInput = {},
  world: Partial<World> = {},
): Promise<Chain> {
  const targets = ['first', 'second']
    .slice(0, scripts.length)
    .map((provider) => ({ provider, model: 'meta/llama' }));
  const routes = [{ model: testModel, targets }];
  return startChain(client, scripts, { routes, ...more }, world, { name: 'replicate' });
}

describe.each(clients)('$name to predictions', (client) => {
  test('the tests are those of the list', ({ task }) => {
    const names = (task.suite?.tasks ?? []).map(({ name }) => name);
    expect(rowsNamed(names)).toEqual(rowsOfPrediction);
  });

  test('text, whole and in one piece, with its usage; a success is 200', async () => {
    const chain = await start(client, [[good]]);
    const whole = await chain.ask();
    expect(whole.status).toBe(200);
    expect(whole.text).toContain('Good');
    const incoming = await chain.stream();
    expect(incoming.status).toBe(200);
    const stream = await incoming.all();
    expect(client.textOf(stream)).toBe('Good');
    expect(lastError(client, stream)).toBeNull();
    for (const record of chain.records())
      expect(record).toMatchObject({ ...statedUsage, usageKnown: true, status: 200, error: '' });
    for (const { path, headers, json: body } of chain.first.calls) {
      expect(path).toBe('/v1/models/meta/llama/predictions');
      expect(headers).toMatchObject({ prefer: 'wait=60', 'cancel-after': '60s' });
      expect(headers.authorization).toBe('Bearer provider-key');
      expect(Object.keys(body)).toEqual(['input']);
    }
    // The addresses in its reply are nobody's that the configuration names: nothing else is asked.
    expect(chain.first.calls).toHaveLength(2);
  });

  for (const stream of [false, true]) {
    const kind = stream ? 'stream' : 'whole';
    const halves: Script = (call) => {
      call.raw(
        `HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n${prediction().slice(0, 90)}`,
      );
      call.reset();
    };

    test.each([
      ['row 1: a reset before the headers', resets],
      ['row 2: a reset within the body', halves],
      ['row 4: a body that ends in the middle', replies(prediction().slice(0, -30))],
      ['503', refused(503, 'Later.')],
      [
        'row 11: a prediction that failed',
        replies(prediction({ status: 'failed', output: null, error: 'OOM' })),
      ],
      ['row 11: an error as the body', replies('{"detail":"Internal error","status":500}', 200)],
      ['row 12: a web page', replies('<!doctype html>', 200, { 'content-type': 'text/html' })],
      ['row 12: nothing', replies('')],
      ['row 12: a list', replies('[1]')],
      ['row 12: no UTF-8', replies(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))],
      [
        'row 12: output that is no text',
        replies(prediction({ output: { url: 'https://example.com/a.png' } })),
      ],
      ['row 12: another dialect', replies(client.whole('Wrong'), 200)],
    ])(`%s falls back (${kind})`, async (_, script) => {
      const chain = await start(client, [[script], [good]]);
      const reply = await chain.ask({ stream });
      expect(reply.status).toBe(200);
      expect(stream ? client.textOf(reply.text) : reply.text).toContain('Good');
      expect(reply.text).not.toContain('Wrong');
    });

    test(`not ready within its wait is a timeout: not asked again, the next target, else 504 (${kind})`, async () => {
      for (const status of ['starting', 'processing', 'canceled']) {
        const late = replies(prediction({ status, output: null, metrics: {} }));
        const retrying = { attempt: { retriesMax: 2, breaker: { failures: 9 } } };
        const chain = await start(client, [[late], [good]], retrying);
        expect((await chain.ask({ stream })).text).toContain('Good');
        expect(chain.first.calls).toHaveLength(1);
        const alone = await start(client, [[late]], retrying);
        const reply = await alone.ask({ stream });
        expect(reply.status).toBe(504);
        expect(client.errorOf(reply.text)).toMatchObject({ code: 'upstream_timeout' });
        expect(reply.text).toContain('gave up waiting');
        expect(alone.first.calls).toHaveLength(1);
      }
    });

    test(`row 5: no answer in time: the next target (${kind})`, async () => {
      const time = standingTime();
      const attempt = { firstTokenTimeoutMs: silenceMs, replyTimeoutMs: silenceMs };
      const chain = await start(client, [[time.silent], [good]], { attempt }, time.world);
      expect((await chain.ask({ stream })).text).toContain('Good');
    });

    test.each([400, 404, 413, 422])(
      `row 26: %i is passed on in the client's words (${kind})`,
      async (status) => {
        const chain = await start(client, [[refused(status, 'This is “your” doing.')], [good]]);
        const reply = await chain.ask({ stream });
        expect(reply.status).toBe(status);
        expect(client.errorOf(reply.text)?.message).toBe('This is “your” doing.');
        expect(chain.second.calls).toHaveLength(0);
      },
    );

    test(`row 26: 401 on the gateway's credential: 502 without the key (${kind})`, async () => {
      const chain = await start(client, [[refused(401, 'You did not pass provider-key.')]]);
      const reply = await chain.ask({ stream });
      expect(reply.status).toBe(502);
      expect(reply.text).not.toContain('provider-key');
    });

    test(`row 7: 429 rests as long as its text says, 402 for money (${kind})`, async () => {
      const busy = refused(429, 'Request was throttled. Your rate limit resets in ~7s.');
      const chain = await start(client, [[busy]]);
      const reply = await chain.ask({ stream });
      expect(reply.status).toBe(429);
      expect(Number(reply.headers['retry-after'])).toBeGreaterThan(5);
      expect(Number(reply.headers['retry-after'])).toBeLessThanOrEqual(7);
      const spent = await start(client, [[refused(402, 'You have insufficient credit.')], [good]]);
      expect((await spent.ask({ stream })).text).toContain('Good');
      expect((await spent.ask({ stream })).text).toContain('Good');
      expect(spent.first.calls).toHaveLength(1);
    });
  }

  test('row 12: every byte a packet of its own gives the same output', async () => {
    const bytes = Buffer.from(prediction({ output: ['Grüße, ', '日本 🎉'] }));
    const split: Script = async (call) => {
      call.raw(
        `HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: ${bytes.length}\r\n\r\n`,
      );
      for (const byte of bytes) call.raw(Buffer.from([byte]));
    };
    const chain = await start(client, [[split]]);
    expect(client.textOf(await (await chain.stream()).all())).toBe('Grüße, 日本 🎉');
  });

  test('row 13: packed whole replies are unpacked; too large ones are 502', async () => {
    const packed = replies(gzipSync(prediction()), 201, { ...json, 'content-encoding': 'gzip' });
    const chain = await start(client, [[packed]]);
    expect((await chain.ask()).text).toContain('Good');
    const huge = await start(client, [[replies(prediction({ output: ['x'.repeat(300_000)] }))]], {
      attempt: { replyMaxBytes: 100_000, eventMaxBytes: 100_000 },
    });
    for (const stream of [false, true])
      expect((await huge.ask({ stream })).status).toBeGreaterThanOrEqual(500);
  });

  test('the end of a stream is its client’s own', async () => {
    const chain = await start(client, [[replies(prediction({ output: null }))]]);
    const events = eventData(await (await chain.stream()).all());
    expect(events.length).toBeGreaterThan(0);
    expect(client.textOf(events.map((data) => `data: ${data}\n\n`).join(''))).toBe('');
  });
});
