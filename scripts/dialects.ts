/** The tables of dialects: the sides of each, and the request fields that its providers support. */
import { refusesOf } from '../src/catalog/refuses.ts';
import { type ChatRequest, createNotes, type Part } from '../src/dialects/chat.ts';
import { dialects } from '../src/dialects/index.ts';
import { writeCall } from '../src/dialects/translate.ts';
import { dialectNames } from '../src/exchange/dialects.ts';
import { endpoints, isPassed } from '../src/exchange/endpoint.ts';

const code = (text: string): string => `\`${text}\``;

/** One row for each dialect. */
export function dialectRows(): string[][] {
  return dialectNames.map((name) => {
    const { chatClient, chatProvider } = dialects[name];
    const paths = (chat: boolean): string => {
      const found = endpoints.filter(
        (each) =>
          each.dialect === name &&
          each.kind !== 'models' &&
          !isPassed(each) &&
          (each.kind === 'chat') === chat,
      );
      return [...new Set(found.map(({ path }) => code(path)))].join(', ') || 'none';
    };
    return [
      code(name),
      chatClient === null ? 'none' : paths(true),
      chatProvider === null ? 'no' : 'yes',
      paths(false),
    ];
  });
}

const minimal: ChatRequest = {
  // What a client calls its fields doesn't matter here.
  names: new Proxy({} as ChatRequest['names'], { get: (_, name) => String(name) }),
  stream: false,
  messages: [],
  tools: [],
  toolChoice: null,
  parallelToolCalls: null,
  stop: [],
  maxTokens: 9000,
  temperature: null,
  topP: null,
  topK: null,
  frequencyPenalty: null,
  presencePenalty: null,
  seed: null,
  output: null,
  reasoning: null,
  user: null,
  metadata: null,
};

const part = (asked: Part): Partial<ChatRequest> => ({
  messages: [{ role: 'user', parts: [asked], name: null }],
});
const url = { kind: 'url', url: 'https://example.com/a' } as const;
const base64 = (mediaType: string) => ({ kind: 'base64', mediaType, data: 'AAAA' }) as const;
const rest = { cache: null, at: 'a' };
const tool = { name: 'f', description: null, parameters: null, strict: null, cache: null };

/** Requests with one feature each, by the feature's name. */
const probes: Readonly<Record<string, Partial<ChatRequest>>> = {
  'system and developer text': {
    messages: [{ role: 'developer', parts: [{ kind: 'text', text: 'a', cache: null }], name: null }],
  },
  'images by URL': part({ kind: 'image', source: url, detail: null, ...rest }),
  'images in Base64': part({ kind: 'image', source: base64('image/png'), detail: null, ...rest }),
  'PDF documents in Base64': part({
    kind: 'document',
    source: base64('application/pdf'),
    name: null,
    ...rest,
  }),
  'plain text documents': part({
    kind: 'document',
    source: { kind: 'text', text: 'a' },
    name: null,
    ...rest,
  }),
  'documents by URL': part({ kind: 'document', source: url, name: null, ...rest }),
  audio: part({ kind: 'audio', mediaType: 'audio/wav', data: 'AAAA', at: 'a' }),
  'tools, tool choice, results': { tools: [tool], toolChoice: { kind: 'tool', name: 'f' } },
  'parallel calls off': { tools: [tool], parallelToolCalls: false },
  'stop sequences': { stop: ['a'] },
  temperature: { temperature: 0.5 },
  '`top_p`': { topP: 0.5 },
  '`top_k`': { topK: 5 },
  '`frequency_penalty`, `presence_penalty`': { frequencyPenalty: 1, presencePenalty: 1 },
  '`seed`': { seed: 1 },
  'JSON by a schema': {
    output: { kind: 'schema', schema: {}, name: null, description: null, strict: null },
  },
  'JSON of any form': { output: { kind: 'json' } },
  'reasoning effort or budget': {
    reasoning: { effort: 'low', budgetTokens: null, adaptive: false, display: null },
  },
  'name of the end user': { user: 'a' },
  '`metadata`': { metadata: { a: 'b' } },
};

/** On Bedrock, support depends on the model: the table shows Claude. */
const modelOf = (dialect: string): string =>
  dialect === 'bedrock' ? 'anthropic.claude-sonnet-4-5' : dialect === 'gemini' ? 'gemini-3.5-flash' : 'any';

/** Dialects whose providers offer chat. */
export const chatProviders = dialectNames.filter((name) => dialects[name].chatProvider !== null);

/** One row for each feature: whether providers of each dialect support it. */
export function carriedRows(): string[][] {
  return Object.entries(probes).map(([name, asked]) => [
    name,
    ...chatProviders.map((dialect) => {
      const notes = createNotes();
      const { chatProvider } = dialects[dialect];
      if (chatProvider === null) throw new Error(`${dialect} has no chat`);
      const model = modelOf(dialect);
      const refuses = refusesOf(model);
      const to = {
        basePath: '',
        model,
        served: model,
        headers: [],
        outputMaxTokens: null,
        refuses,
        quirks: {},
      };
      writeCall({ ...minimal, ...asked }, chatProvider, to, notes);
      if (notes.unsupported !== null) return 'refused';
      return notes.dropped.length > 0 ? 'left out' : 'yes';
    }),
  ]);
}
