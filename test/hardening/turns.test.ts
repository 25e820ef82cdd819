/** A large body is inspected and translated in a thread: the main one is never held for long. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Shape, shapes } from '../growth/shapes.ts';
import { openSocket } from '../support/client.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { longestTurn, shortest } from '../support/time.ts';

/** What no request may exceed. */
const turnMaxMs = 50;

let sidecar: TestSidecar;
/** Requests that the provider got. */
let received = 0;
/** What it answers; null: a refusal. */
let answer: Buffer | null = null;
const server = createServer((req, res) => {
  req.resume();
  req.on('end', () => {
    received += 1;
    res.writeHead(answer === null ? 400 : 200, { 'content-type': 'application/json' });
    res.end(answer ?? '{"error":{"message":"Seen"}}');
  });
});
beforeAll(async () => {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const names = ['openai', 'anthropic', 'gemini'] as const;
  sidecar = await startTestSidecar({
    cache: { enabled: false },
    scrub: { reply: { card: 'mask', phone: 'mask' } },
    authenticate: { anonymousTenant: 'test', keys: [{ id: 'a', sha256: '0'.repeat(64), tenant: 'acme' }] },
    providers: {
      ...Object.fromEntries(names.map((dialect) => [dialect, { dialect, baseUrl, apiKey: 'k' }])),
      // With several tenants, the names of their objects are looked for in requests to it.
      keeping: { dialect: 'openai', baseUrl, apiKey: 'k', passthrough: true },
    },
    routes: [...names, 'keeping'].map((provider) => ({
      model: provider,
      unsupported: 'drop',
      targets: [{ provider }],
    })),
  });
});
afterAll(async () => {
  await sidecar.stop();
  server.close();
});

/** Posts a body, and gives the status. The rest of the reply isn't looked at: that would take a part of the turn. */
async function post(path: string, body: Buffer): Promise<string> {
  const socket = await openSocket(sidecar.url);
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  const [head] = await once(socket, 'data');
  socket.resume();
  await once(socket, 'close');
  return head.toString('latin1', 9, 12);
}

/** The longest turn while a request is served, and answered with this status. */
const turnOf = (path: string, body: Buffer, status: string): Promise<number> =>
  shortest(turnMaxMs, async () => {
    const posted = post(path, body);
    const turn = await longestTurn(posted);
    expect(await posted).toBe(status);
    return turn;
  });

const bodyOf = ({ body }: Shape, bytes: number, model: string): Buffer => {
  const unit = JSON.stringify(body(1000)).length / 1000;
  return Buffer.from(JSON.stringify({ ...body(Math.ceil(bytes / unit)), model }));
};
const shapeOf = (name: string): Shape => {
  const shape = shapes.find((each) => each.name === name);
  if (shape === undefined) throw new Error(`no shape ${name}`);
  return shape;
};

const digits: Shape = {
  name: 'digits that each may begin a number',
  dialect: 'openai',
  body: (n) => ({ messages: [{ role: 'user', content: '1 '.repeat(n) }] }),
};

const texts: Shape = {
  name: 'long texts to be embedded',
  dialect: 'openai',
  body: (n) => ({ input: Array.from({ length: n }, (_, i) => `${i} ${'word '.repeat(1000)}`) }),
};

const quotes: Shape = {
  name: 'quotes that each may begin the name of an object',
  dialect: 'openai',
  body: (n) => ({ messages: [{ role: 'user', content: '"file_i'.repeat(n) }] }),
};

const names: Shape = {
  name: 'names of objects',
  dialect: 'openai',
  body: (n) => ({
    messages: [{ role: 'user', content: 'Hi' }],
    file_ids: Array.from({ length: n }, (_, i) => `file-${String(i).padStart(12, '0')}`),
  }),
};

const large = [
  [shapeOf('openai: unknown members'), 1_000_000, '/v1/chat/completions', 'gemini'],
  [shapeOf('openai: results'), 2_000_000, '/v1/chat/completions', 'anthropic'],
  [shapeOf('anthropic: thinking'), 2_000_000, '/v1/messages', 'anthropic'],
  [digits, 200_000, '/v1/chat/completions', 'openai'],
  [texts, 15_000_000, '/v1/embeddings', 'gemini'],
  [quotes, 15_000_000, '/v1/chat/completions', 'keeping'],
  [names, 5_000_000, '/v1/chat/completions', 'keeping'],
] as const;

