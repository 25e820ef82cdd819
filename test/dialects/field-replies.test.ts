/** Replies that were translated wrongly in the field. The names are the numbers of the reports. */
import { expect, test } from 'vitest';
import { whole } from './field.ts';

test.each(['openai', 'responses', 'gemini'] as const)('C4: no text of %s has `citations: null`', (from) => {
  const replies = {
    openai: { choices: [{ message: { content: 'Hi' }, finish_reason: 'stop' }] },
    responses: {
      status: 'completed',
      output: [{ type: 'message', content: [{ type: 'output_text', text: 'Hi' }] }],
    },
    gemini: { candidates: [{ content: { parts: [{ text: 'Hi' }] }, finishReason: 'STOP' }] },
  };
  expect(whole(from, 'anthropic', replies[from])?.content).toEqual([{ type: 'text', text: 'Hi' }]);
});
