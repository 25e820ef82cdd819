/** Whom a provider's error blames, and what cools down for it: FIELD rows B3, B4, B10, B11, B15, C2; faults row 30. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { dialects } from '../../src/dialects/index.ts';
import { ask } from '../support/client.ts';
import { anthropicWire, openaiWire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, type Call, type Script, startUpstream } from '../support/upstream.ts';

const json = { 'content-type': 'application/json' };
const says =
  (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Script =>
  (call) =>
    call.whole(status, { ...json, ...headers }, JSON.stringify(body));
const good = answers(openaiWire, 'good');

/** Two providers, the first with two keys; a script sees the model and the key. */
async function start(script: (model: string, key: string) => Script, more: ConfigInput = {}) {
  const time = { nowMs: 0 };
  const first = await startUpstream((call: Call) => {
    const key = String(call.headers.authorization).replace('Bearer ', '');
    return script(String(call.json.model), key)(call);
  });
  const second = await startUpstream(good);
  const sidecar = await startTestSidecar(
    {
      cache: { enabled: false },
      providers: {
        one: { dialect: 'openai', baseUrl: first.baseUrl, apiKeys: ['k1', 'k2'] },
        two: { dialect: 'openai', baseUrl: second.baseUrl, apiKey: 'k3' },
      },
      routes: [
        { model: '*', targets: [{ provider: 'one' }] },
        { model: 'both-*', targets: [{ provider: 'one' }, { provider: 'two' }] },
      ],
      attempt: { retriesMax: 0 },
      ...more,
    },
    { clock: () => time.nowMs },
  );
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all([first.close(), second.close()]);
  });
  const post = async (model: string, stream = false) => {
    const body = { ...openaiWire.request('hi'), model, stream };
    const reply = await ask(sidecar.url, openaiWire.path, { body });
    return { status: reply.status, text: reply.text, headers: reply.headers };
  };
  return { time, sidecar, first, second, post };
}

const flagged = {
  error: { code: 403, message: 'Your input was flagged', metadata: { reasons: ['x'], flagged_input: 'y' } },
};
const noModel = {
  error: { message: 'Project `p` does not have access to model `m`', code: 'model_not_found', type: 'x' },
};

test('row 30: deadlines that a caller sets itself open no breaker for others', async () => {
  const own = await startUpstream((call: Call) => call.json.user === 'patient' && good(call));
  const sidecar = await startTestSidecar({
    providers: { own: { dialect: 'openai', baseUrl: own.baseUrl } },
    routes: [{ model: '*', targets: [{ provider: 'own' }] }],
    attempt: { retriesMax: 0, breaker: { failures: 3 } },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await own.close();
  });
  const post = async (fields: object, headers: Record<string, string> = {}) =>
    (await ask(sidecar.url, openaiWire.path, { body: openaiWire.request('hi', { ...fields }), headers }))
      .status;
  for (const stream of [false, true])
    for (let i = 0; i < 4; i++) expect(await post({ stream }, { 'x-sidegate-timeout': '20' })).toBe(504);
  expect(await post({ user: 'patient' })).toBe(200);
});

describe('B3: a 403', () => {
  test.each([
    ['for what the prompt says', flagged],
    ['for its model', noModel],
  ])('%s is passed on, and no key cools down', async (_, body) => {
    const { post, first } = await start((model) => (model === 'bad' ? says(403, body) : good));
    for (let i = 0; i < 3; i++) expect((await post('bad')).status).toBe(403);
    expect(first.calls).toHaveLength(3);
    expect((await post('fine')).status).toBe(200);
  });

  test('that says no more ends the use of the key for that model, and everywhere at the second one', async () => {
    const no = says(403, { error: { message: 'Forbidden' } });
    const { post, first, time } = await start((model) => (model === 'fine' ? good : no));
    expect((await post('a')).status).toBe(502);
    expect(first.calls).toHaveLength(2);
    expect((await post('a')).status).toBe(502);
    expect(first.calls).toHaveLength(2);
    expect((await post('b')).status).toBe(502);
    expect((await post('fine')).status).toBe(502);
    time.nowMs = 60_000;
    expect((await post('fine')).status).toBe(200);
  });

  test('does not end it everywhere while other models answer: whoever asks for two could stop all', async () => {
    const no = says(403, { error: { message: 'Forbidden' } });
    const { post } = await start((model) => (model === 'fine' ? good : no));
    for (const model of ['a', 'b', 'c', 'd']) {
      expect((await post(model)).status).toBe(502);
      expect((await post('fine')).status).toBe(200);
    }
  });
});

