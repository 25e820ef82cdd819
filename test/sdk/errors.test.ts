/** The gateway's own errors as the official SDKs show them, and what the provider sees when apps give up. */
import { createHash } from 'node:crypto';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { anthropicWire, openaiWire, testModel } from '../support/replies.ts';
import { type SdkSetup, startSdks } from '../support/sdk-setup.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { loopMs, standingTime } from '../support/time.ts';
import { answers, hangs, refuses, type Script } from '../support/upstream.ts';

const messages = [{ role: 'user' as const, content: 'hi' }];
const viaOpenai = ({ openai }: SdkSetup, more: object = {}, options: OpenAI.RequestOptions = {}) =>
  openai.chat.completions.create({ model: testModel, messages, ...more, stream: false }, options);
const viaAnthropic = ({ anthropic }: SdkSetup, more: object = {}, options: Anthropic.RequestOptions = {}) =>
  anthropic.messages.create({ model: testModel, max_tokens: 9, messages, ...more, stream: false }, options);

type ErrorName =
  | 'BadRequestError'
  | 'AuthenticationError'
  | 'NotFoundError'
  | 'RateLimitError'
  | 'InternalServerError';

const sdks = [
  { name: 'openai', sdk: OpenAI, via: viaOpenai, wire: openaiWire },
  { name: 'anthropic', sdk: Anthropic, via: viaAnthropic, wire: anthropicWire },
] as const;

describe.each(sdks)('errors of the gateway, $name', ({ sdk, via, wire }) => {
  const failure = async (asked: PromiseLike<unknown>) => {
    const error: unknown = await Promise.resolve(asked).catch((cause: unknown) => cause);
    if (!(error instanceof OpenAI.APIError) && !(error instanceof Anthropic.APIError))
      throw new Error(`no API error: ${error}`);
    return error;
  };
  const ok = answers(wire, 'ok');
  const digest = createHash('sha256').update('other-key').digest('hex');
  const authenticate = { keys: [{ id: 'k', sha256: digest, tenant: 't', models: ['nothing'] }] };

  test.each<[ErrorName, string, readonly Script[], ConfigInput, object, Record<string, string>]>([
    ['BadRequestError', 'messages', [ok], {}, { messages: 'no array' }, {}],
    ['BadRequestError', 'x-sidegate-timeout', [ok], {}, {}, { 'x-sidegate-timeout': 'soon' }],
    [
      'AuthenticationError',
      'The key is unknown',
      [ok],
      { authenticate: { ...authenticate, anonymousTenant: undefined } },
      {},
      {},
    ],
    ['NotFoundError', 'No route serves the model', [ok], {}, { model: 'nope' }, {}],
    [
      'RateLimitError',
      'ever allows',
      [ok],
      { limits: [{ name: 'l', unit: 'tokens', capacity: 1, refillPerSecond: 1 }] },
      {},
      {},
    ],
    ['InternalServerError', 'No target could answer', [refuses(wire.error(500, 'x'))], {}, {}, {}],
    ['InternalServerError', "refused the gateway's credential", [refuses(wire.error(401, 'x'))], {}, {}, {}],
    ['InternalServerError', 'attempt.replyTimeoutMs', [hangs], { attempt: { replyTimeoutMs: 20 } }, {}, {}],
    ['InternalServerError', 'x-sidegate-timeout', [hangs], {}, {}, { 'x-sidegate-timeout': '20' }],
  ])('%s: %s, with the id of the request in the log', async (type, words, scripts, config, more, headers) => {
    const setup = await startSdks(scripts, config);
    const error = await failure(via(setup, more, { headers }));
    expect(error).toBeInstanceOf(sdk[type]);
    expect(error.message).toContain(words);
    expect(error.message).not.toContain('undefined');
    const record = await setup.recordWhere(({ requestId }) => requestId === error.requestID);
    expect(record.status).toBe(error.status);
  });

  test('PermissionDeniedError for a model the key may not use', async () => {
    const setup = await startSdks([ok], { authenticate: { ...authenticate, anonymousTenant: undefined } });
    const error = await failure(
      via(setup, {}, { headers: { authorization: 'Bearer other-key', 'x-api-key': 'other-key' } }),
    );
    expect(error).toBeInstanceOf(sdk.PermissionDeniedError);
    expect(error.message).toContain('may not use the model');
  });

  test('ConflictError and UnprocessableEntityError for an idempotency key', async () => {
    const setup = await startSdks([hangs], { replay: { joinersMax: 0 } });
    const headers = { 'idempotency-key': 'k' };
    const first = Promise.resolve(via(setup, {}, { headers })).catch(() => null);
    const call = await setup.upstream.call(0);
    expect(await failure(via(setup, {}, { headers }))).toBeInstanceOf(sdk.ConflictError);
    expect(await failure(via(setup, { user: 'x' }, { headers }))).toBeInstanceOf(
      sdk.UnprocessableEntityError,
    );
    ok(call);
    expect(await first).not.toBeNull();
  });

  test('RateLimitError says when; the SDK, left to itself, waits so long and succeeds', async () => {
    const limits = [{ name: 'l', capacity: 1, refillPerSecond: 2 }];
    const time = standingTime();
    const setup = await startSdks([ok], { limits }, time.world);
    await via(setup);
    const error = await failure(via(setup));
    expect(error).toBeInstanceOf(sdk.RateLimitError);
    const waitMs = Number(error.headers?.get('retry-after-ms'));
    expect(waitMs).toBe(500);
    const retried = via(setup, {}, { maxRetries: 5 });
    const refused = (): number => setup.records().filter(({ status }) => status === 429).length;
    while (refused() < 2) await new Promise((resolve) => setImmediate(resolve));
    time.pass(waitMs);
    expect(await retried).toBeTruthy();
  });

  test('a limit of the provider is waited for by the SDK, as without the gateway', async () => {
    const time = standingTime();
    const limited: Script = (call) =>
      refuses(wire.error(429, 'slow down'), { 'retry-after-ms': '400' })(call);
    const setup = await startSdks([limited, ok], {}, time.world);
    const refused = (status: number) => setup.recordWhere((record) => record.status === status);
    const ask = (temperature: number) => Promise.resolve(via(setup, { temperature }, { maxRetries: 9 }));
    // The provider tells the first, the gateway the second.
    const first = ask(0);
    await refused(429);
    const second = ask(1);
    await refused(503);
    time.pass(400);
    expect([await first, await second]).toEqual([expect.any(Object), expect.any(Object)]);
    expect(setup.upstream.calls).toHaveLength(3);
  });

  test('the SDK makes no retries of its own once the gateway’s are spent', async () => {
    const setup = await startSdks([refuses(wire.error(500, 'x'))], { attempt: { retriesMax: 1 } });
    await failure(via(setup, {}, { maxRetries: 3 }));
    expect(setup.upstream.calls).toHaveLength(2);
    expect(setup.records()).toHaveLength(1);
  });
});

