/** Conversations with turns by providers of different dialects: signatures go only to the provider that made them. */
import { describe, expect, test } from 'vitest';
import { unsigned, withoutForeign } from '../../src/dialects/foreign.ts';
import { startChain } from '../support/chain.ts';
import { anthropicWire, openaiWire } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';

const think = (signature: string) => ({ type: 'thinking', thinking: 'Hm.', signature });
const text = { type: 'text', text: 'Hi ~' };

describe('a body that is passed through', () => {
  test('loses what other providers signed, and nothing else', async () => {
    const content = [think('own=='), think('responses~rs_1 a'), think(unsigned), text];
    const hidden = { type: 'redacted_thinking', data: 'gemini-like~x' };
    const messages = [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: [...content, hidden] },
      { role: 'assistant', content: [think('openai~x')] },
      { role: 'user', content: 'Go on' },
    ];
    const more = { messages, x_unknown: { a: [1] }, context_management: {} };
    const chain = await startChain(anthropicWire, [[answers(anthropicWire, 'ok')]]);
    expect((await chain.ask(more)).status).toBe(200);
    expect(chain.first.calls[0]?.json).toEqual({
      ...anthropicWire.request('', more),
      messages: [messages[0], { role: 'assistant', content: [think('own=='), text, hidden] }, messages[3]],
    });
  });

  test('is unchanged if there is nothing foreign', () => {
    const bodies = [
      { messages: [{ role: 'user', content: 'signature: "openai~x"' }] },
      { messages: [{ role: 'assistant', content: [think('anthropic~own')] }] },
      { messages: 7 },
    ];
    for (const body of bodies.map((each) => Buffer.from(JSON.stringify(each)))) {
      expect(withoutForeign(body, 'anthropic', false).body.equals(body)).toBe(true);
    }
    const plain = Buffer.from('{"a":1}');
    expect(withoutForeign(plain, 'openai', false).body).toBe(plain);
  });

  test('is still edited in the right places', async () => {
    const details = [{ type: 'reasoning.text', text: 'Hm.', signature: 'anthropic~c2ln', index: 0 }];
    const messages = [
      { role: 'assistant', content: 'Hi', reasoning_details: details },
      { role: 'user', content: 'Go on' },
    ];
    const chain = await startChain(openaiWire, [[answers(openaiWire, 'ok')]]);
    expect((await chain.ask({ messages, stream: true })).status).toBe(200);
    expect(chain.first.calls[0]?.json).toEqual({
      ...openaiWire.request(''),
      messages: [{ ...messages[0], reasoning_details: [] }, messages[1]],
      stream: true,
      stream_options: { include_usage: true },
    });
  });
});
