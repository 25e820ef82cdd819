/** Correct replies of OpenAI's Responses API, event by event. */
import { eventData, openaiWire, statedUsage, testModel, type Wire } from './replies.ts';

type Json = Record<string, unknown>;

const named = (event: Json): string => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
const place = { item_id: 'msg_1', output_index: 0, content_index: 0 };
const usage = {
  input_tokens: statedUsage.inputTokens,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: statedUsage.outputTokens,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: statedUsage.inputTokens + statedUsage.outputTokens,
};
const response = (status: string, more: Json = {}): Json => ({
  id: 'resp_1',
  object: 'response',
  created_at: 1_741_476_542,
  status,
  error: null,
  incomplete_details: null,
  model: 'gpt-5.2-2025-12-11',
  output: [],
  ...more,
});
const message = (text: string): Json => ({
  id: 'msg_1',
  type: 'message',
  status: 'completed',
  role: 'assistant',
  content: [{ type: 'output_text', text, annotations: [] }],
});

/** The Responses API on the wire. Its last event has the finish reason. */
export const responsesWire: Wire = {
  ...openaiWire,
  name: 'responses',
  path: '/v1/responses',
  request: (prompt, more = {}) => ({ model: testModel, input: prompt, ...more }),
  opening:
    named({ type: 'response.created', response: response('in_progress') }) +
    named({
      type: 'response.output_item.added',
      output_index: 0,
      item: { ...message(''), content: [], status: 'in_progress' },
    }) +
    named({
      type: 'response.content_part.added',
      ...place,
      part: { type: 'output_text', text: '', annotations: [] },
    }),
  text: (text) => named({ type: 'response.output_text.delta', ...place, delta: text }),
  finish: () => named({ type: 'response.completed', response: response('completed', { usage }) }),
  usage: '',
  end: '',
  errorEvent: (text) => named({ type: 'error', code: 'server_error', message: text, param: null }),
  stream(...texts) {
    return [this.opening, ...texts.map(this.text), this.finish()];
  },
  whole: (text) => JSON.stringify(response('completed', { output: [message(text)], usage })),
  textOf: (stream) =>
    eventData(stream)
      .map((event) => JSON.parse(event))
      .map((event) => (event.type === 'response.output_text.delta' ? event.delta : ''))
      .join(''),
};
