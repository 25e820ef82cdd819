/** Vercel's `ai` with its providers for OpenAI and Anthropic, as the suites call it. */
import type * as anthropicProvider from '@ai-sdk/anthropic';
import type * as openaiProvider from '@ai-sdk/openai';
import type * as ai from 'ai';
import type { LanguageModel, ModelMessage, ToolSet } from 'ai';
import { type Asked, failureOf, type Heard, type SdkClient } from './client.ts';
import type { Connect } from './suite.ts';

// It prints one for every model that it doesn't know, as all are here.
globalThis.AI_SDK_LOG_WARNINGS = false;

/** One generation of the packages. */
export interface AiSdk {
  readonly ai: typeof ai;
  readonly openai: Pick<typeof openaiProvider, 'createOpenAI'>;
  readonly anthropic: Pick<typeof anthropicProvider, 'createAnthropic'>;
  /** What it calls the format of the answer. */
  readonly output: 'output' | 'experimental_output';
}

function messagesOf({ prompt, image, before }: Asked): ModelMessage[] {
  const content: Extract<ModelMessage, { role: 'user' }>['content'] = [{ type: 'text', text: prompt }];
  if (image !== null) content.push({ type: 'file', mediaType: 'image/png', data: image });
  const messages: ModelMessage[] = [{ role: 'user', content }];
  if (before === null) return messages;
  const results = before.results.map(({ call, text }) => ({
    type: 'tool-result' as const,
    toolCallId: call.id,
    toolName: call.name,
    output: { type: 'text' as const, value: text },
  }));
  return [...messages, ...(before.raw as ModelMessage[]), { role: 'tool', content: results }];
}

function optionsOf({ ai: { Output, jsonSchema, tool }, output }: AiSdk, model: LanguageModel, asked: Asked) {
  const { tokensMax, tools, choice, schema, headers } = asked;
  return {
    model,
    messages: messagesOf(asked),
    headers: { ...headers },
    maxRetries: 0,
    // Else what a Responses API stores is referred to by its id alone, and a gateway stores nothing.
    providerOptions: { openai: { store: false } },
    ...(tokensMax === null ? {} : { maxOutputTokens: tokensMax }),
    ...(tools.length === 0
      ? {}
      : {
          tools: Object.fromEntries(
            tools.map(({ name, parameters }) => [name, tool({ inputSchema: jsonSchema({ ...parameters }) })]),
          ) as ToolSet,
          toolChoice: typeof choice === 'string' ? choice : { type: 'tool' as const, toolName: choice.name },
        }),
    ...(schema === null ? {} : { [output]: Output.object({ schema: jsonSchema({ ...schema }) }) }),
  };
}

const finishes: Readonly<Record<string, Heard['finish']>> = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'calls',
};

async function generated(sdk: AiSdk, model: LanguageModel, asked: Asked) {
  const { text, toolCalls, finishReason, usage, response } = await sdk.ai.generateText(
    optionsOf(sdk, model, asked),
  );
  return { text, toolCalls, finishReason, usage, messages: response.messages, pieces: 0 };
}

/** `ai` makes errors of a stream a part of it. */
async function streamed(sdk: AiSdk, model: LanguageModel, asked: Asked) {
  const result = sdk.ai.streamText({ ...optionsOf(sdk, model, asked), onError() {} });
  let pieces = 0;
  for await (const part of result.fullStream) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'text-delta' || part.type === 'tool-input-delta') pieces += 1;
  }
  const [text, toolCalls, finishReason, usage, { messages }] = await Promise.all([
    result.text,
    result.toolCalls,
    result.finishReason,
    result.usage,
    result.response,
  ]);
  return { text, toolCalls, finishReason, usage, messages, pieces };
}

const connect =
  (sdk: AiSdk, modelAt: (url: string, model: string) => LanguageModel): Connect =>
  (url): SdkClient => ({
    failure(thrown) {
      // What a stream's error event says is given as it came.
      if (thrown instanceof Error) return failureOf(thrown);
      return { kind: typeof thrown, status: null, message: JSON.stringify(thrown) };
    },
    kindOf: () => sdk.ai.APICallError.name,
    async ask(asked) {
      const model = modelAt(url, asked.model);
      const { text, toolCalls, finishReason, usage, messages, pieces } = await (asked.stream
        ? streamed(sdk, model, asked)
        : generated(sdk, model, asked));
      return {
        text,
        calls: toolCalls.map(({ toolCallId, toolName, input }) => ({
          id: toolCallId,
          name: toolName,
          input,
        })),
        pieces,
        finish: finishes[finishReason] ?? 'none',
        inputTokens: usage.inputTokens ?? 0,
        outputTokens: usage.outputTokens ?? 0,
        raw: messages,
      };
    },
  });

const openaiAt = ({ openai }: AiSdk, url: string) =>
  openai.createOpenAI({ baseURL: `${url}/v1`, apiKey: 'k' });

/** Calls chat completions. */
export const chat = (sdk: AiSdk): Connect => connect(sdk, (url, model) => openaiAt(sdk, url).chat(model));

/** Calls the Responses API. */
export const responses = (sdk: AiSdk): Connect =>
  connect(sdk, (url, model) => openaiAt(sdk, url).responses(model));

/** Calls messages. */
export const messages = (sdk: AiSdk): Connect =>
  connect(sdk, (url, model) => sdk.anthropic.createAnthropic({ baseURL: `${url}/v1`, apiKey: 'k' })(model));
