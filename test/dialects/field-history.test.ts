/** Turns that another provider answered, sent on to one that would refuse them as they came. */
import { describe, expect, test } from 'vitest';
import { startChain } from '../support/chain.ts';
import { anthropicWire, openaiWire } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';
import { type Json, passed, quirksOf, translated } from './field.ts';

/** The messages as they are sent within OpenAI's dialect; null: byte for byte as they came. */
const messagesPassed = (preset: string, messages: readonly Json[]): unknown =>
  passed(preset, { model: 'm', messages }).body?.messages ?? null;

const user = { role: 'user', content: 'Hi' };
const call = { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } };
const result = { role: 'tool', tool_call_id: 'c1', content: 'seen' };

describe.each(['groq', 'cerebras'])('members of turns that %s refuses', (preset) => {
  const said = { role: 'assistant', content: 'Hello.' };
  const given = {
    ...said,
    reasoning_content: 'Hm.',
    reasoning_details: [{ type: 'reasoning.text', text: 'Hm.' }],
    annotations: [],
    refusal: null,
    audio: null,
  };

  test('are left out, and its own reasoning stays', () => {
    expect(messagesPassed(preset, [user, given])).toEqual([user, said]);
    expect(messagesPassed(preset, [user, { ...said, reasoning: 'Hm.' }])).toBeNull();
  });
});

describe('the order of turns that Mistral demands', () => {
  const id = 'D681PevKs';
  const called = { role: 'assistant', content: 'I look.', tool_calls: [{ ...call, id }] };
  const seen = { ...result, tool_call_id: id };
  const heard = { role: 'assistant', content: 'OK.' };
  const said = { role: 'assistant', content: 'One, two,' };
  const rule = { role: 'system', content: 'Be quick.' };

  test('the assistant speaks after tools', () => {
    expect(messagesPassed('mistral', [user, called, seen, user])).toEqual([user, called, seen, heard, user]);
    expect(messagesPassed('mistral', [user, called, seen])).toBeNull();
    expect(messagesPassed('mistral', [user, called, seen, said, user])).toBeNull();
  });

  test('also where results came with a word or a picture of Anthropic’s clients', () => {
    const content = [{ type: 'tool_use', id, name: 'look', input: {} }];
    const image = { type: 'image', source: { type: 'url', url: 'https://a.example/b.png' } };
    const results = [{ type: 'tool_result', tool_use_id: id, content: [image] }];
    const messages = [user, { role: 'assistant', content }, { role: 'user', content: results }];
    const { body } = translated('anthropic', 'openai', 'mistral-large', { messages }, quirksOf('mistral'));
    const roles = (body.messages as Json[]).map(({ role }) => role);
    expect(roles).toEqual(['user', 'assistant', 'tool', 'assistant', 'user']);
  });

  test('the system doesn’t speak after it', () => {
    const asUser = { ...rule, role: 'user' };
    expect(messagesPassed('mistral', [user, said, rule, user])).toEqual([user, said, asUser, user]);
    expect(messagesPassed('mistral', [user, called, seen, rule])).toEqual([
      user,
      called,
      seen,
      heard,
      asUser,
    ]);
    expect(messagesPassed('mistral', [rule, user, said, user])).toBeNull();
  });

  test('the last word isn’t the assistant’s, unless it is marked as a prefix', () => {
    const goOn = { role: 'user', content: 'Continue from where you left off.' };
    expect(messagesPassed('mistral', [user, said])).toEqual([user, said, goOn]);
    expect(messagesPassed('mistral', [user, { content: 'One', role: 'assistant' }])).toHaveLength(3);
    expect(messagesPassed('mistral', [user, { ...said, prefix: true }])).toBeNull();
    expect(messagesPassed('groq', [user, said])).toBeNull();
  });
});

