/** What isn't kept since the same words may be answered otherwise: conversations at the provider, and what its tools did. */
import { describe, expect, test } from 'vitest';
import { gives } from '../support/auxiliary.ts';
import { startPassing } from '../support/passing.ts';
import { anthropicWire } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';

const output = [
  {
    type: 'message',
    id: 'msg_1',
    role: 'assistant',
    content: [{ type: 'output_text', text: 'Hi', annotations: [] }],
  },
];
const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
const answer = { id: 'resp_1', object: 'response', status: 'completed', model: 'm', output, usage };

test.each([
  [{ conversation: 'conv_1' }, 2],
  [{ conversation: { id: 'conv_1' } }, 2],
  [{ conversation: null }, 1],
  [{ previous_response_id: 'resp_1' }, 1],
])('%j: %i calls for two requests', async (more, calls) => {
  const routes = [{ model: '*', targets: [{ provider: 'first' }] }];
  const { asking, upstream } = await startPassing({
    dialect: 'responses',
    script: gives(answer),
    more: { routes, cache: { singleFlight: true } },
  });
  for (const wanted of ['fwd=', calls === 2 ? 'fwd=bypass' : 'hit']) {
    const reply = await asking('POST', '/v1/responses', '', { model: 'm', input: 'go on', ...more });
    expect([reply.status, String(reply.headers['cache-status'])]).toEqual([
      200,
      expect.stringContaining(wanted),
    ]);
  }
  expect(upstream.calls).toHaveLength(calls);
});

test.each([
  [{ thread: { type: 'create' } }, 2],
  [{ thread: { type: 'continue', previous_message_id: 'msg_0' } }, 2],
  [{ thread: null }, 1],
])(
  '%j in messages: %i calls for two requests, as each reply can be gone on with once',
  async (more, calls) => {
    const { asking, upstream } = await startPassing({
      dialect: 'anthropic',
      script: answers(anthropicWire, 'Hi'),
      more: { routes: [{ model: '*', targets: [{ provider: 'first' }] }] },
    });
    const messages = [{ role: 'user', content: 'Hi' }];
    const headers = { 'anthropic-version': '2023-06-01' };
    const body = { model: 'm', max_tokens: 9, messages, ...more };
    for (let n = 0; n < 2; n += 1)
      expect((await asking('POST', '/v1/messages', '', body, headers)).status).toBe(200);
    expect(upstream.calls).toHaveLength(calls);
  },
);

describe('what a tool of the provider has done', () => {
  const tools = [{ type: 'mcp', server_label: 'mail', server_url: 'https://mcp.example' }];
  const reply = (type: string) => ({
    ...answer,
    output: [{ type, id: 'call_1', status: 'completed' }, ...output],
  });
  const events = (type: string): string =>
    [
      { type: 'response.created', response: { ...answer, status: 'in_progress', output: [] } },
      { type: 'response.output_text.delta', output_index: 1, content_index: 0, delta: 'Hi' },
      { type: 'response.completed', response: reply(type) },
    ]
      .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
      .join('');

  test.each([
    ['mcp_call', false, 2],
    ['shell_call', true, 2],
    ['code_interpreter_call', true, 2],
    ['web_search_call', false, 1],
    ['file_search_call', true, 1],
  ])('by %s, streamed: %s, is done by %i of two requests', async (type, stream, calls) => {
    const routes = [{ model: '*', targets: [{ provider: 'first' }] }];
    const script = stream ? gives(events(type), 'text/event-stream') : gives(reply(type));
    const { asking, upstream } = await startPassing({ dialect: 'responses', script, more: { routes } });
    const body = { model: 'm', input: 'Send it', tools, ...(stream ? { stream } : {}) };
    for (let i = 0; i < 2; i++) expect((await asking('POST', '/v1/responses', '', body)).status).toBe(200);
    expect(upstream.calls).toHaveLength(calls);
  });
});
