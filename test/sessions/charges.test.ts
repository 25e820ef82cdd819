/** What sessions cost: counted from the provider's usage, charged as it comes, and ended by limits. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { startRedis } from '../support/redis.ts';
import {
  connect,
  created,
  done,
  keys,
  startSessions,
  startSessionUpstream,
  usage,
} from '../support/session-upstream.ts';

const path = '/v1/realtime?model=gpt-realtime';
/** A model whose replies may take 16,384 tokens. */
const larger = '/v1/realtime?model=gpt-audio';
/** Dollars per million tokens, of gpt-realtime in the catalog. */
const price = { text: 4, cached: 0.4, audio: 32, output: 16, spoken: 64 };
const priced = { preset: 'openai' };

/** Answers each message with a reply that used what the message says. */
const metered = () =>
  startSessionUpstream(({ socket }) =>
    socket.on('message', (data) => {
      socket.send(created);
      socket.send(done(JSON.parse(data.toString())));
    }),
  );

const isDone = (text: string): boolean => text.includes('response.done');

test('each reply is counted by kind, and all are one line, one row and one charge', async () => {
  const upstream = await metered();
  const sidecar = await startSessions(upstream, {}, priced);
  const client = connect(sidecar.url, path);
  await client.open;
  const details = {
    input_token_details: {
      text_tokens: 600,
      audio_tokens: 400,
      cached_tokens: 300,
      cached_tokens_details: { text_tokens: 200, audio_tokens: 100 },
    },
    output_token_details: { text_tokens: 50, audio_tokens: 150 },
  };
  client.socket.send(JSON.stringify(usage(1000, 200, details)));
  await client.next(isDone);
  client.socket.send(JSON.stringify(usage(10, 20)));
  await client.next(isDone);
  client.socket.close(1000);
  const record = await sidecar.recordWhere(({ status }) => status === 101);
  const micro =
    400 * price.text +
    300 * price.audio +
    300 * price.cached +
    50 * price.output +
    150 * price.spoken +
    10 * price.text +
    20 * price.output;
  expect(record).toMatchObject({
    endpoint: 'realtime',
    model: 'gpt-realtime',
    target: 'first/realtime',
    inputTokens: 1010,
    outputTokens: 220,
    cachedInputTokens: 300,
    usageKnown: true,
    priced: true,
    costNanoUsd: Math.round(micro * 1000),
    attempts: 1,
    stream: true,
    interTokenMs: 0,
  });
  expect(sidecar.records().filter(({ endpoint }) => endpoint === 'realtime')).toHaveLength(1);
  const metrics = await sidecar.metrics();
  expect(metrics).toMatch(/sidegate_requests_total\{[^}]*endpoint="realtime"[^}]*\} 1/);
});

test('what is known of a session’s cost is counted everywhere, though a reply told nothing', async () => {
  const upstream = await metered();
  const sidecar = await startSessions(upstream, { observe: { spendMetrics: true } }, priced);
  const client = connect(sidecar.url, path);
  await client.open;
  for (const told of [usage(1000, 0), null, usage(500, 0)]) {
    client.socket.send(JSON.stringify(told));
    await client.next(isDone);
  }
  client.socket.close(1000);
  const record = await sidecar.recordWhere(({ status }) => status === 101);
  expect(record).toMatchObject({ costNanoUsd: 1500 * price.text * 1000, priced: false });
  const metrics = await sidecar.metrics();
  for (const name of ['cost', 'spend'])
    expect(metrics).toMatch(new RegExp(`sidegate_${name}_usd_total\\{[^}]*\\} 0\\.006\\n`));
});

test('a transcript beside the replies is priced as its own model, by tokens or by time', async () => {
  const upstream = await startSessionUpstream(({ socket }) => {
    const type = 'conversation.item.input_audio_transcription.completed';
    const session = (model: string) => ({
      type: 'session.updated',
      session: { audio: { input: { transcription: { model } } } },
    });
    for (const event of [
      session('whisper-1'),
      { type, usage: { type: 'duration', seconds: 36 } },
      session('gpt-4o-mini-transcribe'),
      { type, usage: { type: 'tokens', ...usage(100, 10, { input_token_details: { audio_tokens: 100 } }) } },
      { type: 'last' },
    ])
      socket.send(JSON.stringify(event));
  });
  const sidecar = await startSessions(upstream, {}, priced);
  const client = connect(sidecar.url, '/v1/realtime?intent=transcription');
  await client.next((text) => text.includes('last'));
  client.socket.close();
  const record = await sidecar.recordWhere(({ status }) => status === 101);
  expect(record).toMatchObject({
    inputTokens: 100,
    outputTokens: 10,
    model: 'gpt-4o-mini-transcribe',
    priced: true,
  });
  // 36 seconds at 0.36 dollars an hour; the rest by the catalog.
  expect(record.costNanoUsd).toBeGreaterThan(3_600_000);
  expect(record.costNanoUsd).toBeLessThan(3_600_000 + 1_000_000);
});

