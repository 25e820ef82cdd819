/** Pictures and sources in replies. The names are the numbers of the reports. */
import { describe, expect, test } from 'vitest';
import { withoutForeign } from '../../src/dialects/foreign.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { clients, type Json, streamed, whole } from './field.ts';

const data = 'iVBORw0KGgo=';
const url = `data:image/png;base64,${data}`;
const image = { type: 'image_url', image_url: { url } };
const usage = { promptTokenCount: 5, candidatesTokenCount: 1120 };
const gemini = {
  candidates: [
    { content: { parts: [{ inlineData: { mimeType: 'image/png', data } }] }, finishReason: 'STOP' },
  ],
  usageMetadata: usage,
};
const replies: Readonly<Partial<Record<DialectName, Json>>> = {
  gemini,
  openai: { choices: [{ message: { content: null, images: [image] }, finish_reason: 'stop' }] },
  responses: { status: 'completed', output: [{ type: 'image_generation_call', result: data }] },
};
const streams: Readonly<Partial<Record<DialectName, Json[]>>> = {
  gemini: [gemini],
  openai: [
    { choices: [{ index: 0, delta: { content: '', images: [image] } }] },
    { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
  ],
  responses: [
    { type: 'response.created', response: { id: 'r' } },
    {
      type: 'response.output_item.done',
      output_index: 0,
      item: { type: 'image_generation_call', result: data },
    },
    { type: 'response.completed', response: { status: 'completed' } },
  ],
};
const shown: Readonly<Record<(typeof clients)[number], string>> = {
  openai: `"images":[{"type":"image_url","image_url":{"url":"${url}"},"index":0}]`,
  responses: `"type":"image_generation_call","status":"completed","output_format":"png","result":"${data}"`,
  gemini: `"inlineData":{"mimeType":"image/png","data":"${data}"}`,
  anthropic: '[A picture (image/png) was left out',
};

describe.each(['gemini', 'openai', 'responses'] as const)('A22: pictures of %s', (from) => {
  test.each(clients.filter((name) => name !== from))(
    'A22: are carried to %s, or their loss is told',
    (to) => {
      const reply = whole(from, to, replies[from] ?? {});
      expect(JSON.stringify(reply)).toContain(shown[to]);
      const { text, facts } = streamed(from, to, streams[from] ?? []);
      expect(facts.broken).toBeNull();
      expect(text).toContain(shown[to]);
    },
  );
});

const cited = 'Paris [1]';
const page = { url: 'https://example.org/', title: 'Paris' };
const at = { start_index: 6, end_index: 9 };
const chatAnnotation = { type: 'url_citation', url_citation: { ...page, ...at } };
const annotation = { type: 'url_citation', ...page, ...at };
const chat: Json = {
  choices: [{ message: { content: cited, annotations: [chatAnnotation] }, finish_reason: 'stop' }],
};
const message = {
  type: 'message',
  id: 'msg_1',
  content: [{ type: 'output_text', text: cited, annotations: [annotation] }],
};
const responses: Json = { status: 'completed', output: [message] };
const chatEvents = [
  { choices: [{ index: 0, delta: { content: cited } }] },
  { choices: [{ index: 0, delta: { annotations: [chatAnnotation] } }] },
  { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
];
const place = { output_index: 0, content_index: 0 };
const responseEvents = [
  { type: 'response.created', response: { id: 'r' } },
  { type: 'response.output_text.delta', ...place, delta: cited },
  { type: 'response.output_text.annotation.added', ...place, annotation_index: 0, annotation },
  { type: 'response.output_item.done', output_index: 0, item: message },
  { type: 'response.completed', response: { status: 'completed' } },
];
const location = { type: 'web_search_result_location', ...page };

describe('A23: sources', () => {
  test('A23: of chat for the Responses API, whole and streamed', () => {
    expect(whole('openai', 'responses', chat)?.output).toMatchObject([
      { content: [{ annotations: [annotation] }] },
    ]);
    const { received } = streamed('openai', 'responses', chatEvents);
    expect(received.filter(({ type }) => type === 'response.output_text.annotation.added')).toMatchObject([
      { annotation_index: 0, annotation },
    ]);
    expect((received.at(-1)?.response as Json | undefined)?.output).toMatchObject([
      { content: [{ annotations: [annotation] }] },
    ]);
  });

  test('A23: of the Responses API for chat, whole and streamed, each once', () => {
    const { choices } = whole('responses', 'openai', responses) as { choices: Json[] };
    expect(choices[0]?.message).toMatchObject({ annotations: [chatAnnotation] });
    const { received } = streamed('responses', 'openai', responseEvents);
    const deltas = received.flatMap((event) => event.choices as { delta: Json }[]).map(({ delta }) => delta);
    expect(deltas.flatMap(({ annotations }) => annotations ?? [])).toEqual([chatAnnotation]);
  });

  test.each([
    ['openai', chat, chatEvents],
    ['responses', responses, responseEvents],
  ] as const)('A23: of %s for Anthropic’s clients', (from, body, events) => {
    expect(whole(from, 'anthropic', body)?.content).toMatchObject([
      { text: cited, citations: [{ ...location, cited_text: '[1]' }] },
    ]);
    const { received } = streamed(from, 'anthropic', events);
    expect(
      received.find(({ delta }) => (delta as Json | undefined)?.type === 'citations_delta'),
    ).toMatchObject({
      index: 0,
      delta: { citation: location },
    });
  });

  test('A23: for Gemini’s clients', () => {
    const groundingMetadata = { groundingChunks: [{ web: { uri: page.url, title: page.title } }] };
    expect(whole('openai', 'gemini', chat)).toMatchObject({ candidates: [{ groundingMetadata }] });
    expect(streamed('openai', 'gemini', chatEvents).received.at(-1)).toMatchObject({
      candidates: [{ groundingMetadata }],
    });
  });

  test('A23: of Perplexity, whole and streamed', () => {
    const beside = { citations: [page.url], search_results: [page] };
    const body = { ...beside, choices: [{ message: { content: cited }, finish_reason: 'stop' }] };
    const events = [
      { ...beside, choices: [{ index: 0, delta: { content: cited } }] },
      { ...beside, choices: [{ index: 0, delta: { content: '' }, finish_reason: 'stop' }] },
    ];
    for (const to of ['anthropic', 'responses', 'gemini'] as const) {
      expect(JSON.stringify(whole('openai', to, body))).toContain(page.title);
      const { text } = streamed('openai', to, events);
      expect(text).toContain(`"title":"${page.title}"`);
    }
  });

  test('A23: what Anthropic did not find is not sent to it as if it had', () => {
    const [block] = (whole('openai', 'anthropic', chat)?.content ?? []) as Json[];
    const given = JSON.stringify({ messages: [{ role: 'assistant', content: [block] }] });
    const { body } = withoutForeign(Buffer.from(given), 'anthropic', true);
    expect(JSON.parse(body.toString()).messages[0].content).toEqual([{ ...block, citations: [] }]);
  });
});
