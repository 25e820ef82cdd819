/** Google's SDK with every provider. */
import {
  ApiError,
  type Content,
  FunctionCallingConfigMode,
  type GenerateContentConfig,
  type GenerateContentResponse,
  GoogleGenAI,
  type Part,
} from '@google/genai';
import { type Asked, failureOf, type Heard, type SdkClient } from './sdk/client.ts';
import { tryAll } from './sdk/suite.ts';

function configOf({ tokensMax, tools, choice, schema, headers }: Asked): GenerateContentConfig {
  const { AUTO, ANY } = FunctionCallingConfigMode;
  const functionCallingConfig =
    typeof choice === 'string'
      ? { mode: choice === 'auto' ? AUTO : ANY }
      : { mode: ANY, allowedFunctionNames: [choice.name] };
  return {
    httpOptions: { headers: { ...headers } },
    ...(tokensMax === null ? {} : { maxOutputTokens: tokensMax }),
    ...(tools.length === 0
      ? {}
      : {
          tools: [
            {
              functionDeclarations: tools.map(({ name, parameters }) => ({
                name,
                parametersJsonSchema: parameters,
              })),
            },
          ],
          toolConfig: { functionCallingConfig },
        }),
    ...(schema === null ? {} : { responseMimeType: 'application/json', responseJsonSchema: schema }),
  };
}

function contentsOf({ prompt, image, before }: Asked): Content[] {
  const parts: Part[] = [{ text: prompt }];
  if (image !== null) parts.push({ inlineData: { mimeType: 'image/png', data: image } });
  if (before === null) return [{ role: 'user', parts }];
  const results = before.results.map(({ call, text }) => ({
    functionResponse: {
      ...(call.id.startsWith('no id') ? {} : { id: call.id }),
      name: call.name,
      response: { output: text },
    },
  }));
  return [
    { role: 'user', parts },
    { role: 'model', parts: before.raw as Part[] },
    { role: 'user', parts: results },
  ];
}

const finishes: Readonly<Record<string, Heard['finish']>> = { STOP: 'stop', MAX_TOKENS: 'length' };

const generate = (url: string): SdkClient => {
  const { models } = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: url } });
  return {
    failure: failureOf,
    kindOf: () => ApiError.name,
    async ask(asked) {
      const params = { model: asked.model, contents: contentsOf(asked), config: configOf(asked) };
      const chunks: GenerateContentResponse[] = [];
      if (asked.stream) {
        for await (const chunk of await models.generateContentStream(params)) chunks.push(chunk);
      } else chunks.push(await models.generateContent(params));
      const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
      const calls = parts.flatMap(({ functionCall }, at) =>
        functionCall === undefined
          ? []
          : [
              {
                // Older models name none.
                id: functionCall.id ?? `no id ${at}`,
                name: functionCall.name ?? '',
                input: functionCall.args,
              },
            ],
      );
      const [reason] = chunks.flatMap((chunk) => chunk.candidates?.[0]?.finishReason ?? []).slice(-1);
      const usage = chunks.at(-1)?.usageMetadata;
      // The dialect ends alike, whether it calls or not; the mock has a word of its own.
      const called = calls.length > 0 && reason !== 'MAX_TOKENS';
      return {
        text: parts.map(({ text, thought }) => (thought === true ? '' : (text ?? ''))).join(''),
        calls,
        pieces: chunks.length,
        finish: called ? 'calls' : (finishes[reason ?? ''] ?? 'none'),
        inputTokens: usage?.promptTokenCount ?? 0,
        outputTokens: usage?.candidatesTokenCount ?? 0,
        raw: parts,
      };
    },
  };
};

tryAll<'genai'>({ '@google/genai': generate });
