/** Conversations that a provider would refuse as they are. The names are the numbers of the reports. */
import { describe, expect, test } from 'vitest';
import { withoutForeign } from '../../src/dialects/foreign.ts';
import { startChain } from '../support/chain.ts';
import { anthropicWire } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';
import { type Json, translated } from './field.ts';

describe('failover amid a call of tools, thinking on', () => {
  const toolUse = { type: 'tool_use', id: 't1', name: 'look', input: {} };
  const thinking = { type: 'enabled', budget_tokens: 2000 };
  const edits = [{ type: 'clear_thinking_20251015', keep: 'all' }];
  const turn = (signature: string) => [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: [{ type: 'thinking', thinking: 'Hm.', signature }, toolUse] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: 'seen' }] },
  ];
  const passed = async (signature: string, more: Json = {}) => {
    const chain = await startChain(anthropicWire, [[answers(anthropicWire, 'ok')]]);
    const reply = await chain.ask({ messages: turn(signature), thinking, ...more });
    expect(reply.status).toBe(200);
    const sent = chain.first.calls[0]?.json as Json & { messages: { content: Json[] }[] };
    return { sent, dropped: reply.headers['x-sidegate-dropped'] };
  };

  test.each(['bedrock~c2ln', 'anthropic~c2ln'])(
    'A2: what Claude signed as %s goes on at Anthropic',
    async (seal) => {
      const { sent, dropped } = await passed(seal);
      expect(sent.messages[1]?.content).toEqual([
        { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
        toolUse,
      ]);
      expect(sent.thinking).toEqual(thinking);
      expect(dropped).toBeUndefined();
    },
  );

  test.each(['unsigned~', 'openai~x', 'gemini~x', 'responses~rs_1 x'])(
    'A3: another model’s thinking (%s): none is asked for, and that is named',
    async (seal) => {
      const { sent, dropped } = await passed(seal, { context_management: { edits } });
      expect(sent.messages[1]?.content).toEqual([toolUse]);
      expect(sent).not.toHaveProperty('thinking');
      expect(sent).not.toHaveProperty('context_management');
      expect(dropped).toBe('thinking, context_management');
    },
  );

  test('A3: thinking stays on where no call is open', async () => {
    const messages = [
      ...turn('unsigned~'),
      { role: 'assistant', content: 'Seen.' },
      { role: 'user', content: 'And?' },
    ];
    const { sent, dropped } = await passed('', { messages });
    expect(sent.thinking).toEqual(thinking);
    expect(dropped).toBeUndefined();
  });

  test('A2: Claude behind another name gets its signatures back', () => {
    const detail = { type: 'reasoning.text', text: 'Hm.', signature: 'bedrock~c2ln' };
    const body = Buffer.from(
      JSON.stringify({ messages: [{ role: 'assistant', content: null, reasoning_details: [detail] }] }),
    );
    const kept = (isClaude: boolean) => JSON.parse(withoutForeign(body, 'openai', isClaude).body.toString());
    expect(kept(true).messages[0].reasoning_details).toEqual([{ ...detail, signature: 'c2ln' }]);
    expect(kept(false).messages[0].reasoning_details).toEqual([]);
  });

  const amidCall = {
    max_completion_tokens: 20_000,
    reasoning_effort: 'medium',
    tools: [{ type: 'function', function: { name: 'look' } }],
    messages: [
      { role: 'user', content: 'Hi' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'seen' },
    ],
  };
  const models = { bedrock: 'anthropic.claude-sonnet-4-5-v1:0', anthropic: 'claude-sonnet-4-5' } as const;

  test.each(['bedrock', 'anthropic'] as const)('A4: no budget at %s if the app kept no thinking', (to) => {
    const { body, dropped } = translated('openai', to, models[to], amidCall);
    expect(
      body.thinking ?? (body.additionalModelRequestFields as Json | undefined)?.thinking,
    ).toBeUndefined();
    expect(dropped).toEqual(['reasoning_effort']);
  });

  test.each(['bedrock', 'anthropic'] as const)('A4: a budget at %s with thinking that it takes', (to) => {
    const reasoning_details = [{ type: 'reasoning.text', text: 'Hm.', signature: `${to}~c2ln` }];
    const [first, called, result] = amidCall.messages;
    const messages = [first, { ...called, reasoning_details }, result];
    const { body, dropped } = translated('openai', to, models[to], { ...amidCall, messages });
    expect(body.thinking ?? (body.additionalModelRequestFields as Json | undefined)?.thinking).toMatchObject({
      type: 'enabled',
    });
    expect(dropped).toEqual([]);
  });
});