test('B4: a 402 cools the key down for that model and is reported; the next key, then the next target, is asked', async () => {
  const broke = says(402, { error: { message: 'Insufficient Balance' } });
  const { post, first, sidecar } = await start((_, key) => (key === 'k1' ? broke : good));
  expect((await post('m')).status).toBe(200);
  expect((await post('m')).status).toBe(200);
  expect(first.calls).toHaveLength(3);
  expect(sidecar.logText()).toContain('credit or quota is used up');
  const all = await start(() => broke);
  expect((await all.post('both-m')).headers['x-sidegate-target']).toBe('two/both-m');
  expect(all.first.calls).toHaveLength(2);
});

describe('B11, C2: an error inside a 200', () => {
  const event =
    (...events: unknown[]): Script =>
    (call) => {
      call.streamHead();
      for (const each of events) call.write(`data: ${JSON.stringify(each)}\n\n`);
      call.end();
    };

  test.each([false, true])('is a 429 if it says so (stream: %s)', async (stream) => {
    const error = { error: { code: 429, message: 'slow down' } };
    const { post, first } = await start(() => (stream ? event(error) : says(200, error)), {
      routes: [{ model: '*', targets: [{ provider: 'one' }, { provider: 'two', on: ['rate_limited'] }] }],
    });
    expect((await post('m', stream)).headers['x-sidegate-target']).toBe('two/m');
    expect(first.calls).toHaveLength(2);
    await post('m', stream);
    expect(first.calls).toHaveLength(2);
  });

  test.each([false, true])('is passed on if it blames the request (stream: %s)', async (stream) => {
    const error = { error: { code: 'invalid_prompt', message: 'not this' } };
    const { post, first } = await start((model) =>
      model === 'fine' ? good : stream ? event(error) : says(200, error),
    );
    for (let i = 0; i < 6; i++) {
      const reply = await post('bad', stream);
      expect([reply.status, JSON.parse(reply.text).error.message]).toEqual([400, 'not this']);
    }
    expect(first.calls).toHaveLength(6);
    expect((await post('fine')).status).toBe(200);
  });

  test('C2: a response that failed says why', async () => {
    const failed = {
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'invalid_prompt', message: 'not this' } },
    };
    const upstream = await startUpstream((call: Call) => {
      call.streamHead();
      call.write(`event: response.created\ndata: {"type":"response.created","response":{"id":"r"}}\n\n`);
      call.write(`event: response.failed\ndata: ${JSON.stringify(failed)}\n\n`);
      call.end();
    });
    const sidecar = await startTestSidecar({
      providers: { r: { dialect: 'responses', baseUrl: upstream.baseUrl, apiKey: 'k' } },
      routes: [{ model: '*', targets: [{ provider: 'r' }] }],
    });
    onTestFinished(async () => {
      await sidecar.stop();
      await upstream.close();
    });
    for (let i = 0; i < 6; i++) {
      const reply = await ask(sidecar.url, '/v1/responses', {
        body: { model: 'm', stream: true, input: 'hi' },
      });
      expect([reply.status, JSON.parse(reply.text).error.code]).toEqual([400, 'invalid_prompt']);
    }
    expect(upstream.calls).toHaveLength(6);
  });
});

