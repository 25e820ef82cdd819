/** Correct replies of providers in both dialects, event by event, and helpers to read them back. */
import type { DialectName } from '../../src/exchange/dialects.ts';

/** Token counts in the ready-made replies. */
export const statedUsage = { inputTokens: 25, outputTokens: 15 } as const;

/** An error reply as the provider really sends it. */
export interface ErrorReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One dialect on the wire: requests, replies and their parts. */
export interface Wire {
  readonly name: DialectName;
  readonly path: string;
  /** Path for streams, in dialects whose body doesn't ask for one. */
  readonly streamPath?: string;
  /** A request body for `testModel`; `more` adds or replaces fields. */
  request(prompt: string, more?: Readonly<Record<string, unknown>>): Record<string, unknown>;
  /** What precedes the first content: a role; a message, an empty block and a ping. */
  readonly opening: string;
  text(text: string): string;
  thinking(text: string): string;
  /** The start of a tool call; its arguments follow in parts. */
  readonly toolBegins: string;
  toolArguments(part: string): string;
  /** Finish reason, with usage if the dialect has it there. */
  finish(reason?: 'stop' | 'length' | 'tool'): string;
  /** The usage event of a stream that was requested with it; empty if `finish` has it already. */
  readonly usage: string;
  /** The last event. */
  readonly end: string;
  /** An error in the middle of a stream. */
  errorEvent(message: string): string;
  /** A whole stream with these texts, as events. */
  stream(...texts: string[]): string[];
  whole(text: string): string;
  error(status: number, message: string): ErrorReply;
  /** All text of an event stream, joined as a client would. */
  textOf(stream: string): string;
  /** Type, code and message of the error in a body or in the data of an event; null if there is none. */
  errorOf(json: string): { readonly type: string; readonly code: string; readonly message: string } | null;
}

/** What a provider of a dialect sends. Dialects whose streams are not text have no more than this. */
export interface ProviderWire extends Pick<Wire, 'name' | 'whole' | 'error'> {
  /** Media type of its streams; server-sent events by default. */
  readonly streamType?: string;
  readonly opening: string | Buffer;
  text(text: string): string | Buffer;
  finish(reason?: 'stop' | 'length' | 'tool'): string | Buffer;
  errorEvent(message: string): string | Buffer;
  stream(...texts: string[]): (string | Buffer)[];
}

/** Headers of its streams. */
export const streamHeaders = ({ streamType }: ProviderWire): Readonly<Record<string, string>> =>
  streamType === undefined ? {} : { 'content-type': streamType };

/** Model of the ready-made requests and replies. */
export const testModel = 'test-model';

type Json = Record<string, unknown>;
const data = (event: Json): string => `data: ${JSON.stringify(event)}\n\n`;

/** The data of each event of a stream, as text. */
export function eventData(stream: string): string[] {
  return stream
    .replaceAll('\r\n', '\n')
    .split('\n\n')
    .map((event) => event.split('\n').filter((line) => line.startsWith('data: ')))
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.map((line) => line.slice(6)).join('\n'));
}

/** The error in the last event of a stream that has one; null if none has. */
export function lastError(wire: Wire, stream: string): ReturnType<Wire['errorOf']> {
  return wire.errorOf(eventData(stream).at(-1) ?? '');
}

function errorIn(json: string): { type: string; code: string; message: string } | null {
  try {
    const { error } = JSON.parse(json);
    return error === undefined || error === null
      ? null
      : { type: error.type, code: error.code, message: error.message };
  } catch {
    return null;
  }
}

const openaiTypes: Readonly<Record<number, readonly [type: string, code: string | null]>> = {
  400: ['invalid_request_error', 'invalid_value'],
  401: ['invalid_request_error', 'invalid_api_key'],
  403: ['invalid_request_error', 'unsupported_country_region_territory'],
  404: ['invalid_request_error', 'model_not_found'],
  429: ['requests', 'rate_limit_exceeded'],
  500: ['server_error', null],
  503: ['server_error', null],
};

const chunk = (choices: readonly Json[], usage: Json | null = null): string =>
  data({
    id: 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG',
    object: 'chat.completion.chunk',
    created: 1741570283,
    model: 'gpt-4o-2024-08-06',
    service_tier: 'default',
    system_fingerprint: 'fp_06737a9306',
    choices,
    usage,
  });
const delta = (change: Json, reason: string | null = null): string =>
  chunk([{ index: 0, delta: change, logprobs: null, finish_reason: reason }]);

const openaiUsage = {
  prompt_tokens: statedUsage.inputTokens,
  completion_tokens: statedUsage.outputTokens,
  total_tokens: statedUsage.inputTokens + statedUsage.outputTokens,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
};

