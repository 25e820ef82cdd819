/** Turns that another provider answered, sent on to one that would refuse them as they came. */
import { describe, expect, test } from 'vitest';
import { work as free } from '../../src/attempt/own.ts';
import { presets } from '../../src/dialects/presets.ts';
import { nativeEndpoint } from '../../src/native/inspect.ts';
import { type Json, translated } from './field.ts';

const quirksOf = (preset: string) => ({ quirks: presets[preset]?.quirks ?? {} });

/** The messages as they are sent within OpenAI's dialect; null: byte for byte as they came. */
function passed(preset: string, messages: readonly Json[]): readonly Json[] | null {
  const order = {
    dialect: 'openai',
    isClaude: false,
    turns: presets[preset]?.quirks.turns,
    inspectedAs: nativeEndpoint.Chat,
  } as const;
  const { body } = free(Buffer.from(JSON.stringify({ model: 'm', messages })), order);
  return body === null ? null : (JSON.parse(body.toString()) as { messages: Json[] }).messages;
}

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
    expect(passed(preset, [user, given])).toEqual([user, said]);
    expect(passed(preset, [user, { ...said, reasoning: 'Hm.' }])).toBeNull();
  });
});

describe.each(['deepseek', 'moonshot'])('%s demands the reasoning of a conversation with calls', (preset) => {
  const called = { role: 'assistant', content: null, tool_calls: [call] };
  const said = { role: 'assistant', content: 'Seen.' };
  const unknown = { reasoning_content: ' ' };

  test('which another model’s turns don’t have', () => {
    expect(passed(preset, [user, called, result, { ...said, reasoning_content: '' }, user])).toEqual([
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
    expect(passed(preset, [user, { ...called, ...thought }, result, { ...said, ...thought }])).toBeNull();
    expect(passed(preset, [user, said, user])).toBeNull();
  });
});