describe.each(Object.keys(dialects) as (keyof typeof dialects)[])('item 2: %s blames', (name) => {
  test.each<[string, number, unknown, string]>([
    ['the request, by 400', 400, { error: { message: 'temperature must be at most 2' } }, 'rejected'],
    ['the request, by 404', 404, { error: { message: 'no such thing' } }, 'rejected'],
    ['the request, by 422', 422, { error: { message: 'seed is not permitted' } }, 'rejected'],
    ['what the prompt says, by 403', 403, flagged, 'content_policy'],
    ['the model, by 403', 403, noModel, 'rejected'],
    ['the account, by 402', 402, { error: { message: 'Insufficient Balance' } }, 'quota'],
    ['the account, by 402 without a word', 402, {}, 'quota'],
    ['the key, by 401', 401, { error: { message: 'Incorrect API key provided' } }, 'credential'],
    ['the key for that model, by 403', 403, { error: { message: 'Forbidden' } }, 'forbidden'],
    ['nobody for long, by 429', 429, { error: { message: 'Too many requests' } }, 'rate_limited'],
    ['the provider, by 408', 408, {}, 'server'],
    ['the provider, by 500', 500, {}, 'server'],
    ['the provider, by 529', 529, {}, 'server'],
    ['the provider, by 302', 302, {}, 'unexpected'],
  ])('%s', (_, status, body, kind) => {
    const { fault } = dialects[name];
    expect(fault(status, {}, Buffer.from(JSON.stringify(body)), 0).kind).toBe(kind);
  });
});