describe.each(['deepseek', 'moonshot'])('%s demands the reasoning of a conversation with calls', (preset) => {
  const called = { role: 'assistant', content: null, tool_calls: [call] };
  const said = { role: 'assistant', content: 'Seen.' };
  const unknown = { reasoning_content: ' ' };

  test('which another model’s turns don’t have', () => {
    expect(messagesPassed(preset, [user, called, result, { ...said, reasoning_content: '' }, user])).toEqual([
      user,
      { ...called, ...unknown },
      result,
      { ...said, ...unknown },
      user,
    ]);
    const content = [{ type: 'tool_use', id: 'c1', name: 'look', input: {} }];
    const seen = [{ type: 'tool_result', tool_use_id: 'c1', content: 'seen' }];
    const { body } = translated(
      'anthropic',
      'openai',
      'm',
      {
        messages: [user, { role: 'assistant', content }, { role: 'user', content: seen }],
      },
      quirksOf(preset),
    );
    expect((body.messages as Json[])[1]).toMatchObject(unknown);
  });

  test('what has it, or calls nothing, passes byte for byte', () => {
    const thought = { reasoning_content: 'He said "assistant".' };
    expect(
      messagesPassed(preset, [user, { ...called, ...thought }, result, { ...said, ...thought }]),
    ).toBeNull();
    expect(messagesPassed(preset, [user, said, user])).toBeNull();
  });
});

describe('ids of calls that another provider made', () => {
  const plain = /^call_[0-9a-f]{24}$/;
  const ids = ['functions.look:0', 'x'.repeat(41), 'toolu_01'];
  const tools = { openai: [{ type: 'function', function: { name: 'look' } }], anthropic: [{ name: 'look' }] };
  const turns = {
    openai: [
      { role: 'assistant', content: null, tool_calls: ids.map((id) => ({ ...call, id })) },
      ...ids.map((id) => ({ ...result, tool_call_id: id })),
    ],
    anthropic: [
      { role: 'assistant', content: ids.map((id) => ({ type: 'tool_use', id, name: 'look', input: {} })) },
      { role: 'user', content: ids.map((id) => ({ type: 'tool_result', tool_use_id: id, content: 'seen' })) },
    ],
  };
  /** The ids of calls and of results, as the provider gets them. */
  async function sentIds(dialect: 'openai' | 'anthropic', model: string): Promise<[unknown[], unknown[]]> {
    const wire = dialect === 'openai' ? openaiWire : anthropicWire;
    const chain = await startChain(wire, [[answers(wire, 'ok')]], {
      routes: [{ model: '*', targets: [{ provider: 'first' }] }],
    });
    const asked = { model, messages: [user, ...turns[dialect]], tools: tools[dialect] };
    expect((await chain.ask(asked)).status).toBe(200);
    const { messages } = (chain.first.calls[0]?.json ?? {}) as { messages: Json[] };
    const [, called = {}, ...results] = messages;
    const blocks = (list: unknown): Json[] => list as Json[];
    return dialect === 'openai'
      ? [blocks(called.tool_calls).map(({ id }) => id), results.map(({ tool_call_id }) => tool_call_id)]
      : [
          blocks(called.content).map(({ id }) => id),
          blocks(results[0]?.content).map(({ tool_use_id }) => tool_use_id),
        ];
  }

  test.each([
    ['openai', 'gpt-5'],
    ['anthropic', 'claude-sonnet-4-5'],
  ] as const)(
    '%s’s own models get those that they take, the same in call and result',
    async (dialect, model) => {
      const [called, answered] = await sentIds(dialect, model);
      expect(called).toEqual([expect.stringMatching(plain), expect.stringMatching(plain), 'toolu_01']);
      expect(answered).toEqual(called);
    },
  );

  test.each(['openai', 'anthropic'] as const)(
    'other servers of %s’s dialect get their own back',
    async (dialect) => {
      expect(await sentIds(dialect, 'kimi-k2.6')).toEqual([ids, ids]);
    },
  );
});