/** As in \`test/faults/client.test.ts\`. */
const abortMaxMs = 50;

describe.each(sdks)('clients that give up, $name', ({ sdk, via, wire }) => {
  test('an abort of a whole reply reaches the provider', async () => {
    const setup = await startSdks([hangs]);
    const controller = new AbortController();
    const asked = Promise.resolve(via(setup, {}, { signal: controller.signal })).catch(
      (cause: unknown) => cause,
    );
    const call = await setup.upstream.call(0);
    controller.abort();
    const tookMs = loopMs(call.aborted);
    expect(await asked).toBeInstanceOf(sdk.APIUserAbortError);
    expect(await tookMs).toBeLessThan(abortMaxMs);
  });

  test('an abort of a stream reaches the provider', async () => {
    const setup = await startSdks([
      (call) => {
        call.streamHead();
        call.write(wire.opening + wire.text('a'));
      },
    ]);
    const stream =
      wire.name === 'openai'
        ? await setup.openai.chat.completions.create({ model: testModel, messages, stream: true })
        : await setup.anthropic.messages.create({ model: testModel, max_tokens: 9, messages, stream: true });
    for await (const _ of stream) break;
    const call = await setup.upstream.call(0);
    stream.controller.abort();
    expect(await loopMs(call.aborted)).toBeLessThan(abortMaxMs);
    expect(await setup.recordWhere(() => true)).toMatchObject({ abandoned: true, stream: true });
  });

  test('the SDK’s timeout reaches the provider', async () => {
    const setup = await startSdks([hangs]);
    // Time enough for the request to reach the provider.
    const asked = Promise.resolve(via(setup, {}, { timeout: 1000 })).catch((cause: unknown) => cause);
    const call = await setup.upstream.call(0);
    expect(await asked).toBeInstanceOf(sdk.APIConnectionTimeoutError);
    await call.aborted;
    expect(await setup.recordWhere(() => true)).toMatchObject({ abandoned: true });
  });
});
