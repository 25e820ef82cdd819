/** Meaning of Cohere's and Replicate's errors: rate limit, quota, long prompt, content policy, or an invalid request. */
import { describe, expect, test } from 'vitest';
import { createNotes } from '../../src/dialects/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import { samplesOf } from './fixtures.ts';

describe('cohere', () => {
  const kindOf = (status: number, message: string): string =>
    dialects.cohere.fault(status, {}, Buffer.from(JSON.stringify({ message })), 0).kind;

  test.each([
    [429, 'You are using a Trial key, which is limited to 1000 API calls / month.', 'quota'],
    [429, 'You are past the per minute request limit, please wait and try again later.', 'rate_limited'],
    [429, 'trial token rate limit exceeded, limit is 100000 tokens per minute', 'rate_limited'],
    [402, 'Please add or update your payment method to continue.', 'quota'],
    // What the app wrote is on a list of Cohere's: no fault of the key.
    [498, 'invalid token', 'content_policy'],
    [401, 'invalid api token', 'credential'],
    [
      400,
      'too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.',
      'context_window',
    ],
    [400, 'too many tokens: size limit exceeded by 11326 tokens.', 'context_window'],
    // The limit of the reply has nothing to do with the prompt's length.
    [400, 'too many tokens: max tokens must be less than or equal to 4096, received 8192.', 'rejected'],
    [400, 'invalid request: safety_mode must be one of CONTEXTUAL, STRICT, OFF', 'rejected'],
    [400, 'blocked input: please adjust your prompt and try again', 'content_policy'],
    [422, 'unprocessable entity', 'rejected'],
    [404, "model 'x' not found", 'rejected'],
    [503, 'overloaded', 'server'],
  ])('%i %s: %s', (status, message, kind) => {
    expect(kindOf(status, message)).toBe(kind);
  });

  test('the samples: a long prompt, and a limit per minute', () => {
    const kinds = [...samplesOf('cohere', 'errors')].map(
      ([status, body]) => dialects.cohere.fault(Number(status), {}, body, 0).kind,
    );
    expect(kinds).toEqual(['context_window', 'rate_limited']);
  });
});

describe('replicate', () => {
  const faultOf = (status: number, detail: string, headers = {}) =>
    dialects.replicate.fault(status, headers, Buffer.from(JSON.stringify({ detail, status })), 0);

  test.each([
    [402, 'You have insufficient credit to run this model.', 'quota'],
    [429, 'Request was throttled. Your rate limit resets in ~30s.', 'rate_limited'],
    [422, '- input.max_tokens: Must be greater than or equal to 1', 'rejected'],
    [422, 'The prompt exceeds the context length of the model.', 'context_window'],
    [400, 'The input or output was flagged as sensitive.', 'content_policy'],
    [401, 'Unauthenticated', 'credential'],
    [500, 'Internal error', 'server'],
  ])('%i %s: %s', (status, detail, kind) => {
    expect(faultOf(status, detail).kind).toBe(kind);
  });

  test('how long to wait, from a header or from the text', () => {
    expect(faultOf(429, 'Your rate limit resets in ~30s.').retryAfterMs).toBe(30_000);
    expect(faultOf(429, 'Your rate limit resets in ~30s.', { 'retry-after': '5' }).retryAfterMs).toBe(5000);
    expect(faultOf(429, 'Slow down.').retryAfterMs).toBeNull();
  });
});

describe('the models of Replicate', () => {
  const pathOf = (model: string): unknown => {
    const notes = createNotes();
    const to = { basePath: '', model, served: model, headers: [], quirks: {}, outputMaxTokens: null };
    const { chatProvider } = dialects.replicate;
    const { chatClient } = dialects.openai;
    const request = chatClient?.readRequest({ messages: [{ role: 'user', content: 'Hi' }] }, notes);
    if (request === undefined) throw new Error('OpenAI has clients');
    const call = chatProvider?.writeRequest(request, to, notes);
    return notes.invalid ?? [call?.path, call?.body.version];
  };

  test.each([
    ['meta/llama-3', ['/models/meta/llama-3/predictions', undefined]],
    ['acme/own-model:5c7d5dc6', ['/predictions', '5c7d5dc6']],
    ['deployments/acme/app', ['/deployments/acme/app/predictions', undefined]],
  ])('%s', (model, place) => {
    expect(pathOf(model)).toEqual(place);
  });

  test.each(['llama-3', '../..', 'a/..', 'a/b/c', 'a/b?x=1', 'a/b#c', 'deployments/a/b:1', '/b', 'a/'])(
    '%s is no name of one',
    (model) => {
      expect(pathOf(model)).toMatchObject({ field: 'model' });
    },
  );
});
