/** OpenAI's SDK as the suites call it: chat completions, and the Responses API. */
import type OpenAI from 'openai';
import { type Asked, failureOf, type Heard, type SdkClient } from './client.ts';
import type { Connect } from './suite.ts';

/** One generation of the SDK. */
export type OpenAiSdk = typeof OpenAI;

const connect = (Sdk: OpenAiSdk, url: string): OpenAI =>
  new Sdk({ apiKey: 'k', baseURL: `${url}/v1`, maxRetries: 0 });

/** What it throws. */
function errorsOf(Sdk: OpenAiSdk): Omit<SdkClient, 'ask'> {
  const kinds: Readonly<Record<number, string>> = {
    400: Sdk.BadRequestError.name,
    404: Sdk.NotFoundError.name,
    422: Sdk.UnprocessableEntityError.name,
  };
  return { failure: failureOf, kindOf: (status) => kinds[status] ?? Sdk.InternalServerError.name };
}

/** Where streams are put together: before version 5 it was a beta. */
function streamsOf({ chat, beta }: OpenAI): OpenAI.Chat.Completions {
  const { chat: early } = beta as unknown as { readonly chat?: { readonly completions: unknown } };
  return typeof chat.completions.stream === 'function'
    ? chat.completions
    : (early?.completions as OpenAI.Chat.Completions);
}

const pictureOf = (image: string): string => `data:image/png;base64,${image}`;

function chatParams(asked: Asked): OpenAI.ChatCompletionCreateParamsNonStreaming {
  const { model, prompt, tokensMax, tools, choice, image, schema, before } = asked;
  const content: OpenAI.ChatCompletionUserMessageParam['content'] =
    image === null
      ? prompt
      : [
          { type: 'text', text: prompt },
          { type: 'image_url', image_url: { url: pictureOf(image) } },
        ];
  const results = (before?.results ?? []).map(({ call, text }) => ({
    role: 'tool' as const,
    tool_call_id: call.id,
    content: text,
  }));
  const turn = before === null ? [] : [before.raw as OpenAI.ChatCompletionMessage];
  return {
    model,
    messages: [{ role: 'user', content }, ...turn, ...results],
    ...(tokensMax === null ? {} : { max_completion_tokens: tokensMax }),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, parameters }) => ({
            type: 'function' as const,
            function: { name, parameters: { ...parameters } },
          })),
          tool_choice:
            typeof choice === 'string'
              ? choice
              : { type: 'function' as const, function: { name: choice.name } },
        }),
    ...(schema === null
      ? {}
      : {
          response_format: {
            type: 'json_schema' as const,
            json_schema: { name: 'person', schema: { ...schema }, strict: true },
          },
        }),
  };
}

const chatFinish: Readonly<Record<string, Heard['finish']>> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'calls',
};

/** Calls chat completions. */
export const chat =
  (Sdk: OpenAiSdk): Connect =>
  (url): SdkClient => {
    const openai = connect(Sdk, url);
    return {
      ...errorsOf(Sdk),
      async ask(asked) {
        const { headers } = asked;
        const params = chatParams(asked);
        let pieces = 0;
        let reply: OpenAI.ChatCompletion;
        if (asked.stream) {
          const streamed = { ...params, stream: true as const, stream_options: { include_usage: true } };
          const stream = streamsOf(openai).stream(streamed, { headers });
          stream.on('content.delta', () => (pieces += 1));
          stream.on('tool_calls.function.arguments.delta', () => (pieces += 1));
          reply = await stream.finalChatCompletion();
        } else reply = await openai.chat.completions.create(params, { headers });
        const [choice] = reply.choices;
        return {
          text: choice?.message.content ?? '',
          calls: (choice?.message.tool_calls ?? []).flatMap((call) =>
            call.type === 'function'
              ? [{ id: call.id, name: call.function.name, input: JSON.parse(call.function.arguments) }]
              : [],
          ),
          pieces,
          finish: chatFinish[choice?.finish_reason ?? ''] ?? 'none',
          inputTokens: reply.usage?.prompt_tokens ?? 0,
          outputTokens: reply.usage?.completion_tokens ?? 0,
          raw: choice?.message,
        };
      },
    };
  };

function responsesParams(asked: Asked): OpenAI.Responses.ResponseCreateParamsNonStreaming {
  const { model, prompt, tokensMax, tools, choice, image, schema, before } = asked;
  const content: OpenAI.Responses.ResponseInputMessageContentList = [{ type: 'input_text', text: prompt }];
  if (image !== null) content.push({ type: 'input_image', image_url: pictureOf(image), detail: 'auto' });
  const results = (before?.results ?? []).map(({ call, text }) => ({
    type: 'function_call_output' as const,
    call_id: call.id,
    output: text,
  }));
  const turn = (before?.raw ?? []) as OpenAI.Responses.ResponseInputItem[];
  return {
    model,
    input: [{ role: 'user', content }, ...turn, ...results],
    ...(tokensMax === null ? {} : { max_output_tokens: tokensMax }),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, parameters }) => ({
            type: 'function' as const,
            name,
            parameters: { ...parameters },
            strict: false,
          })),
          tool_choice: typeof choice === 'string' ? choice : { type: 'function' as const, name: choice.name },
        }),
    ...(schema === null
      ? {}
      : {
          text: {
            format: { type: 'json_schema' as const, name: 'person', schema: { ...schema }, strict: true },
          },
        }),
  };
}

/** Before version 6, streams are put together without `output_text`. */
const textOf = ({ output_text: text, output }: OpenAI.Responses.Response): string =>
  (text as string | undefined) ??
  output
    .flatMap((item) => (item.type === 'message' ? item.content : []))
    .map((part) => (part.type === 'output_text' ? part.text : ''))
    .join('');

/** Calls the Responses API. */
export const responses =
  (Sdk: OpenAiSdk): Connect =>
  (url): SdkClient => {
    const openai = connect(Sdk, url);
    return {
      ...errorsOf(Sdk),
      async ask(asked) {
        const { headers } = asked;
        let pieces = 0;
        let reply: OpenAI.Responses.Response;
        if (asked.stream) {
          const stream = openai.responses.stream({ ...responsesParams(asked), stream: true }, { headers });
          stream.on('response.output_text.delta', () => (pieces += 1));
          stream.on('response.function_call_arguments.delta', () => (pieces += 1));
          reply = await stream.finalResponse();
        } else reply = await openai.responses.create(responsesParams(asked), { headers });
        const calls = reply.output.flatMap((item) =>
          item.type === 'function_call'
            ? [{ id: item.call_id, name: item.name, input: JSON.parse(item.arguments) }]
            : [],
        );
        const whole = calls.length > 0 ? 'calls' : 'stop';
        const filtered = reply.incomplete_details?.reason === 'content_filter';
        const cut = reply.status === 'incomplete' && !filtered ? 'length' : 'none';
        return {
          text: textOf(reply),
          calls,
          pieces,
          finish: reply.status === 'completed' ? whole : cut,
          inputTokens: reply.usage?.input_tokens ?? 0,
          outputTokens: reply.usage?.output_tokens ?? 0,
          raw: reply.output,
        };
      },
    };
  };