test.each(large.map(([shape, ...asked]) => [shape.name, shape, ...asked] as const))(
  'H12, row 36: %s',
  async (_, shape, bytes, path, model) => {
    received = 0;
    const turn = await turnOf(path, bodyOf(shape, bytes, model), '400');
    expect(received).toBeGreaterThan(0);
    expect(turn).toBeLessThan(turnMaxMs);
  },
);

/** The longest turn while a request is served that the provider answers so. */
async function turnWith(reply: string, path: string, asked: object): Promise<number> {
  answer = Buffer.from(reply);
  const turn = await turnOf(path, Buffer.from(JSON.stringify(asked)), '200');
  answer = null;
  return turn;
}

test('H12: embeddings of 20 MB, translated', async () => {
  const vector = `{"values":[${Array(1536).fill('-0.0123456').join()}]}`;
  const texts = Array.from({ length: 100 }, (_, i) => `text ${i}`);
  const reply = `{"embeddings":[${Array(100).fill(vector).join()}],"pad":[${'1,'.repeat(9_000_000)}1]}`;
  const asked = { model: 'gemini', input: texts, encoding_format: 'float' };
  const turn = await turnWith(reply, '/v1/embeddings', asked);
  expect(turn).toBeLessThan(turnMaxMs);
});

test('H12: a reply of 20 MB of numbers without text, that says nothing of tokens', async () => {
  const asked = { model: 'openai', input: 'Hi' };
  const turn = await turnWith(`{"data":[${'1,'.repeat(10_000_000)}1]}`, '/v1/embeddings', asked);
  expect(turn).toBeLessThan(turnMaxMs);
});

test('H12: a reply of 40 MB to a request whose values are masked', async () => {
  const asked = { model: 'openai', messages: [{ role: 'user', content: 'Write to ann@example.com' }] };
  const message = { role: 'assistant', content: 'word [ '.repeat(6_000_000) };
  const reply = { id: 'i', model: 'm', choices: [{ index: 0, message, finish_reason: 'stop' }] };
  const turn = await turnWith(JSON.stringify(reply), '/v1/chat/completions', asked);
  expect(turn).toBeLessThan(turnMaxMs);
});

const calls = Array.from({ length: 20_000 }, (_, i) => ({
  id: `c${i}`,
  type: 'function',
  function: { name: 'f', arguments: '{"a":[1,2,3,4,5]}' },
}));

test.each([
  ['of 2 MB for a client of another dialect', '/v1/messages', { content: null, tool_calls: calls }],
  ['that is slow to search', '/v1/chat/completions', { content: '4 (4 ('.repeat(100_000) }],
])('H12: a reply %s', async (_, path, said) => {
  const choices = [{ index: 0, message: { role: 'assistant', ...said }, finish_reason: 'stop' }];
  const reply = { id: 'i', object: 'chat.completion', model: 'm', choices };
  const asked = { model: 'openai', max_tokens: 9, messages: [{ role: 'user', content: 'Hi' }] };
  expect(await turnWith(JSON.stringify(reply), path, asked)).toBeLessThan(turnMaxMs);
});

test('H12: a request for a response with 200,000 members of metadata, which its reply would repeat', async () => {
  const metadata = Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`member${i}`, 'word']));
  const asked = { model: 'anthropic', input: 'Hi', metadata };
  const content = [{ type: 'text', text: 'Hello' }];
  const usage = { input_tokens: 1, output_tokens: 1 };
  const message = {
    id: 'i',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content,
    stop_reason: 'end_turn',
    usage,
  };
  const turn = await turnWith(JSON.stringify(message), '/v1/responses', asked);
  expect(turn).toBeLessThan(turnMaxMs);
});

test('H1: more tools than any provider takes are refused', async () => {
  const tools = Array.from({ length: 10_001 }, (_, i) => ({
    type: 'function',
    function: { name: `f.${i}` },
  }));
  const asked = { model: 'anthropic', messages: [{ role: 'user', content: 'Hi' }], tools };
  expect(await post('/v1/chat/completions', Buffer.from(JSON.stringify(asked)))).toBe('400');
});
