/** What a request has beside the members that the neutral form knows. */
import { expect, test } from 'vitest';
import { createNotes } from '../../src/dialects/chat.ts';
import { readRequest } from '../../src/dialects/gemini/read-request.ts';
import { noteRest } from '../../src/dialects/members.ts';

const unknown = (count: number): Record<string, unknown> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]));

test('of very many unknown members the first are told by name, all are counted, and an essential one is found', () => {
  const notes = createNotes();
  const body = { model: 'm', empty: null, ...unknown(50_000), logprobs: true };
  noteRest(body, new Set(['model']), new Set(['logprobs']), notes);
  expect(notes.unsupported).toBe('logprobs');
  expect(notes.dropped).toEqual(Array.from({ length: 12 }, (_, i) => `k${i}`));
  expect(notes.dropped.length + notes.droppedMore).toBe(50_000);
});

test("Gemini's members count in both spellings, and unknown ones are told as they were sent", () => {
  const notes = createNotes();
  const { stop, maxTokens } = readRequest(
    {
      contents: [{ role: 'user', parts: [{ text: 'Hi' }] }],
      generation_config: { stop_sequences: ['x'], maxOutputTokens: 9, own_thing: 1 },
      made_up: 1,
    },
    notes,
  );
  expect({ stop, maxTokens }).toEqual({ stop: ['x'], maxTokens: 9 });
  expect(notes.dropped).toEqual(['made_up', 'generationConfig.own_thing']);
});