describe('budgets and limits', () => {
  const token = 'a-token-of-the-admin-port';
  const budget = (usd: number) => ({
    budgets: [{ name: 'daily', usd, window: 'day' as const, unpriced: 'allow' as const }],
  });
  /** What is used of the first limit, as the admin port shows it. */
  const used = async (adminUrl: string): Promise<number> => {
    const reply = await fetch(`${adminUrl}/limits`, { headers: { authorization: `Bearer ${token}` } });
    const { limits } = (await reply.json()) as { limits: { used: number }[] };
    return limits[0]?.used ?? 0;
  };

  test('a budget sees each reply while the session goes on, and ends it with the reason', async () => {
    const upstream = await metered();
    // Room for what is reserved of one reply of 4096 tokens (0.066 dollars), and for one and a half of the replies.
    const sidecar = await startSessions(upstream, { ...budget(0.096), admin: { token } }, priced);
    const client = connect(sidecar.url, path);
    const [side] = await Promise.all([upstream.opened(), client.open]);
    client.socket.send(JSON.stringify(usage(1000, 1000)));
    await client.next(isDone);
    await expect.poll(() => used(sidecar.adminUrl)).toBeGreaterThan(0.02);
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    client.socket.send(JSON.stringify(usage(1000, 1000)));
    await client.next(isDone);
    const error = JSON.parse(await client.next((text) => text.includes('"error"')));
    expect(error).toMatchObject({
      type: 'error',
      event_id: expect.stringMatching(/^event_req_/),
      error: { code: 'rate_limited', message: expect.stringContaining('daily') },
    });
    expect(await client.closed).toEqual([1008, expect.stringContaining('daily')]);
    expect(await side.closed).toEqual([1000, '']);
    const record = await sidecar.recordWhere(({ status }) => status === 101);
    expect(record).toMatchObject({
      stopped: true,
      error: '',
      costNanoUsd: 2 * (1000 * 4000 + 1000 * 16_000),
    });
    // Nothing stays reserved.
    await expect.poll(() => used(sidecar.adminUrl)).toBeCloseTo(0.04, 5);
    // The next one doesn't even open.
    expect((await connect(sidecar.url, path).refused).status).toBe(429);
  });

  test('a limit in requests counts a session once, when it opens; one in flight holds as long as it lasts', async () => {
    const upstream = await metered();
    const sidecar = await startSessions(upstream, {
      limits: [
        { name: 'opened', unit: 'requests', capacity: 2, refillPerSecond: 0.000_01 },
        { name: 'at-once', unit: 'concurrency', capacity: 1 },
      ],
    });
    const first = connect(sidecar.url, path);
    await first.open;
    for (let reply = 0; reply < 3; reply++) {
      first.socket.send(JSON.stringify(usage(1, 1)));
      await first.next(isDone);
    }
    expect((await connect(sidecar.url, path).refused).body).toContain('at-once');
    first.socket.close();
    await sidecar.recordWhere(({ status }) => status === 101);
    const second = connect(sidecar.url, path);
    await second.open;
    second.socket.close();
    await expect.poll(() => sidecar.records().filter(({ status }) => status === 101).length).toBe(2);
    expect((await connect(sidecar.url, path).refused).body).toContain('opened');
  });

  test('a limit in tokens ends the session that used it up', async () => {
    const upstream = await metered();
    const sidecar = await startSessions(upstream, {
      limits: [{ name: 'tokens', unit: 'tokens', capacity: 28_000, refillPerSecond: 0.000_01 }],
    });
    const client = connect(sidecar.url, path);
    await client.open;
    client.socket.send(JSON.stringify(usage(9000, 15_000)));
    expect(await client.closed).toEqual([1008, expect.stringContaining('tokens')]);
  });

  test('a limit that pods share is asked for in Redis, and what is used meanwhile is charged, too', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const upstream = await metered();
    const shared = {
      limits: [{ name: 'tokens', unit: 'tokens' as const, capacity: 60_000, refillPerSecond: 0.000_01 }],
      sync: { redis: redis.url, podsExpected: 2 },
      admin: { token },
    };
    const [one, other] = [await startSessions(upstream, shared), await startSessions(upstream, shared)];
    const client = connect(one.url, larger);
    await client.open;
    // At once: the second and third are used while the first is asked for. They and the next fit into an equal part of the
    // limit, which serves where Redis answers too late, as on a busy machine.
    for (let reply = 0; reply < 3; reply++) client.socket.send(JSON.stringify(usage(1000, 1000)));
    for (let reply = 0; reply < 3; reply++) await client.next(isDone);
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    client.socket.send(JSON.stringify(usage(40_000, 1000)));
    expect((await client.closed)[0]).toBe(1008);
    expect(await one.recordWhere(({ status }) => status === 101)).toMatchObject({
      inputTokens: 43_000,
      outputTokens: 4000,
      stopped: true,
    });
    // 47,000 are used, of which the other pod hears.
    await expect
      .poll(() => connect(other.url, larger).outcome, { timeout: 20_000, interval: 500 })
      .toBe('rate_limited');
    expect(await used(one.adminUrl)).toBeCloseTo(47_000, -2);
  });

  test('within a reply, what was reserved is charged; of a reply that tells nothing, too', async () => {
    const upstream = await startSessionUpstream(({ socket }) =>
      socket.on('message', (data) => socket.send(data.toString())),
    );
    const sidecar = await startSessions(upstream, {
      limits: [{ name: 'tokens', unit: 'tokens', capacity: 40_000, refillPerSecond: 0.000_01 }],
      admin: { token },
    });
    const client = connect(sidecar.url, path);
    await client.open;
    client.socket.send(created);
    await client.next();
    client.socket.terminate();
    expect(await sidecar.recordWhere(({ abandoned }) => abandoned)).toMatchObject({
      usageKnown: false,
      priced: false,
    });
    expect(await used(sidecar.adminUrl)).toBeGreaterThan(4095);
    const other = connect(sidecar.url, path);
    await other.open;
    other.socket.send(done(null));
    await other.next();
    other.socket.close();
    expect(await sidecar.recordWhere(({ abandoned, usageKnown }) => !abandoned && !usageKnown)).toMatchObject(
      {
        priced: false,
      },
    );
    expect(await used(sidecar.adminUrl)).toBeGreaterThan(2 * 4095);
  });

  test('figures that no reply can have are left out', async () => {
    const upstream = await metered();
    const sidecar = await startSessions(upstream, budget(1000), priced);
    const client = connect(sidecar.url, path);
    await client.open;
    client.socket.send(JSON.stringify(usage(4_000_000_000, 1)));
    await client.next(isDone);
    client.socket.close();
    const record = await sidecar.recordWhere(({ status }) => status === 101);
    expect(record).toMatchObject({ inputTokens: 0, costNanoUsd: 0, usageKnown: false });
  });

  test('in observe mode nothing ends', async () => {
    const upstream = await metered();
    const sidecar = await startSessions(upstream, { mode: 'observe', ...budget(0.001) }, priced);
    const client = connect(sidecar.url, path);
    await client.open;
    client.socket.send(JSON.stringify(usage(9000, 5000)));
    await client.next(isDone);
    client.socket.send(JSON.stringify(usage(1, 1)));
    await client.next(isDone);
  });
});

