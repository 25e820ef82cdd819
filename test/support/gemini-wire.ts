/** Correct replies of Gemini, event by event. */
import { eventData, statedUsage, testModel, type Wire } from './replies.ts';

type Json = Record<string, unknown>;

const data = (event: Json): string => `data: ${JSON.stringify(event)}\r\n\r\n`;
const usage = {
  promptTokenCount: statedUsage.inputTokens,
  candidatesTokenCount: statedUsage.outputTokens,
  totalTokenCount: statedUsage.inputTokens + statedUsage.outputTokens,
};
const response = (parts: readonly Json[], more: Json = {}, rest: Json = {}): Json => ({
  candidates: [{ content: { parts, role: 'model' }, ...more, index: 0 }],
  ...rest,
  modelVersion: 'gemini-2.5-flash',
  responseId: 'mUb1aKvxN7ynxs0P',
});
const reasons = { stop: 'STOP', length: 'MAX_TOKENS', tool: 'STOP' } as const;
const statuses: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

/** The gateway's own errors have their code as `reason`, and Google's status in place of a type. */
function errorIn(json: string): { type: string; code: string; message: string } | null {
  try {
    const { error } = JSON.parse(json);
    if (error === undefined || error === null) return null;
    const type = error.code >= 500 ? 'api_error' : error.status;
    return { type, code: error.details?.[0]?.reason, message: error.message };
  } catch {
    return null;
  }
}

/** Gemini on the wire. The path has the model and asks for a stream; the finish reason ends a stream. */
export const geminiWire: Wire = {
  name: 'gemini',
  path: `/v1beta/models/${testModel}:generateContent`,
  streamPath: `/v1beta/models/${testModel}:streamGenerateContent?alt=sse`,
  request: (prompt, more = {}) => ({ contents: [{ role: 'user', parts: [{ text: prompt }] }], ...more }),
  opening: data(response([{ text: '' }])),
  text: (text) => data(response([{ text }])),
  thinking: (text) => data(response([{ text, thought: true }])),
  toolBegins: data(response([{ functionCall: { name: 'get_weather', args: {} } }])),
  toolArguments: () => '',
  finish: (reason = 'stop') =>
    data(response([{ text: '' }], { finishReason: reasons[reason] }, { usageMetadata: usage })),
  usage: '',
  end: '',
  errorEvent: (message) => data({ error: { code: 503, message, status: 'UNAVAILABLE' } }),
  stream(...texts) {
    return [this.opening, ...texts.map(this.text), this.finish()];
  },
  whole: (text) => JSON.stringify(response([{ text }], { finishReason: 'STOP' }, { usageMetadata: usage })),
  error(status, message) {
    const error = { code: status, message, status: statuses[status] ?? 'INVALID_ARGUMENT' };
    return {
      status,
      headers: { 'content-type': 'application/json; charset=UTF-8' },
      body: JSON.stringify({ error }),
    };
  },
  textOf: (stream) =>
    eventData(stream)
      .map((event) => JSON.parse(event).candidates?.[0]?.content?.parts ?? [])
      .flatMap((parts: Json[]) => parts.map(({ text, thought }) => (thought === true ? '' : text)))
      .join(''),
  errorOf: errorIn,
};
