/**
 * Failover in the middle of a tool call, with reasoning on (row 33): whoever began the turn, the next provider is sent
 * what it accepts. The simulator refuses what the APIs refuse: signatures of others, and turns without their thinking.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulators } from '../dialects/simulators.ts';
import { ask } from '../support/client.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

type Json = Readonly<Record<string, unknown>>;

/** Models that are asked to reason by a budget where there is a choice, which is where turns can go wrong. */
const models = {
  openai: 'gpt-5.1',
  anthropic: 'claude-sonnet-4-5',
  gemini: 'gemini-2.5-flash',
  responses: 'gpt-5.1',
  bedrock: 'anthropic.claude-sonnet-4-5-20250929-v1:0',
  cohere: 'command-a-reasoning-08-2025',
} as const;
type Name = keyof typeof models;
const names = Object.keys(models) as Name[];

let sidecar: TestSidecar;
beforeAll(async () => {
  const down = (dialect: Name) => ({
    dialect,
    baseUrl: 'http://127.0.0.1:9',
    ...(dialect === 'bedrock' ? { region: 'us-east-1' } : {}),
    apiKey: 'k',
  });
  sidecar = await startTestSidecar({
    providers: Object.fromEntries(
      names.flatMap((name) => [
        [name, { preset: simulators[name] }],
        [`${name}-down`, down(name)],
      ]),
    ) as never,
    routes: names.flatMap((from) => [
      { model: `from-${from}`, targets: [{ provider: from, model: models[from] }] },
      ...names.map((to) => ({
        model: `${from}-to-${to}`,
        targets: [
          { provider: `${from}-down`, model: models[from] },
          { provider: to, model: models[to] },
        ],
      })),
    ]),
    cache: { enabled: false },
    attempt: { backoffBaseMs: 0, retriesMax: 0, breaker: { failures: 1000 } },
  });
});
afterAll(() => sidecar.stop());

const schema = { type: 'object', properties: { at: { type: 'string' } }, required: ['at'] };
const question = 'What is there?';

/** How a client asks for a tool and reasoning, and goes on with the tool's result. */
interface Client {
  path(model: string): string;
  first(model: string): Json;
  /** @param reply to the first */
  next(model: string, reply: Json): Json;
}

type Items = Record<string, never>[];
const clients: Readonly<Record<string, Client>> = {
  openai: {
    path: () => '/v1/chat/completions',
    first: (model) => ({
      model,
      messages: [{ role: 'user', content: question }],
      reasoning_effort: 'medium',
      max_completion_tokens: 20_000,
      tools: [{ type: 'function', function: { name: 'look', parameters: schema } }],
    }),
    next(model, reply) {
      const before = this.first(model) as { messages: Json[] };
      const [choice] = reply.choices as { message: { tool_calls: { id: string }[] } }[];
      const results =
        choice?.message.tool_calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'A cat.' })) ??
        [];
      return { ...before, messages: [...before.messages, choice?.message, ...results] };
    },
  },
  anthropic: {
    path: () => '/v1/messages',
    first: (model) => ({
      model,
      max_tokens: 20_000,
      messages: [{ role: 'user', content: question }],
      thinking: { type: 'enabled', budget_tokens: 2000 },
      tools: [{ name: 'look', input_schema: schema }],
    }),
    next(model, reply) {
      const before = this.first(model) as { messages: Json[] };
      const content = reply.content as Items;
      const results = content
        .filter(({ type }) => type === 'tool_use')
        .map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: 'A cat.' }));
      return {
        ...before,
        messages: [...before.messages, { role: 'assistant', content }, { role: 'user', content: results }],
      };
    },
  },
  responses: {
    path: () => '/v1/responses',
    first: (model) => ({
      model,
      input: [{ role: 'user', content: question }],
      reasoning: { effort: 'medium' },
      include: ['reasoning.encrypted_content'],
      store: false,
      max_output_tokens: 20_000,
      tools: [{ type: 'function', name: 'look', parameters: schema, strict: false }],
    }),
    next(model, reply) {
      const before = this.first(model) as { input: Json[] };
      const output = reply.output as Items;
      const results = output
        .filter(({ type }) => type === 'function_call')
        .map(({ call_id }) => ({ type: 'function_call_output', call_id, output: 'A cat.' }));
      return { ...before, input: [...before.input, ...output, ...results] };
    },
  },
  gemini: {
    path: (model) => `/v1beta/models/${model}:generateContent`,
    first: () => ({
      contents: [{ role: 'user', parts: [{ text: question }] }],
      generationConfig: {
        maxOutputTokens: 20_000,
        thinkingConfig: { includeThoughts: true, thinkingBudget: 2000 },
      },
      tools: [{ functionDeclarations: [{ name: 'look', parametersJsonSchema: schema }] }],
    }),
    next(model, reply) {
      const before = this.first(model) as { contents: Json[] };
      const [candidate] = reply.candidates as { content: { parts: Items } }[];
      const parts = candidate?.content.parts
        .filter((part) => 'functionCall' in part)
        .map(({ functionCall }) => {
          const { id, name } = functionCall as unknown as { id?: string; name: string };
          return {
            functionResponse: { ...(id === undefined ? {} : { id }), name, response: { output: 'A cat.' } },
          };
        });
      return { ...before, contents: [...before.contents, candidate?.content, { role: 'user', parts }] };
    },
  },
};

const asked = async (path: string, body: Json, headers = {}) => {
  const reply = await ask(sidecar.url, path, { body, headers });
  return { ...reply, json: JSON.parse(reply.text) as Json };
};

describe.each(Object.entries(clients))('row 33: a client of %s', (_, client) => {
  describe.each(names)('whose turn began at %s', (from) => {
    test.each(names)('goes on at %s', async (to) => {
      const called = await asked(client.path(`from-${from}`), client.first(`from-${from}`), {
        'x-simulate': 'call=look',
      });
      expect([called.status, called.text]).toEqual([200, expect.stringContaining('look')]);
      const model = `${from}-to-${to}`;
      const reply = await asked(client.path(model), client.next(model, called.json));
      expect([reply.status, reply.text]).toEqual([200, expect.stringContaining('A cat.')]);
      expect(reply.headers['x-sidegate-target']).toBe(`${to}/${models[to]}`);
    });
  });
});
