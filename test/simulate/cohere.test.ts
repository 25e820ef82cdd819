/** The simulator as Cohere and as Replicate: what it answers, what it refuses, and each fault through a sidecar. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FaultName, faultNames } from '../../src/simulate/faults.ts';
import type { Simulator } from '../../src/simulate/server.ts';
import { ask } from '../support/client.ts';
import { cohereWire } from '../support/cohere-wire.ts';
import { eventData } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { call, simulator } from '../support/simulate-client.ts';

let sim: Simulator;
beforeAll(async () => {
  sim = await simulator();
});
afterAll(() => sim.close());

const post = async (path: string, body: object) => {
  const { status, text } = await call(sim.url + path, body);
  return { status, reply: JSON.parse(text) };
};
const tool = { type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } };

describe('cohere', () => {
  const chat = (more: object = {}) => post('/v2/chat', cohereWire.request('Hello there', { ...more }));

  test('a stream has the same contents as the whole reply', async () => {
    const { reply } = await chat();
    expect(reply.message.content[0].text).toContain('Hello there');
    expect(reply).toMatchObject({ finish_reason: 'COMPLETE' });
    expect(reply.usage.tokens.input_tokens).toBeGreaterThan(reply.usage.billed_units.input_tokens);
    const { text } = await call(`${sim.url}/v2/chat`, cohereWire.request('Hello there', { stream: true }));
    expect(cohereWire.textOf(text)).toBe(reply.message.content[0].text);
    const last = JSON.parse(eventData(text).at(-1) ?? '');
    expect(last).toMatchObject({ type: 'message-end', delta: { usage: reply.usage } });
  });

  test('tool calls come with a plan if the model chose them', async () => {
    const { reply } = await chat({
      messages: [{ role: 'user', content: 'get_weather, please' }],
      tools: [tool],
    });
    expect(reply.finish_reason).toBe('TOOL_CALL');
    expect(reply.message.tool_plan).not.toBe('');
    expect(reply.message.tool_calls[0].function.name).toBe('get_weather');
    expect(reply.message.content).toBeUndefined();
    const told = await chat({ tools: [tool], tool_choice: 'REQUIRED' });
    expect(told.reply.message.tool_plan).toBe('');
    expect((await chat({ tools: [tool], tool_choice: 'NONE' })).reply.finish_reason).toBe('COMPLETE');
  });

  test.each([
    ['a form of output beside tools', { tools: [tool], response_format: { type: 'json_object' } }],
    ['a form of output beside documents', { documents: ['a'], response_format: { type: 'json_object' } }],
    ['six stop sequences', { stop_sequences: ['a', 'b', 'c', 'd', 'e', 'f'] }],
    ['a tool demanded by name', { tools: [tool], tool_choice: 'get_weather' }],
    ['p above its range', { p: 1 }],
    ['a negative penalty', { presence_penalty: -0.5 }],
    ['no messages', { messages: [] }],
  ])('%s is refused', async (_, more) => {
    const { status, reply } = await chat(more);
    expect(status).toBe(400);
    expect(Object.keys(reply)).toEqual(['id', 'message']);
  });

  test('a rerank puts documents first that share words with the query', async () => {
    const documents = ['Apples are red.', 'The cat sat on the mat.', { text: 'Where the cat sat' }];
    const { reply } = await post('/v2/rerank', {
      model: 'm',
      query: 'where did the cat sat',
      documents,
      top_n: 2,
    });
    expect(reply.results.map(({ index }: { index: number }) => index)).toEqual([2, 1]);
    expect(reply.results[0].relevance_score).toBeGreaterThan(reply.results[1].relevance_score);
    expect(reply.meta.billed_units).toEqual({ search_units: 1 });
    expect((await post('/v2/rerank', { model: 'm', query: 'q', documents: [] })).status).toBe(400);
  });

  test('an embed has every requested type', async () => {
    const asked = { model: 'm', input_type: 'search_query', output_dimension: 256 };
    const types = ['float', 'int8', 'uint8', 'binary', 'ubinary', 'base64'];
    const { reply } = await post('/v2/embed', {
      ...asked,
      texts: ['a cat', 'a dog'],
      embedding_types: types,
    });
    expect(Object.keys(reply.embeddings)).toEqual(types);
    const lengths = types.slice(0, 5).map((type) => reply.embeddings[type][0].length);
    expect(lengths).toEqual([256, 256, 256, 32, 32]);
    const inner = reply.embeddings.float[0].reduce((sum: number, x: number) => sum + x * x, 0);
    expect(inner).toBeCloseTo(1, 3);
    expect(reply.meta.billed_units.input_tokens).toBe(4);
    for (const wrong of [{ input_type: 'poem' }, { texts: [] }, { texts: Array(97).fill('a') }])
      expect((await post('/v2/embed', { ...asked, texts: ['a'], ...wrong })).status).toBe(400);
  });
});

describe('replicate', () => {
  test.each([
    ['/v1/models/meta/llama/predictions', {}, 'meta/llama'],
    ['/v1/deployments/acme/app/predictions', {}, 'acme/app'],
    ['/v1/predictions', { version: 'abc' }, 'abc'],
  ])('%s returns a finished prediction', async (path, more, model) => {
    const input = { prompt: 'User: First\n\nAssistant: One\n\nUser: Second\n\nAssistant:', max_tokens: 9 };
    const { status, reply } = await post(path, { ...more, input });
    expect(status).toBe(201);
    expect(reply).toMatchObject({ model, status: 'succeeded', error: null, input });
    expect(reply.metrics.output_token_count).toBe(9);
    expect(reply.output).toHaveLength(9);
    const whole = await post(path, { ...more, input: { prompt: input.prompt } });
    expect(whole.reply.output.join('')).toContain('Second');
    expect(whole.reply.output.join('')).not.toContain('First');
  });

  test('refusals are problem details', async () => {
    const { status, reply } = await post('/v1/models/meta/llama/predictions', { input: {} });
    expect([status, Object.keys(reply)]).toEqual([400, ['title', 'detail', 'status']]);
  });
});

/** What a client gets for a fault that isn't in the list below: an answer, as if there were no fault. */
const harmless = 200;
const outcomes: Readonly<Partial<Record<FaultName, number>>> = {
  reset_before_headers: 503,
  reset_after_headers: 503,
  cut_stream: 503,
  end_early: 502,
  no_first_token: 504,
  stall: 504,
  rate_limited: 429,
  quota_exhausted: 429,
  overloaded: 503,
  server_error: 503,
  error_in_body: 502,
  error_event: 502,
  raw_json_in_stream: 502,
  malformed_json: 502,
  malformed_sse: 502,
  truncated_gzip: 502,
  gzip_bomb: 502,
  bad_request: 400,
  unauthorized: 502,
  forbidden: 502,
  not_found: 404,
  too_large: 413,
  unprocessable: 422,
  context_window: 400,
  content_policy: 498,
  redirect: 503,
  wrong_dialect: 502,
};