test("Gemini's usage is that of the model which the session was set up with", async () => {
  const upstream = await startSessionUpstream(({ socket }) =>
    socket.on('message', () =>
      socket.send(
        JSON.stringify({
          serverContent: { turnComplete: true },
          usageMetadata: {
            promptTokenCount: 1000,
            responseTokenCount: 100,
            promptTokensDetails: [
              { modality: 'AUDIO', tokenCount: 900 },
              { modality: 'TEXT', tokenCount: 100 },
            ],
            responseTokensDetails: [{ modality: 'AUDIO', tokenCount: 100 }],
          },
        }),
      ),
    ),
  );
  const sidecar = await startSessions(
    upstream,
    { authenticate: { keys } },
    { preset: 'gemini', dialect: 'gemini', baseUrl: upstream.url.replace('/v1', '/v1beta') },
  );
  const service = 'google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent';
  const client = connect(sidecar.url, `/ws/${service}`, { 'x-goog-api-key': 'k-a' });
  await client.open;
  client.socket.send(Buffer.from(JSON.stringify({ setup: { model: 'models/gemini-live-2.5-flash' } })));
  await client.next();
  client.socket.close();
  expect(await sidecar.recordWhere(({ status }) => status === 101)).toMatchObject({
    endpoint: 'live',
    model: 'gemini-live-2.5-flash',
    inputTokens: 1000,
    outputTokens: 100,
    costNanoUsd: 100 * 500 + 900 * 3000 + 100 * 12_000,
  });
});
