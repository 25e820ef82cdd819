/** No part of a request is lost silently: it is refused, or named as dropped. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { createNotes } from '../../src/dialects/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { ask } from '../support/client.ts';
import { anthropicWire, openaiWire, testModel } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

type Json = Record<string, unknown>;

function read(client: DialectName, body: Json) {
  const notes = createNotes();
  const request = dialects[client].chatClient?.readRequest({ model: 'm', ...body }, notes);
  return { request, ...notes };
}
const user = (content: unknown, more: Json = {}) => ({ messages: [{ role: 'user', content, ...more }] });
const image = (url: string) => user([{ type: 'image_url', image_url: { url } }]);

describe('anything but a list of objects is the client’s mistake, and is located', () => {
  test.each<[DialectName, Json, string]>([
    ['openai', { messages: [null] }, 'messages[0]'],
    ['openai', user({ type: 'text', text: 'Hi' }), 'messages[0].content'],
    ['openai', user(['Hi']), 'messages[0].content[0]'],
    ['openai', { ...user('Hi'), tools: {} }, 'tools'],
    ['anthropic', user(7), 'messages[0].content'],
    ['anthropic', { messages: ['Hi'] }, 'messages[0]'],
    ['responses', { input: ['Hi'] }, 'input[0]'],
    ['responses', { input: [{ role: 'user', content: [7] }] }, 'input[0].content[0]'],
    ['gemini', { contents: ['Hi'] }, 'contents[0]'],
    ['gemini', { contents: [{ role: 'user', parts: 'Hi' }] }, 'contents[0].parts'],
  ])('%s %j', (client, body, field) => {
    expect(read(client, body).invalid?.field).toBe(field);
  });
});

describe('essential fields are unsupported', () => {
  test.each<[DialectName, Json, string]>([
    ['openai', image('data:image/svg+xml,<svg/>'), 'messages[0].content[0]'],
    ['anthropic', { ...user('Hi'), tool_choice: { type: 'some' } }, 'tool_choice'],
    ['anthropic', { ...user('Hi'), compaction: { type: 'summarize' } }, 'compaction'],
    ['anthropic', { ...user('Hi'), inference_geo: 'us' }, 'inference_geo'],
    [
      'responses',
      { input: 'Hi', moderation: { model: 'm', policy: { output: { mode: 'block' } } } },
      'moderation',
    ],
    ['gemini', { contents: [], modelArmorConfig: { promptTemplateName: 't' } }, 'modelArmorConfig'],
    ['anthropic', { ...user('Hi'), output_format: { type: 'grammar' } }, 'output_config.format'],
    [
      'gemini',
      {
        contents: [],
        generationConfig: { responseMimeType: 'text/x.enum', responseSchema: { type: 'STRING' } },
      },
      'generationConfig.responseMimeType',
    ],
  ])('%s %j', (client, body, field) => {
    expect(read(client, body).unsupported).toBe(field);
  });
});

test('what means the same as leaving it out is neither', () => {
  expect(read('anthropic', { ...user('Hi'), inference_geo: 'global' })).toMatchObject({
    unsupported: null,
    dropped: [],
  });
});

describe('other fields are named as dropped', () => {
  test.each<[DialectName, Json, string]>([
    ['openai', { ...user('Hi'), reasoning_effort: 'default' }, 'reasoning_effort'],
    ['openai', user('Hi', { name: 'Ann' }), 'messages[0].name'],
    ['responses', { input: 'Hi', reasoning: { effort: 'default' } }, 'reasoning.effort'],
    ['anthropic', { ...user('Hi'), output_config: { effort: 'huge' } }, 'output_config.effort'],
    ['anthropic', { ...user('Hi'), output_config: { task_budget: {}, more: 1 } }, 'output_config.more'],
    [
      'anthropic',
      { ...user('Hi'), tools: [{ name: 'f', input_schema: {}, input_examples: [{}] }] },
      'tools[0].input_examples',
    ],
    [
      'gemini',
      { contents: [], tools: [{ functionDeclarations: [{ name: 'f', behavior: 'BLOCKING' }] }] },
      'tools[0].functionDeclarations[0].behavior',
    ],
    [
      'gemini',
      {
        contents: [
          {
            parts: [{ inlineData: { mimeType: 'image/png', data: 'AA' }, mediaResolution: { level: 'LOW' } }],
          },
        ],
      },
      'contents[0].parts[0].mediaResolution',
    ],
  ])('%s %j', (client, body, field) => {
    const { invalid, unsupported, dropped } = read(client, body);
    expect({ invalid, unsupported, dropped }).toEqual({ invalid: null, unsupported: null, dropped: [field] });
  });
});

test('defaults are no loss', () => {
  const body = { input: 'Hi', truncation: 'disabled', service_tier: 'auto', text: { verbosity: 'medium' } };
  expect(read('responses', body).dropped).toEqual([]);
});

test('output_format is read as the output format', () => {
  const schema = { type: 'object' };
  const { request } = read('anthropic', { ...user('Hi'), output_format: { type: 'json_schema', schema } });
  expect(request?.output).toMatchObject({ kind: 'schema', schema });
});

test('an image’s media type is corrected', () => {
  const { request } = read('openai', image('data:image/JPG;base64,AAAA'));
  expect(request?.messages[0]?.parts[0]).toMatchObject({ source: { mediaType: 'image/jpeg' } });
});

test('a header that only one dialect has is named as dropped, but never refused', async () => {
  const upstream = await startUpstream(answers(openaiWire, 'Hello'));
  const sidecar = await startTestSidecar({
    providers: { p: { dialect: 'openai', baseUrl: upstream.baseUrl } },
    routes: [{ model: testModel, targets: [{ provider: 'p' }] }],
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const headers = { 'anthropic-beta': 'context-1m-2025-08-07' };
  const reply = await ask(sidecar.url, anthropicWire.path, {
    body: anthropicWire.request('Hi', {}),
    headers,
  });
  expect(reply.status).toBe(200);
  expect(reply.headers['x-sidegate-dropped']).toBe('anthropic-beta');
});
