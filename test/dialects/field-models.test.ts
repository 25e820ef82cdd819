/** What models refuse, alone or together with something. The names are the numbers of the reports. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { familyOf } from '../../src/catalog/families.ts';
import { refusesOf, rows } from '../../src/catalog/refuses.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { clients, type Json, translated } from './field.ts';

const prices = new URL('../../src/catalog/prices/', import.meta.url).pathname;
const schema = { type: 'object', properties: {} };
/** A tool, how much to reason, and the choice of a call, in each client's words. */
const asking: Readonly<Record<(typeof clients)[number], Readonly<Record<string, (value?: never) => Json>>>> =
  {
    openai: {
      tool: () => ({ tools: [{ type: 'function', function: { name: 'w', parameters: schema } }] }),
      effort: (value) => ({ reasoning_effort: value }),
      off: () => ({ reasoning_effort: 'none' }),
      forced: () => ({ tool_choice: 'required' }),
      named: () => ({ tool_choice: { type: 'function', function: { name: 'w' } } }),
      stop: () => ({ stop: ['X'] }),
      penalty: () => ({ frequency_penalty: 0.5, presence_penalty: 0.5 }),
    },
    anthropic: {
      tool: () => ({ tools: [{ name: 'w', input_schema: schema }] }),
      effort: (value) => ({ thinking: { type: 'adaptive' }, output_config: { effort: value } }),
      off: () => ({ thinking: { type: 'disabled' } }),
      forced: () => ({ tool_choice: { type: 'any' } }),
      named: () => ({ tool_choice: { type: 'tool', name: 'w' } }),
      stop: () => ({ stop_sequences: ['X'] }),
    },
    responses: {
      tool: () => ({ tools: [{ type: 'function', name: 'w', parameters: schema }] }),
      effort: (value) => ({ reasoning: { effort: value } }),
      off: () => ({ reasoning: { effort: 'none' } }),
      forced: () => ({ tool_choice: 'required' }),
      named: () => ({ tool_choice: { type: 'function', name: 'w' } }),
    },
    gemini: {
      tool: () => ({ tools: [{ functionDeclarations: [{ name: 'w' }] }] }),
      effort: (value) => ({
        generationConfig: { thinkingConfig: { thinkingLevel: String(value).toUpperCase() } },
      }),
      off: () => ({ generationConfig: { thinkingConfig: { thinkingBudget: 0 } } }),
      forced: () => ({ toolConfig: { functionCallingConfig: { mode: 'ANY' } } }),
      named: () => ({ toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['w'] } } }),
      stop: () => ({ generationConfig: { stopSequences: ['X'] } }),
      penalty: () => ({ generationConfig: { frequencyPenalty: 0.5, presencePenalty: 0.5 } }),
    },
  };
const say = (client: (typeof clients)[number], what: string, value?: string): Json | null =>
  asking[client][what]?.(value as never) ?? null;
/** Every client that has words for all of these wishes, with the request. */
const asked = (to: DialectName, ...what: (string | [string, string])[]) =>
  clients
    .filter((client) => client !== to)
    .flatMap((client) => {
      const said = what.map((one) => (typeof one === 'string' ? say(client, one) : say(client, ...one)));
      return said.includes(null) ? [] : [[client, Object.assign({}, ...said)] as const];
    });