/** It answers 402 when credit is used up; a prompt flagged by a model is a failed prediction. */
const ofReplicate: typeof outcomes = { quota_exhausted: 402, content_policy: 502 };

/** Packed events that come before the cut are delivered; the client learns of it in the stream. */
const ofStreams: typeof outcomes = { truncated_gzip: 200 };

const messages = [{ role: 'user', content: 'Hello' }];
const requests: Readonly<Record<string, readonly [path: string, body: object]>> = {
  'cohere, chat': ['/v1/chat/completions', { messages }],
  'cohere, chat streamed': ['/v1/chat/completions', { messages, stream: true }],
  'cohere, rerank': ['/v2/rerank', { query: 'Hello', documents: ['Hello', 'World'] }],
  'cohere, embed': ['/v2/embed', { input_type: 'search_query', texts: ['Hello'] }],
  'replicate, chat': ['/v1/chat/completions', { messages }],
  'replicate, chat streamed': ['/v1/chat/completions', { messages, stream: true }],
};

/** For what hangs; every other fault has its outcome however long it takes. */
const shortMs = 20;
const patientMs = 60_000;

describe.each(Object.keys(requests))('%s through a sidecar', (name) => {
  const [provider = ''] = name.split(',');

  test.each(faultNames)('%s', async (fault) => {
    const own = provider === 'replicate' ? ofReplicate[fault] : undefined;
    const inStream = name === 'cohere, chat streamed' ? ofStreams[fault] : undefined;
    const outcome = own ?? inStream ?? outcomes[fault] ?? harmless;
    const timeoutMs = outcome === 504 ? shortMs : patientMs;
    // A new sidecar for each, since breakers open and credentials cool down.
    const sidecar = await startTestSidecar({
      providers: { p: { preset: `simulator-${provider}`, apiKey: 'k' } },
      routes: [{ model: 'm', targets: [{ provider: 'p', model: 'meta/llama' }] }],
      attempt: {
        retriesMax: 0,
        firstTokenTimeoutMs: timeoutMs,
        replyTimeoutMs: timeoutMs,
        replyMaxBytes: 4 * 1024 * 1024,
      },
    });
    const [path, body] = requests[name] ?? ['', {}];
    const more = fault === 'slow_headers' ? ', holdMs=5' : fault === 'gzip_bomb' ? ', sizeMb=8' : '';
    const headers = { 'x-simulate': `fault=${fault}, afterTokens=0${more}` };
    const reply = await ask(sidecar.url, path, { body: { model: 'm', ...body }, headers });
    await sidecar.stop();
    expect(reply.status).toBe(outcome);
    if (inStream !== undefined) expect(reply.text).toContain('"code":"stream_cut"');
  });
});
