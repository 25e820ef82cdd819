/** Every fault of the simulator on the wire, streamed and not, in both dialects. */
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FaultName, faultNames, faults } from '../../src/simulate/faults.ts';
import type { Simulator } from '../../src/simulate/server.ts';
import { call, events, handClock, open, type Seen, simulator } from '../support/simulate-client.ts';

let sim: Simulator;
beforeAll(async () => {
  sim = await simulator();
});
afterAll(() => sim.close());

const dialects = ['openai', 'anthropic'] as const;
type Dialect = (typeof dialects)[number];

const path = { openai: '/v1/chat/completions', anthropic: '/v1/messages' };
const last = {
  openai: 'data: [DONE]\n\n',
  anthropic: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
};
const finish = { openai: '"finish_reason":"stop"', anthropic: '"stop_reason":"end_turn"' };

const body = (stream: boolean) => ({
  model: 'm',
  max_tokens: 500,
  stream,
  messages: [{ role: 'user', content: 'Hello' }],
});

function ask(dialect: Dialect, stream: boolean, simulate?: string): Promise<Seen> {
  return call(
    sim.url + path[dialect],
    body(stream),
    simulate === undefined ? {} : { 'x-simulate': simulate },
  );
}

/** Number of content events in a stream, complete or not. */
function contents(text: string): number {
  return (text.match(/"delta":\{"content":"[^"]/g) ?? []).length + (text.match(/"text_delta"/g) ?? []).length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const covered = new Set<FaultName>();

describe.each(dialects)('%s', (dialect) => {
  const fault = (name: FaultName, title: string, run: () => Promise<void>) => {
    covered.add(name);
    test(`${name}: ${title}`, run);
  };

  fault('reset_before_headers', 'no reply at all', async () => {
    for (const stream of [true, false]) {
      expect(await ask(dialect, stream, 'fault=reset_before_headers')).toMatchObject({
        status: 0,
        end: 'reset',
      });
    }
  });

  fault('reset_after_headers', 'headers, but no content', async () => {
    const streamed = await ask(dialect, true, 'fault=reset_after_headers');
    expect(streamed).toMatchObject({ status: 200, end: 'reset' });
    expect(streamed.text).toContain('"role":"assistant"');
    expect(contents(streamed.text)).toBe(0);
    expect(await ask(dialect, false, 'fault=reset_after_headers')).toMatchObject({
      status: 200,
      end: 'reset',
      text: '',
    });
  });

  fault('cut_stream', 'k content events, then a reset', async () => {
    for (const k of [0, 1, 5]) {
      const cut = await ask(dialect, true, `fault=cut_stream, afterTokens=${k}`);
      expect([cut.status, cut.end, contents(cut.text)]).toEqual([200, 'reset', k]);
    }
    const whole = await ask(dialect, false);
    const cut = await ask(dialect, false, 'fault=cut_stream');
    expect(cut.end).toBe('reset');
    expect(whole.text.startsWith(cut.text)).toBe(true);
    expect(cut.text.length).toBeGreaterThan(whole.text.length / 3);
  });

  fault('end_early', 'k content events, then a clean end', async () => {
    const cut = await ask(dialect, true, 'fault=end_early, afterTokens=2');
    expect([cut.status, cut.end, contents(cut.text)]).toEqual([200, 'clean', 2]);
    expect(cut.text).not.toContain(finish[dialect]);
    expect(cut.text).not.toContain(last[dialect]);
    const whole = await ask(dialect, false, 'fault=end_early');
    expect([whole.end, isJson(whole.text)]).toEqual(['clean', false]);
  });

  fault('finish_without_done', 'all but the last event', async () => {
    const normal = await ask(dialect, true);
    const { text, end } = await ask(dialect, true, 'fault=finish_without_done');
    expect(end).toBe('clean');
    expect(text).toContain(finish[dialect]);
    expect(text + last[dialect]).toBe(normal.text);
    expect((await ask(dialect, false, 'fault=finish_without_done')).text).toContain('simulated answer');
  });

  fault('no_first_token', 'opening events, then silence, for ten minutes at most', async () => {
    const clock = handClock();
    const held = await simulator({ fault: 'no_first_token' }, clock);
    const seen = call(held.url + path[dialect], body(true));
    expect(await clock.next()).toBe(600_000);
    clock.fire();
    const { status, end, text } = await seen;
    expect([status, end, contents(text)]).toEqual([200, 'reset', 0]);
    expect(text).toContain('"role":"assistant"');
    const mute = call(held.url + path[dialect], body(false));
    await clock.next();
    clock.fire();
    expect(await mute).toMatchObject({ status: 0, end: 'reset' });
    await held.close();
    expect((await ask(dialect, true, 'fault=no_first_token, holdMs=10')).text).toContain(last[dialect]);
  });

  fault('stall', 'k content events, then silence until the client leaves', async () => {
    const clock = handClock();
    const held = await simulator({ fault: 'stall', afterTokens: 2 }, clock);
    const { response, leave } = await open(held.url + path[dialect], body(true));
    response.on('error', () => {});
    let text = '';
    await new Promise<void>((resolve) => {
      response.on('data', (chunk) => {
        text += chunk;
        if (contents(text) === 2) resolve();
      });
    });
    expect(await clock.next()).toBe(600_000);
    leave();
    await clock.cancelled();
    await held.close();
    const after = await ask(dialect, true, 'fault=stall, delayMs=10');
    expect(after.text).toBe((await ask(dialect, true)).text);
    expect((await ask(dialect, false, 'fault=stall, delayMs=10')).text).toBe(
      (await ask(dialect, false)).text,
    );
  });

  fault('rate_limited', '429 with every hint, or the one that is chosen', async () => {
    const all = await ask(dialect, false, 'fault=rate_limited, retryAfterMs=1500');
    expect(all.status).toBe(429);
    expect(all.headers).toMatchObject({ 'retry-after': '2', 'retry-after-ms': '1500' });
    const clock = handClock();
    const held = await simulator({ fault: 'rate_limited', retryAfterMs: 90_500, retryHint: 'reset' }, clock);
    const reset = await call(held.url + path[dialect], body(true));
    await held.close();
    const names = Object.keys(reset.headers).filter((name) => name.includes('retry'));
    expect(names).toEqual([]);
    if (dialect === 'openai') {
      expect(reset.headers['x-ratelimit-reset-requests']).toBe('1m30.5s');
      expect(reset.headers['x-ratelimit-remaining-requests']).toBe('0');
    } else expect(reset.headers['anthropic-ratelimit-requests-reset']).toBe('2026-01-01T00:01:31Z');
    expect(JSON.parse(all.text).error.type).toBe(dialect === 'openai' ? 'requests' : 'rate_limit_error');
    const none = await ask(dialect, false, 'fault=rate_limited, retryHint=none');
    expect(Object.keys(none.headers).filter((name) => /retry|limit/.test(name))).toEqual([]);
  });

  fault('quota_exhausted', '429 without a hint to retry', async () => {
    const { status, headers, text } = await ask(dialect, true, 'fault=quota_exhausted');
    expect([status, headers['retry-after']]).toEqual([429, undefined]);
    const { error } = JSON.parse(text);
    if (dialect === 'openai') expect(error.type).toBe('insufficient_quota');
    else expect(error.details.error_code).toBe('enforced_spend_limit_reached');
  });

  const errors: [FaultName, number, number, string, string][] = [
    ['overloaded', 503, 529, 'service_unavailable_error', 'overloaded_error'],
    ['server_error', 500, 500, 'server_error', 'api_error'],
    ['error_in_body', 200, 200, 'server_error', 'overloaded_error'],
    ['bad_request', 400, 400, 'invalid_request_error', 'invalid_request_error'],
    ['unauthorized', 401, 401, 'invalid_request_error', 'authentication_error'],
    ['forbidden', 403, 403, 'request_forbidden', 'permission_error'],
    ['not_found', 404, 404, 'invalid_request_error', 'not_found_error'],
    ['too_large', 413, 413, 'invalid_request_error', 'request_too_large'],
    ['unprocessable', 422, 422, 'invalid_request_error', 'invalid_request_error'],
    ['context_window', 400, 400, 'invalid_request_error', 'invalid_request_error'],
    ['content_policy', 400, 400, 'invalid_request_error', 'invalid_request_error'],
  ];
  for (const [name, openai, anthropic, openaiType, anthropicType] of errors) {
    fault(name, 'status and shape', async () => {
      for (const stream of [true, false]) {
        const { status, headers, text } = await ask(dialect, stream, `fault=${name}`);
        expect(status).toBe(dialect === 'openai' ? openai : anthropic);
        expect(headers['content-type']).toBe('application/json');
        const { error, type, request_id } = JSON.parse(text);
        expect(error.type).toBe(dialect === 'openai' ? openaiType : anthropicType);
        if (dialect === 'anthropic') expect([type, request_id]).toEqual(['error', headers['request-id']]);
      }
    });
  }

  fault('error_event', "the dialect's error after k content events", async () => {
    const { text, end } = await ask(dialect, true, 'fault=error_event, afterTokens=2');
    expect([end, contents(text)]).toEqual(['clean', 2]);
    const { event, data } = events(text).at(-1) ?? { event: '', data: {} };
    expect(event).toBe(dialect === 'openai' ? null : 'error');
    expect(data).toMatchObject({ error: { message: expect.stringContaining('simulated') } });
    expect(JSON.parse((await ask(dialect, false, 'fault=error_event')).text)).toHaveProperty('error');
  });

  fault('raw_json_in_stream', 'a bare error after k content events', async () => {
    const { text, end } = await ask(dialect, true, 'fault=raw_json_in_stream, afterTokens=2');
    expect([end, contents(text)]).toEqual(['clean', 2]);
    expect(JSON.parse(text.slice(text.lastIndexOf('\n\n', text.length - 3)))).toHaveProperty('error');
    const whole = await ask(dialect, false, 'fault=raw_json_in_stream');
    expect([whole.status, Object.hasOwn(JSON.parse(whole.text), 'error')]).toEqual([200, true]);
  });

  fault('malformed_json', 'one broken event, the rest as it should be', async () => {
    const { text, end } = await ask(dialect, true, 'fault=malformed_json, afterTokens=2');
    expect(end).toBe('clean');
    expect(text).toContain(last[dialect]);
    const datas = [...text.matchAll(/^data: (\{.*)$/gm)].map((match) => isJson(match[1] ?? ''));
    expect(datas.filter((good) => !good)).toHaveLength(1);
    const whole = await ask(dialect, false, 'fault=malformed_json');
    expect([whole.status, whole.end, isJson(whole.text)]).toEqual([200, 'clean', false]);
  });

  fault('malformed_sse', 'bytes that are neither SSE nor UTF-8, and no end', async () => {
    const seen = await ask(dialect, true, 'fault=malformed_sse, afterTokens=2');
    const { text, end } = seen;
    expect([end, contents(text)]).toEqual(['clean', 2]);
    expect(Buffer.concat(seen.chunks).includes(0xff)).toBe(true);
    expect(text).not.toContain(last[dialect]);
    expect(() => events(text)).toThrow(/not an event/);
    expect(isJson((await ask(dialect, false, 'fault=malformed_sse')).text)).toBe(false);
  });

  fault('split_everywhere', 'the right bytes, one in each chunk', async () => {
    for (const stream of [true, false]) {
      const { chunks, text, end } = await ask(dialect, stream, 'fault=split_everywhere');
      expect(end).toBe('clean');
      expect(text).toBe((await ask(dialect, stream)).text);
      expect(Math.max(...chunks.map((chunk) => chunk.length))).toBe(1);
    }
  });

  fault('truncated_gzip', 'a gzip body that stops in the middle', async () => {
    for (const stream of [true, false]) {
      const { headers, chunks, end } = await ask(dialect, stream, 'fault=truncated_gzip');
      expect([headers['content-encoding'], end]).toEqual(['gzip', 'clean']);
      const packed = Buffer.concat(chunks);
      expect([packed[0], packed[1]]).toEqual([0x1f, 0x8b]);
      expect(() => gunzipSync(packed)).toThrow(/unexpected end/);
    }
  });

  fault('gzip_bomb', 'a small body that unpacks to sizeMb', async () => {
    const { headers, chunks, end } = await ask(dialect, true, 'fault=gzip_bomb, sizeMb=8');
    expect([headers['content-encoding'], end]).toEqual(['gzip', 'clean']);
    const packed = Buffer.concat(chunks);
    expect(packed.length).toBeLessThan(20_000);
    expect(gunzipSync(packed).length).toBe(8 * 1024 * 1024);
  });

  fault('redirect', '302 to a path that says so when followed', async () => {
    const { status, headers } = await ask(dialect, true, 'fault=redirect');
    expect(status).toBe(302);
    const followed = await call(sim.url + headers.location, undefined);
    expect(followed.status).toBe(404);
    expect(followed.text).toContain('must not be');
  });

  fault('slow_headers', 'a normal answer, late', async () => {
    const clock = handClock();
    const held = await simulator({ fault: 'slow_headers' }, clock);
    for (const stream of [true, false]) {
      const seen = call(held.url + path[dialect], body(stream));
      expect(await clock.next()).toBe(1000);
      clock.fire();
      expect((await seen).text).toBe((await ask(dialect, stream)).text);
    }
    await held.close();
  });

  fault('wrong_dialect', "a complete answer in the other dialect's shape", async () => {
    const other = dialect === 'openai' ? 'anthropic' : 'openai';
    expect((await ask(dialect, true, 'fault=wrong_dialect')).text).toContain(last[other]);
    const { type, object } = JSON.parse((await ask(dialect, false, 'fault=wrong_dialect')).text);
    expect(dialect === 'openai' ? type : object).toBe(dialect === 'openai' ? 'message' : 'chat.completion');
  });

  fault('missing_usage', 'a complete answer without token counts', async () => {
    const options = dialect === 'openai' ? { stream_options: { include_usage: true } } : {};
    const headers = { 'x-simulate': 'fault=missing_usage' };
    const { text } = await call(sim.url + path[dialect], { ...body(true), ...options }, headers);
    expect(text).toContain(last[dialect]);
    expect(text).not.toContain('usage');
    expect((await ask(dialect, false, 'fault=missing_usage')).text).not.toContain('usage');
  });
});

test('every fault has a test and is of its declared kind', () => {
  expect([...covered].sort()).toEqual([...faultNames].sort());
  for (const name of faultNames) expect(faults[name].row).toBeGreaterThan(0);
});

test('a fault set by a line of the message works like the header, and other endpoints fail too', async () => {
  const content = 'Hello\nsimulate: fault=overloaded';
  const lined = await call(`${sim.url}/v1/chat/completions`, {
    model: 'm',
    messages: [{ role: 'user', content }],
  });
  expect(lined.status).toBe(503);
  const headers = { 'x-simulate': 'fault=server_error' };
  expect((await call(`${sim.url}/v1/models`, undefined, headers)).status).toBe(500);
  expect((await call(`${sim.url}/v1/embeddings`, { model: 'm', input: 'x' }, headers)).status).toBe(500);
  expect((await call(`${sim.url}/v1/messages/count_tokens`, body(false), headers)).status).toBe(500);
  const bad = await call(`${sim.url}/v1/messages`, body(false), { 'x-simulate': 'fault=meteor' });
  expect(bad.status).toBe(400);
  expect(JSON.parse(bad.text).error.message).toMatch(
    /^The header `x-simulate` can't be read: unknown fault "meteor"/,
  );
});
