/** Fields of a dialect that depend on the model. */
import { describe, expect, test } from 'vitest';
import { createNotes } from '../../src/dialects/chat.ts';
import { dialects } from '../../src/dialects/index.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { destinationFor, providerOf } from './fixtures.ts';

type Json = Record<string, unknown>;

/** A request of one dialect, written for a model of another. */
function translated(
  from: DialectName,
  to: DialectName,
  model: string,
  more: Json,
  outputMaxTokens: number | null = null,
) {
  const notes = createNotes();
  const messages = [{ role: 'user', content: 'Hi' }];
  const request = dialects[from].chatClient?.readRequest({ model: 'm', messages, ...more }, notes);
  if (request === undefined) throw new Error(`${from} has no clients`);
  const { body } = writeCall(request, providerOf(to), destinationFor(model, { outputMaxTokens }), notes);
  return { body, dropped: notes.dropped };
}

const claude = (model: string, more: Json, limit: number | null = null) =>
  translated('openai', 'anthropic', model, more, limit);
const gpt = (model: string, more: Json) => translated('anthropic', 'openai', model, more);

describe('Claude', () => {
  test.each([
    ['claude-sonnet-4-5', { type: 'enabled', budget_tokens: 8192 }, undefined],
    ['claude-opus-4-20250514', { type: 'enabled', budget_tokens: 8192 }, undefined],
    ['claude-opus-4-6', { type: 'adaptive' }, { effort: 'medium' }],
    ['claude-sonnet-5', { type: 'adaptive', display: 'summarized' }, { effort: 'medium' }],
    ['claude-opus-5-20270101', { type: 'adaptive', display: 'summarized' }, { effort: 'medium' }],
  ])('%s thinks by its own fields', (model, thinking, config) => {
    const { body, dropped } = claude(model, { reasoning_effort: 'medium', max_tokens: 20_000 });
    expect(body.thinking).toEqual(thinking);
    expect(body.output_config).toEqual(config);
    expect(dropped).toEqual([]);
  });

  test('thinks within its token limit, or not at all', () => {
    const asked = { reasoning_effort: 'high' };
    expect(claude('claude-sonnet-4-5', { ...asked, max_tokens: 3000 }).body.thinking).toEqual({
      type: 'enabled',
      budget_tokens: 2400,
    });
    const { body, dropped } = claude('claude-sonnet-4-5', { ...asked, max_tokens: 1000 });
    expect(body.thinking).toBeUndefined();
    expect(dropped).toEqual(['reasoning_effort']);
  });

  test('does not think if a tool is required', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }];
    const { body, dropped } = claude('claude-opus-4-6', {
      reasoning_effort: 'low',
      tools,
      tool_choice: 'required',
    });
    expect(body).not.toHaveProperty('thinking');
    expect(dropped).toEqual(['reasoning_effort']);
  });

  test('always has a token limit: the app’s, the model’s, or a small one', () => {
    expect(claude('claude-x', { max_tokens: 7 }, 9000).body.max_tokens).toBe(7);
    expect(claude('claude-x', {}, 9000).body.max_tokens).toBe(9000);
    expect(claude('claude-x', {}).body.max_tokens).toBe(4096);
  });

  test('accepts temperatures up to 1, one sampling parameter, and none while it thinks', () => {
    expect(claude('claude-sonnet-4-5', { temperature: 1.5 }).dropped).toEqual(['temperature']);
    expect(claude('claude-sonnet-4-5', { temperature: 0.5, top_p: 0.5 }).dropped).toEqual(['top_p']);
    expect(claude('claude-3-haiku', { temperature: 0.5, top_p: 0.5 }).dropped).toEqual([]);
    const thinking = { reasoning_effort: 'low', max_tokens: 9000 };
    const { body, dropped } = claude('claude-sonnet-4-5', {
      ...thinking,
      temperature: 0.5,
      top_p: 0.96,
      top_k: 5,
    });
    expect(body).toMatchObject({ top_p: 0.96 });
    expect(dropped).toEqual(['temperature', 'top_k']);
  });
});

describe('OpenAI’s dialect', () => {
  test.each([
    ['gpt-4o', 'max_completion_tokens'],
    ['o3-mini', 'max_completion_tokens'],
    ['llama-3.1-70b', 'max_tokens'],
    ['deepseek-chat', 'max_tokens'],
  ])('%s calls its limit %s', (model, name) => {
    expect(gpt(model, { max_tokens: 7 }).body).toMatchObject({ [name]: 7 });
  });

  test('models that never reason are sent no reasoning fields', () => {
    const thinking = { type: 'enabled', budget_tokens: 2000 };
    expect(gpt('gpt-4o', { thinking })).toMatchObject({ dropped: ['thinking'] });
    expect(gpt('gpt-4o', { thinking: { type: 'disabled' } }).dropped).toEqual([]);
    expect(gpt('gpt-5.2', { thinking }).body.reasoning_effort).toBe('low');
    expect(gpt('gpt-5.2', { thinking: { ...thinking, budget_tokens: 20_000 } }).body.reasoning_effort).toBe(
      'high',
    );
  });

  test('cache breakpoints go to models that accept them', () => {
    const system = [{ type: 'text', text: 'Rules.', cache_control: { type: 'ephemeral', ttl: '1h' } }];
    const first = (model: string): unknown => (gpt(model, { system }).body.messages as Json[])[0]?.content;
    expect(first('gpt-5.2')).toBe('Rules.');
    expect(first('gpt-5.6')).toEqual([
      { type: 'text', text: 'Rules.', prompt_cache_breakpoint: { mode: 'explicit', ttl: '12h' } },
    ]);
  });
});