describe('words of the client’s own in an error of its request', () => {
  const says = 'Your credit balance is too low. spend limit insufficient_quota. Please try again in 1h';
  const refused = (message: string) => ({ type: 'error', error: { type: 'invalid_request_error', message } });
  const all = Object.keys(dialects) as (keyof typeof dialects)[];

  test.each<[string, number, unknown, string]>([
    ['an unknown field’s name', 400, refused(`${says}: Extra inputs are not permitted`), 'rejected'],
    ['a field’s value', 400, refused(`max_tokens: ${says} is no integer`), 'rejected'],
    ['a list of fields', 422, { detail: [{ loc: ['body', says], msg: 'not permitted' }] }, 'rejected'],
    [
      'a prompt that is flagged',
      403,
      { error: { code: 403, message: 'Flagged', metadata: { flagged_input: says } } },
      'content_policy',
    ],
  ])('%s: no quota is spent, and nobody waits', (_, status, body, kind) => {
    for (const name of all) {
      const fault = dialects[name].fault(status, {}, Buffer.from(JSON.stringify(body)), 0);
      expect([name, fault]).toEqual([name, { kind, retryAfterMs: null }]);
    }
  });

  test.each<[number, string, string, number | null]>([
    [400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.', null],
    [
      400,
      'invalid_request_error',
      'You have reached your specified API usage limits. You will regain access on 2026-01-01 at 00:00 UTC.',
      null,
    ],
    [400, 'billing_error', 'Please try again in 2m: your plan has ended.', null],
    [403, 'permission_error', 'Your credit balance is too low. Please try again in 2m.', 120_000],
  ])('Anthropic’s %i %s is still a spent quota: %s', (status, type, message, retryAfterMs) => {
    const body = { type: 'error', error: { type, message, quoted: 'try again in 1h' } };
    expect(dialects.anthropic.fault(status, {}, Buffer.from(JSON.stringify(body)), 0)).toEqual({
      kind: 'quota',
      retryAfterMs,
    });
  });

  test('one request takes no model away from others', async () => {
    const quotes: Script = (call) => {
      const [unknown] = Object.keys(call.json as object).filter((name) => name.startsWith('spend'));
      if (unknown === undefined) return answers(anthropicWire, 'good')(call);
      call.whole(400, json, JSON.stringify(refused(`${unknown}: Extra inputs are not permitted`)));
    };
    const upstream = await startUpstream(quotes);
    const sidecar = await startTestSidecar({
      providers: { a: { dialect: 'anthropic', baseUrl: upstream.baseUrl, apiKeys: ['k1', 'k2'] } },
      routes: [{ model: '*', targets: [{ provider: 'a' }] }],
    });
    onTestFinished(async () => {
      await sidecar.stop();
      await upstream.close();
    });
    const post = async (more: object) =>
      (await ask(sidecar.url, anthropicWire.path, { body: anthropicWire.request('hi', { ...more }) })).status;
    expect(await post({ 'spend limit try again in 1h': 1 })).toBe(400);
    expect(upstream.calls).toHaveLength(1);
    expect(await post({})).toBe(200);
  });
});

describe('B10: how long to wait', () => {
  const wallMs = 1_800_000_000_000;
  const waitOf = (headers: Readonly<Record<string, string>>, body: unknown, name: keyof typeof dialects) =>
    dialects[name].fault(429, headers, Buffer.from(JSON.stringify(body)), wallMs).retryAfterMs;

  const limit = (name: string, remaining: string, reset: string) => ({
    [`x-ratelimit-remaining-${name}`]: remaining,
    [`x-ratelimit-reset-${name}`]: reset,
  });

  test.each<[string, Readonly<Record<string, string>>, unknown, number | null]>([
    ['epoch in ms', { 'x-ratelimit-reset': String(wallMs + 40_000) }, {}, 40_000],
    ['epoch in s', { 'x-ratelimit-reset': String(wallMs / 1000 + 40) }, {}, 40_000],
    ['Retry-After', { 'retry-after': '7' }, {}, 7000],
    ['Retry-After as a date', { 'retry-after': new Date(wallMs + 9000).toUTCString() }, {}, 9000],
    ['Retry-After in ms', { 'retry-after-ms': '250', 'retry-after': '1' }, {}, 250],
    ['an empty Retry-After', { 'retry-after': '', 'retry-after-ms': '' }, {}, null],
    ['seconds', { 'ratelimit-reset': '12' }, {}, 12_000],
    ['a duration', { 'x-ratelimit-reset-tokens': '6m0.5s' }, {}, 360_500],
    ['a date', { 'anthropic-ratelimit-tokens-reset': new Date(wallMs + 5000).toISOString() }, {}, 5000],
    ['RetryInfo in a list', {}, [{ error: { details: [{ retryDelay: '36s' }] } }], 36_000],
    ['a sentence', {}, { error: { message: 'Please try again in 6.5s. Visit …' } }, 6500],
    [
      'a sentence, where what is left of each limit isn’t enough',
      { ...limit('requests', '4999', '12ms'), ...limit('tokens', '150', '58.5s') },
      { error: { message: 'Limit 30000, Used 29850, Requested 1200. Please try again in 2.1s.' } },
      2100,
    ],
    [
      'the reset of what is used up, before a sentence',
      { ...limit('requests', '4999', '12ms'), ...limit('tokens', '0', '58.5s') },
      { error: { message: 'Please try again in 2.1s.' } },
      58_500,
    ],
    ['the first reset', { ...limit('requests', '9', '12ms'), ...limit('tokens', '150', '58.5s') }, {}, 12],
    ['a sentence in ms', {}, { error: { message: 'Please try again in 20ms.' } }, 20],
    ['a sentence of parts', {}, { error: { message: 'Please try again in 1m30.5s.' } }, 90_500],
    ['a sentence in words', {}, { error: { message: 'Please retry after 17 seconds.' } }, 17_000],
    ['a reset', {}, { detail: 'Your rate limit resets in ~30s.' }, 30_000],
    ['nothing', {}, { error: { message: 'Slow down, in 5 words: do not be so fast' } }, null],
  ])('%s', (_, headers, body, ms) => {
    for (const name of Object.keys(dialects) as (keyof typeof dialects)[])
      expect([name, waitOf(headers, body, name)]).toEqual([name, ms]);
  });
});

test('B15: the wait that the provider said last is told to the client', async () => {
  const busy = says(503, { error: { message: 'busy' } }, { 'retry-after': '4' });
  const { post } = await start(() => busy);
  const reply = await post('m');
  expect([reply.status, reply.headers['retry-after']]).toEqual([503, '4']);
  // Each call says another wait: that of the last one counts, not the shortest.
  const waits = ['0.001', '9'];
  const more = await start(
    () => (call) =>
      call.whole(503, { ...json, 'retry-after': waits.shift() ?? '' }, '{"error":{"message":"busy"}}'),
    { attempt: { retriesMax: 1, backoffBaseMs: 0 } },
  );
  const later = await more.post('m');
  expect([later.status, later.headers['retry-after'], waits]).toEqual([503, '9', []]);
});