describe('A1: tools beside reasoning in chat completions', () => {
  const openai = ['gpt-5.4', 'gpt-5.4-mini', 'gpt-5.5', 'gpt-5.6-terra', 'gpt-6-sol', 'ft:gpt-5.4:me'];

  test.each(openai)('A1: %s is asked for no effort beside tools, and that is named', (model) => {
    for (const [client, said] of asked('openai', 'tool', ['effort', 'medium'])) {
      const { body, dropped, unsupported } = translated(client, 'openai', model, said);
      expect(body.reasoning_effort).toBe('none');
      expect(body.tools).toHaveLength(1);
      expect(dropped).toHaveLength(1);
      expect(unsupported).toBeNull();
    }
  });

  test.each([
    ['gpt-5.4', undefined],
    ['gpt-5.5', undefined],
    ['gpt-5.6-terra', 'none'],
    ['gpt-6-sol', 'none'],
  ])('A1: saying nothing of effort is none for %s only by saying so: %s', (model, effort) => {
    for (const [client, said] of asked('openai', 'tool')) {
      const { body, dropped } = translated(client, 'openai', model, said);
      expect(body.reasoning_effort).toBe(effort);
      expect(dropped).toEqual([]);
    }
  });

  test('A1: without tools, before GPT-5.4 and in the Responses API effort goes with tools', () => {
    for (const [client, said] of asked('openai', ['effort', 'low'])) {
      expect(translated(client, 'openai', 'gpt-5.6-terra', said).body.reasoning_effort).toBe('low');
    }
    for (const [client, said] of asked('openai', 'tool', ['effort', 'low'])) {
      expect(translated(client, 'openai', 'gpt-5.2', said).body.reasoning_effort).toBe('low');
      expect(translated(client, 'openai', 'openai/gpt-5.6', said).body.reasoning_effort).toBe('low');
      if (client === 'responses') continue;
      const { body } = translated(client, 'responses', 'gpt-5.6-terra', said);
      expect(body.reasoning).toMatchObject({ effort: 'low' });
    }
  });

  test('A1: an Azure deployment is what its target says it is', () => {
    const said = { ...say('anthropic', 'tool'), ...say('anthropic', 'effort', 'low') };
    const served = 'gpt-5.6-terra';
    const to = { served, refuses: refusesOf(served), quirks: { completionTokens: true } as const };
    const { body } = translated('anthropic', 'openai', 'my-deployment', said, to);
    expect(body).toMatchObject({ model: 'my-deployment', reasoning_effort: 'none' });
  });
});

describe('Claude', () => {
  const always = ['claude-fable-5', 'claude-fable-5-1', 'claude-mythos-5', 'claude-fable-latest'];

  test.each(always)('A17: %s can’t stop thinking: the least effort is asked for', (model) => {
    for (const [client, said] of asked('anthropic', 'off')) {
      const { body } = translated(client, 'anthropic', model, said);
      expect(body).not.toHaveProperty('thinking');
      expect(body.output_config).toEqual({ effort: 'low' });
    }
    for (const [client, said] of asked('bedrock', 'off')) {
      const { body } = translated(client, 'bedrock', `us.anthropic.${model}-v1:0`, said);
      expect(body.additionalModelRequestFields).toEqual({ output_config: { effort: 'low' } });
    }
  });

  test('A17: others stop', () => {
    const { body } = translated('openai', 'anthropic', 'claude-opus-5', { reasoning_effort: 'none' });
    expect(body.thinking).toEqual({ type: 'disabled' });
  });

  const unforced = ['claude-opus-5-5', 'claude-fable-5-1', 'claude-mythos-5-1', 'claude-opus-5.5'];
  test.each(unforced)('A18: %s refuses a forced call, so another target answers', (model) => {
    for (const to of ['anthropic', 'bedrock'] as const) {
      for (const choice of ['forced', 'named']) {
        for (const [client, said] of asked(to, 'tool', choice)) {
          expect(translated(client, to, model, said).unsupported).toMatch(/tool_choice|toolConfig/);
        }
      }
    }
  });

  test.each(['claude-opus-5', 'claude-fable-5', 'claude-sonnet-5'])('A18: %s is forced', (model) => {
    for (const [client, said] of asked('anthropic', 'tool', 'forced')) {
      const { body, unsupported } = translated(client, 'anthropic', model, said);
      expect(body.tool_choice).toEqual({ type: 'any' });
      expect(unsupported).toBeNull();
    }
  });
});

describe('A19: Gemini’s penalties', () => {
  const newer = ['gemini-2.5-flash', 'gemini-3-flash-preview', 'gemini-3.8-flash', 'gemini-flash-latest'];
  test.each(newer)('A19: %s is sent none, and they are named', (model) => {
    for (const to of ['gemini', 'openai'] as const) {
      for (const [client, said] of asked(to, 'penalty')) {
        const { body, dropped } = translated(client, to, model, said);
        expect(JSON.stringify(body)).not.toMatch(/penalty/i);
        expect(dropped).toHaveLength(2);
      }
    }
  });

  test('A19: Gemini 2.0 takes them', () => {
    const { body } = translated('openai', 'gemini', 'gemini-2.0-flash', { frequency_penalty: 0.5 });
    expect(body.generationConfig).toEqual({ frequencyPenalty: 0.5 });
  });
});

