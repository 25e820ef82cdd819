/** Lists as long as a body, a store or a file allows: none is passed as the arguments of a call, which have a bound. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { table } from '../../src/commands/table.ts';
import { parseConfig } from '../../src/config/load.ts';
import { readReply } from '../../src/dialects/openai/reply.ts';
import { createReader } from '../../src/dialects/responses/stream.ts';
import { sayIfBehind } from '../../src/sidecar/kept.ts';
import { readMessagesRequest } from '../../src/simulate/anthropic-request.ts';
import { readConverse } from '../../src/simulate/bedrock-request.ts';

const length = 300_000;
const many = <T>(one: T): T[] => Array.from({ length }, () => one);

test('budgets in the store', () => {
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  const row = { budget: 'b', place: 'p', window: 5, nanoUsd: 1 };
  sayIfBehind(many(row), log, 5);
  sayIfBehind([], log, 5);
  expect(lines).toEqual([]);
  sayIfBehind([row, { ...row, window: 7 }, ...many(row)], log, 5);
  expect(lines.map((line) => JSON.parse(line).saved)).toEqual(['1970-01-01T00:00:00.007Z']);
});

test('rows of a table', () => {
  expect(table([['head'], ...many(['wide cell'])]).length).toBe(5 + length * 10);
});

test('faults of a configuration', () => {
  // Each lacks three settings.
  const keys = `[${'{},'.repeat(length / 5)}]`;
  const result = parseConfig(`authenticate: { keys: ${keys} }`, {}, () => '');
  expect(!result.ok && result.faults[0]?.message).toBe('is missing');
});

test('pictures and citations of a reply', () => {
  const image = { type: 'image_url', image_url: { url: 'https://a.test/b' } };
  const message = { role: 'assistant', content: 'x', images: many(image) };
  expect(readReply({ choices: [{ message }] })?.parts).toHaveLength(1 + length);

  const citation = { type: 'url_citation', url: 'https://a.test', title: 't', start_index: 0, end_index: 1 };
  const content = [{ type: 'output_text', text: 'x', annotations: many(citation) }];
  const item = { type: 'message', content };
  const data = { type: 'response.output_item.done', output_index: 0, item };
  const events = createReader().read({ event: data.type, data });
  expect(events.filter(({ kind }) => kind === 'citation')).toHaveLength(length);
});

test('files of a tool’s result, as simulated providers read them', () => {
  const image = { type: 'image', source: { type: 'url', url: 'u' } };
  const result = { type: 'tool_result', tool_use_id: 'a', content: many(image) };
  const call = { type: 'tool_use', id: 'a', name: 'look', input: {} };
  const asked = readMessagesRequest(
    {
      model: 'm',
      max_tokens: 9,
      messages: [
        { role: 'user', content: 'look' },
        { role: 'assistant', content: [call] },
        { role: 'user', content: [result] },
      ],
    },
    false,
  );
  expect(asked.attachments).toHaveLength(length);

  const content = many({ image: { format: 'png', source: {} } });
  const converse = readConverse(
    {
      messages: [
        { role: 'user', content: [{ text: 'look' }] },
        { role: 'assistant', content: [{ toolUse: { toolUseId: 'a', name: 'look', input: {} } }] },
        { role: 'user', content: [{ toolResult: { toolUseId: 'a', content } }] },
      ],
      toolConfig: { tools: [{ toolSpec: { name: 'look', inputSchema: { json: { type: 'object' } } } }] },
    },
    'm',
    false,
  );
  expect(converse.attachments).toHaveLength(length);
});
