/** Replies that state their usage, in the words of each provider. */

/** What is billed: tokens, and their price as the provider's page has it. */
export type Items = readonly (readonly [count: number, usdPerMTok: string])[];

/** How a provider says it: a whole reply, and a stream; null: it has no stream here. */
export interface Said {
  readonly whole: object;
  readonly stream: string | null;
}

/** One reply, and what it costs by its provider's prices. */
export interface Row {
  readonly name: string;
  readonly model: string;
  readonly said: Said;
  readonly items: Items;
}

/** A stream's text. @param named with the type of each event beside it */
export const sse = (events: readonly object[], named = false): string =>
  events
    .map((event) => {
      const type = named && 'type' in event ? `event: ${event.type}\n` : '';
      return `${type}data: ${JSON.stringify(event)}\n\n`;
    })
    .join('');

/** OpenAI's chat completions. */
export function chat(model: string, usage: object, service_tier?: string): Said {
  const tier = service_tier === undefined ? {} : { service_tier };
  const head = { id: 'c', created: 1, model, ...tier };
  const chunk = { ...head, object: 'chat.completion.chunk' };
  return {
    whole: {
      ...head,
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
      usage,
    },
    stream: `${sse([
      { ...chunk, choices: [{ index: 0, delta: { role: 'assistant', content: 'ok' }, finish_reason: null }] },
      { ...chunk, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      { ...chunk, choices: [], usage },
    ])}data: [DONE]\n\n`,
  };
}

export const chatUsage = (prompt: number, cached: number, completion: number) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  total_tokens: prompt + completion,
  prompt_tokens_details: { cached_tokens: cached },
});

/** OpenAI's Responses. */
export function response(
  model: string,
  prompt: number,
  cached: number,
  output: number,
  service_tier: string,
): Said {
  const message = {
    id: 'm',
    type: 'message',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text: 'ok', annotations: [] }],
  };
  const usage = {
    input_tokens: prompt,
    input_tokens_details: { cached_tokens: cached },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 5 },
    total_tokens: prompt + output,
  };
  const whole = {
    id: 'r',
    object: 'response',
    created_at: 1,
    status: 'completed',
    model,
    service_tier,
    output: [message],
    usage,
  };
  const begun = { ...whole, status: 'in_progress', output: [], usage: null, service_tier: 'auto' };
  const at = { item_id: 'm', output_index: 0 };
  const events = [
    { type: 'response.created', response: begun },
    {
      type: 'response.output_item.added',
      output_index: 0,
      item: { ...message, status: 'in_progress', content: [] },
    },
    {
      type: 'response.content_part.added',
      ...at,
      content_index: 0,
      part: { type: 'output_text', text: '', annotations: [] },
    },
    { type: 'response.output_text.delta', ...at, content_index: 0, delta: 'ok' },
    { type: 'response.output_text.done', ...at, content_index: 0, text: 'ok' },
    { type: 'response.content_part.done', ...at, content_index: 0, part: message.content[0] },
    { type: 'response.output_item.done', output_index: 0, item: message },
    { type: 'response.completed', response: whole },
  ];
  return {
    whole,
    stream: sse(
      events.map((event, sequence_number) => ({ ...event, sequence_number })),
      true,
    ),
  };
}

/** Anthropic's messages: what is read from and written to the cache stands beside `input_tokens`. */
export function message(
  model: string,
  input: number,
  read: number,
  minutes: number,
  hour: number,
  output: number,
  more: object = {},
): Said {
  const prompt = {
    input_tokens: input,
    cache_read_input_tokens: read,
    cache_creation_input_tokens: minutes + hour,
    cache_creation: { ephemeral_5m_input_tokens: minutes, ephemeral_1h_input_tokens: hour },
    ...more,
  };
  const head = { id: 'm', type: 'message', role: 'assistant', model };
  return {
    whole: {
      ...head,
      content: [{ type: 'text', text: 'ok' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { ...prompt, output_tokens: output },
    },
    stream: sse(
      [
        {
          type: 'message_start',
          message: {
            ...head,
            content: [],
            stop_reason: null,
            stop_sequence: null,
            usage: { ...prompt, output_tokens: 1 },
          },
        },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'ok' } },
        { type: 'content_block_stop', index: 0 },
        {
          type: 'message_delta',
          delta: { stop_reason: 'end_turn', stop_sequence: null },
          usage: { output_tokens: output },
        },
        { type: 'message_stop' },
      ],
      true,
    ),
  };
}

/** Gemini: what it thinks is billed as output, and stands beside the candidates. */
export function generated(
  prompt: number,
  cached: number,
  candidates: number,
  thoughts: number,
  more: object = {},
): Said {
  const whole = {
    candidates: [{ index: 0, content: { role: 'model', parts: [{ text: 'ok' }] }, finishReason: 'STOP' }],
    usageMetadata: {
      promptTokenCount: prompt,
      cachedContentTokenCount: cached,
      candidatesTokenCount: candidates,
      thoughtsTokenCount: thoughts,
      totalTokenCount: prompt + candidates + thoughts,
      ...more,
    },
  };
  return { whole, stream: `data: ${JSON.stringify(whole)}\r\n\r\n` };
}

/** Bedrock's Converse, counted as Anthropic does. */
export const conversed = (input: number, read: number, written: number, output: number): Said => ({
  whole: {
    output: { message: { role: 'assistant', content: [{ text: 'ok' }] } },
    stopReason: 'end_turn',
    usage: {
      inputTokens: input,
      outputTokens: output,
      totalTokens: input + read + written + output,
      cacheReadInputTokens: read,
      cacheWriteInputTokens: written,
    },
  },
  stream: null,
});

/** Cohere bills what `billed_units` says. */
export const cohere = (input: number, output: number): Said => ({
  whole: {
    id: 'c',
    finish_reason: 'COMPLETE',
    message: { role: 'assistant', content: [{ type: 'text', text: 'ok' }] },
    usage: {
      billed_units: { input_tokens: input, output_tokens: output },
      tokens: { input_tokens: input + 496, output_tokens: output + 2 },
    },
  },
  stream: null,
});

/** Replicate counts the tokens of official language models only. */
export const predicted = (model: string, input: number, output: number): Said => ({
  whole: {
    id: 'p',
    model,
    status: 'succeeded',
    input: {},
    output: ['o', 'k'],
    metrics: { input_token_count: input, output_token_count: output, predict_time: 1.5 },
  },
  stream: null,
});