describe('A20: xAI’s reasoning models', () => {
  const silent = ['grok-4', 'grok-4-0709', 'grok-4-1-fast', 'grok-4.20', 'grok-code-fast-1', 'grok-4-latest'];
  test.each(silent)('A20: %s is sent no effort, and that is named', (model) => {
    for (const [client, said] of asked('openai', ['effort', 'low'])) {
      const { body, dropped } = translated(client, 'openai', model, said);
      expect(body).not.toHaveProperty('reasoning_effort');
      expect(dropped).toHaveLength(1);
    }
  });

  test.each([
    ['grok-3-mini', 'medium', 'low'],
    ['grok-3-mini', 'high', 'high'],
    ['grok-4.3', 'medium', 'medium'],
    ['grok-4.6', 'none', 'none'],
    ['grok-4.3', 'max', 'high'],
  ])('A20: %s knows some efforts: %s is %s', (model, effort, sent) => {
    const said = { reasoning: { effort } };
    expect(translated('responses', 'openai', model, said).body.reasoning_effort).toBe(sent);
  });

  test.each([...silent, 'grok-3-mini', 'grok-4.3'])('A20: %s takes neither stop nor penalties', (model) => {
    for (const [client, said] of asked('openai', 'stop'))
      expect(translated(client, 'openai', model, said).unsupported).toMatch(/stop/i);
    for (const [client, said] of asked('openai', 'penalty')) {
      const { body, dropped } = translated(client, 'openai', model, said);
      expect(JSON.stringify(body)).not.toContain('penalty');
      expect(dropped).toHaveLength(2);
    }
  });

  test('A20: those that don’t reason take both', () => {
    const { body, unsupported } = translated('gemini', 'openai', 'grok-4-fast-non-reasoning', {
      generationConfig: { stopSequences: ['X'], presencePenalty: 0.5 },
    });
    expect(body).toMatchObject({ stop: 'X', presence_penalty: 0.5 });
    expect(unsupported).toBeNull();
  });
});

test('every model that a maker of the table prices and that reasons has a row', () => {
  for (const table of ['openai', 'anthropic', 'x-ai', 'google']) {
    const { models } = JSON.parse(readFileSync(`${prices}${table}.json`, 'utf8')) as { models: Json[] };
    const names = models
      .map(({ id }) => String(id))
      .filter((id) => !/embedding|oss|^gemini-(?:1|2\.0)/.test(id));
    const reasoning = names.filter((id) => familyOf(id)?.capabilities.includes('reasoning'));
    expect(reasoning.length).toBeGreaterThan(4);
    for (const id of reasoning) expect([id, refusesOf(id)]).toEqual([id, expect.anything()]);
  }
});

test.each([
  ['gpt-35-turbo', 'gpt-3.5-turbo'],
  ['gpt-35-turbo-16k', 'gpt-3.5-turbo'],
  ['gpt-41-mini', 'gpt-4.1-mini'],
  ['gpt-51', 'gpt-5.1'],
  ['gpt-56-terra', 'gpt-5.6-terra'],
  ['gpt-5-2025-08-07', 'gpt-5'],
  ['gpt-4-0613', 'gpt-4'],
])('%s, as Azure and its deployments write it, is %s', (written, meant) => {
  expect(refusesOf(written)).toEqual(refusesOf(meant));
  const said = { ...say('anthropic', 'tool') };
  const { body } = translated('anthropic', 'openai', written, said, { refuses: refusesOf(written) });
  expect(body.reasoning_effort).toBe(meant.startsWith('gpt-5.6') ? 'none' : undefined);
});

test('gpt-35-turbo is the family that it belongs to', () => {
  expect(familyOf('gpt-35-turbo')).toBe(familyOf('gpt-3.5-turbo'));
});

test('every row of the table names the maker’s page', () => {
  for (const { docs } of rows) expect(docs).toMatch(/^https:\/\//);
});
