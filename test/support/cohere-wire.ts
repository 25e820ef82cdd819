/** Correct replies of Cohere's chat, event by event. Only providers speak it: no client sends a chat in it. */
import { eventData, statedUsage, testModel, type Wire } from './replies.ts';

type Json = Record<string, unknown>;

const named = (event: Json): string => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
const said = (type: string, message: Json, index = 0): string => named({ type, index, delta: { message } });
const id = 'c14c80c3-18eb-4519-9460-6c92edd8cfb4';
const usage = {
  billed_units: { input_tokens: statedUsage.inputTokens, output_tokens: statedUsage.outputTokens },
  tokens: { input_tokens: 512, output_tokens: statedUsage.outputTokens },
};
const reasons = { stop: 'COMPLETE', length: 'MAX_TOKENS', tool: 'TOOL_CALL' } as const;
const call = { id: 'get_weather_1', type: 'function', function: { name: 'get_weather', arguments: '' } };

/** Cohere on the wire. The message's end has its finish reason and its usage. */
export const cohereWire: Wire = {
  name: 'cohere',
  path: '/v2/chat',
  request: (prompt, more = {}) => ({
    model: testModel,
    messages: [{ role: 'user', content: prompt }],
    ...more,
  }),
  opening:
    named({
      type: 'message-start',
      id,
      delta: { message: { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } },
    }) + said('content-start', { content: { type: 'text', text: '' } }),
  text: (text) => said('content-delta', { content: { text } }),
  thinking: (thinking) => said('content-delta', { content: { thinking } }),
  toolBegins: said('tool-call-start', { tool_calls: call }),
  toolArguments: (part) => said('tool-call-delta', { tool_calls: { function: { arguments: part } } }),
  finish: (reason = 'stop') =>
    named({ type: 'content-end', index: 0 }) +
    named({ type: 'message-end', id, delta: { finish_reason: reasons[reason], usage } }),
  usage: '',
  end: '',
  errorEvent: (error) => named({ type: 'message-end', id, delta: { finish_reason: 'ERROR', error } }),
  stream(...texts) {
    return [this.opening, ...texts.map(this.text), this.finish()];
  },
  whole: (text) =>
    JSON.stringify({
      id,
      message: { role: 'assistant', content: [{ type: 'text', text }] },
      finish_reason: 'COMPLETE',
      usage,
    }),
  error: (status, message) => ({
    status,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id: '0f6a9a34-2ab7-4a4e-9a4e-35c21a3ffb0c', message }),
  }),
  textOf: (stream) =>
    eventData(stream)
      .map((event) => JSON.parse(event))
      .map((event) => (event.type === 'content-delta' ? (event.delta.message.content.text ?? '') : ''))
      .join(''),
  errorOf(json) {
    const { code, message } = JSON.parse(json);
    return typeof message === 'string' ? { type: '', code, message } : null;
  },
};