/** OpenAI's chat completions. */
export const openaiWire: Wire = {
  name: 'openai',
  path: '/v1/chat/completions',
  request: (prompt, more = {}) => ({
    model: testModel,
    messages: [{ role: 'user', content: prompt }],
    ...more,
  }),
  opening: delta({ role: 'assistant', content: '', refusal: null }),
  text: (text) => delta({ content: text }),
  thinking: (text) => delta({ reasoning_content: text }),
  toolBegins: delta({
    tool_calls: [
      { index: 0, id: 'call_Abc', type: 'function', function: { name: 'get_weather', arguments: '' } },
    ],
  }),
  toolArguments: (part) => delta({ tool_calls: [{ index: 0, function: { arguments: part } }] }),
  finish: (reason = 'stop') => delta({}, reason === 'tool' ? 'tool_calls' : reason),
  usage: chunk([], openaiUsage),
  end: 'data: [DONE]\n\n',
  errorEvent: (message) =>
    data({ error: { message, type: 'server_error', param: null, code: 'server_error' } }),
  stream(...texts) {
    return [this.opening, ...texts.map(this.text), this.finish(), this.usage, this.end];
  },
  whole: (text) =>
    JSON.stringify({
      id: 'chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT',
      object: 'chat.completion',
      created: 1741569952,
      model: 'gpt-4o-2024-08-06',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: text, refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: openaiUsage,
      service_tier: 'default',
    }),
  error(status, message) {
    const [type, code] = openaiTypes[status] ?? ['invalid_request_error', null];
    const body = JSON.stringify({ error: { message, type, param: null, code } }, null, 2);
    return { status, headers: { 'content-type': 'application/json; charset=utf-8' }, body: `${body}\n` };
  },
  textOf: (stream) =>
    eventData(stream)
      .filter((event) => event !== '[DONE]')
      .map((event) => JSON.parse(event).choices?.[0]?.delta?.content ?? '')
      .join(''),
  errorOf: errorIn,
};

const named = (event: Json): string => `event: ${event.type}\n${data(event)}`;
const blockDelta = (index: number, change: Json): string =>
  named({ type: 'content_block_delta', index, delta: change });

const anthropicTypes: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  500: 'api_error',
  529: 'overloaded_error',
};

const message = (content: readonly Json[], stopReason: string | null, outputTokens: number): Json => ({
  id: 'msg_01XFDUDYJgAACzvnptvVoYEL',
  type: 'message',
  role: 'assistant',
  model: 'claude-sonnet-4-5-20250929',
  content,
  stop_reason: stopReason,
  stop_sequence: null,
  usage: { input_tokens: statedUsage.inputTokens, output_tokens: outputTokens, service_tier: 'standard' },
});
const anthropicReasons = { stop: 'end_turn', length: 'max_tokens', tool: 'tool_use' } as const;

/** Anthropic's messages. */
export const anthropicWire: Wire = {
  name: 'anthropic',
  path: '/v1/messages',
  request: (prompt, more = {}) => ({
    model: testModel,
    max_tokens: 1024,
    messages: [{ role: 'user', content: prompt }],
    ...more,
  }),
  opening:
    named({ type: 'message_start', message: message([], null, 1) }) +
    named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }) +
    named({ type: 'ping' }),
  text: (text) => blockDelta(0, { type: 'text_delta', text }),
  thinking: (text) => blockDelta(0, { type: 'thinking_delta', thinking: text }),
  toolBegins: named({
    type: 'content_block_start',
    index: 1,
    content_block: { type: 'tool_use', id: 'toolu_01T1x1fJ34qAmk2tNTrN7Up6', name: 'get_weather', input: {} },
  }),
  toolArguments: (part) => blockDelta(1, { type: 'input_json_delta', partial_json: part }),
  finish: (reason = 'stop') =>
    named({ type: 'content_block_stop', index: 0 }) +
    named({
      type: 'message_delta',
      delta: { stop_reason: anthropicReasons[reason], stop_sequence: null },
      usage: { output_tokens: statedUsage.outputTokens },
    }),
  usage: '',
  end: named({ type: 'message_stop' }),
  errorEvent: (text) => named({ type: 'error', error: { type: 'overloaded_error', message: text } }),
  stream(...texts) {
    return [this.opening, ...texts.map(this.text), this.finish(), this.end];
  },
  whole: (text) => JSON.stringify(message([{ type: 'text', text }], 'end_turn', statedUsage.outputTokens)),
  error(status, text) {
    const type = anthropicTypes[status] ?? 'api_error';
    const body = JSON.stringify({
      type: 'error',
      error: { type, message: text },
      request_id: 'req_011CSHoEeqs5C35K2UUqR7Fy',
    });
    return { status, headers: { 'content-type': 'application/json' }, body };
  },
  textOf: (stream) =>
    eventData(stream)
      .map((event) => JSON.parse(event))
      .map((event) => (event.type === 'content_block_delta' ? (event.delta.text ?? '') : ''))
      .join(''),
  errorOf: errorIn,
};

/** Dialects of both clients and providers, for tests that must hold in each. */
export const wires: readonly Wire[] = [openaiWire, anthropicWire];
