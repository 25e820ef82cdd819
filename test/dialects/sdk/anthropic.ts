/** Anthropic's SDK as the suites call it. */
import type Anthropic from '@anthropic-ai/sdk';
import { type Asked, failureOf, type Heard, type SdkClient } from './client.ts';
import type { Connect } from './suite.ts';

/** One generation of the SDK. */
export type AnthropicSdk = typeof Anthropic;

/** Earlier generations have no class for 503. */
const kindsOf = (Sdk: AnthropicSdk): Readonly<Record<number, string>> => ({
  400: Sdk.BadRequestError.name,
  404: Sdk.NotFoundError.name,
  422: Sdk.UnprocessableEntityError.name,
  503: (Sdk.ServiceUnavailableError ?? Sdk.InternalServerError).name,
});

function paramsOf(asked: Asked): Anthropic.MessageCreateParamsNonStreaming {
  const { model, prompt, tokensMax, tools, choice, image, schema, before } = asked;
  const content: Anthropic.ContentBlockParam[] = [{ type: 'text', text: prompt }];
  if (image !== null)
    content.unshift({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: image } });
  const messages: Anthropic.MessageParam[] = [{ role: 'user', content }];
  if (before !== null) {
    messages.push({ role: 'assistant', content: before.raw as Anthropic.ContentBlock[] });
    const results = before.results.map(({ call, text }) => ({
      type: 'tool_result' as const,
      tool_use_id: call.id,
      content: text,
    }));
    messages.push({ role: 'user', content: results });
  }
  const choices = { auto: { type: 'auto' }, required: { type: 'any' } } as const;
  return {
    model,
    messages,
    max_tokens: tokensMax ?? 1024,
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, parameters }) => ({ name, input_schema: { ...parameters } })),
          tool_choice:
            typeof choice === 'string' ? choices[choice] : { type: 'tool' as const, name: choice.name },
        }),
    ...(schema === null
      ? {}
      : { output_config: { format: { type: 'json_schema' as const, schema: { ...schema } } } }),
  };
}

const finishes: Readonly<Record<string, Heard['finish']>> = {
  end_turn: 'stop',
  max_tokens: 'length',
  tool_use: 'calls',
};

/** Calls messages. */
export const messages =
  (Sdk: AnthropicSdk): Connect =>
  (url): SdkClient => {
    const anthropic = new Sdk({ apiKey: 'k', baseURL: url, maxRetries: 0 });
    const kinds = kindsOf(Sdk);
    return {
      failure: failureOf,
      kindOf: (status) => kinds[status] ?? Sdk.InternalServerError.name,
      async ask(asked) {
        const { headers } = asked;
        let pieces = 0;
        let reply: Anthropic.Message;
        if (asked.stream) {
          const stream = anthropic.messages.stream(paramsOf(asked), { headers });
          stream.on('text', () => (pieces += 1));
          stream.on('inputJson', () => (pieces += 1));
          reply = await stream.finalMessage();
        } else reply = await anthropic.messages.create(paramsOf(asked), { headers });
        return {
          text: reply.content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
          calls: reply.content.flatMap((block) =>
            block.type === 'tool_use' ? [{ id: block.id, name: block.name, input: block.input }] : [],
          ),
          pieces,
          finish: finishes[reply.stop_reason ?? ''] ?? 'none',
          inputTokens: reply.usage.input_tokens,
          outputTokens: reply.usage.output_tokens,
          raw: reply.content,
        };
      },
    };
  };
