/** One request that is large or made to be slow doesn't hold up others, and what is told of it is short. */
import { expect, onTestFinished, test } from 'vitest';
import { ask, openSocket } from '../support/client.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { startUpstream } from '../support/upstream.ts';

const provider = (baseUrl: string) => ({ dialect: 'gemini' as const, baseUrl, apiKey: 'provider-key' });

/** A sidecar in front of a Gemini provider. */
async function startGemini(): Promise<TestSidecar> {
  const upstream = await startUpstream((call) =>
    call.whole(
      200,
      { 'content-type': 'application/json' },
      '{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}',
    ),
  );
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: Object.fromEntries(['first', 'second'].map((name) => [name, provider(upstream.baseUrl)])),
    // With a single target no field may be left out.
    routes: [{ model: 'gem-x', targets: [{ provider: 'first' }, { provider: 'second' }] }],
    listen: { bodyMaxBytes: 64 * 1024 * 1024 },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  return sidecar;
}

const callsOf = (all: readonly string[]) =>
  all.map((args, i) => ({ id: `c${i}`, type: 'function', function: { name: 'f', arguments: args } }));
const textPart = (text: string) => ({ type: 'text', text });

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

test('H1, row 36: 80,000 made up fields take no longer than their bytes, and a few of them are told', async () => {
  const { url } = await startGemini();
  const fields = Object.fromEntries(Array.from({ length: 80_000 }, (_, i) => [`k${i}`, 1]));
  const body = { model: 'gem-x', ...fields, messages: [{ role: 'user', content: 'Hi' }] };
  const before = cpuMs();
  const reply = await ask(url, '/v1/chat/completions', { body });
  // 11 s when each name was looked up in the list of the others.
  expect(cpuMs() - before).toBeLessThan(3000);
  expect(reply.status).toBe(200);
  expect(reply.headers['x-sidegate-dropped']).toBe(
    `${Array.from({ length: 12 }, (_, i) => `k${i}`).join(', ')}, and 79988 more`,
  );
});

test('H8: names of any length and script leave room in the head of the reply', async () => {
  const { url } = await startGemini();
  const fields = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${'模'.repeat(1000)}${i}`, 1]));
  const socket = await openSocket(url);
  const body = JSON.stringify({ model: 'gem-x', ...fields, messages: [{ role: 'user', content: 'Hi' }] });
  const bytes = Buffer.byteLength(body);
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ${bytes}\r\n\r\n${body}`,
  );
  let text = '';
  for await (const chunk of socket) text += chunk;
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(text.indexOf('\r\n\r\n')).toBeLessThan(8 * 1024);
});

test('H1, row 36: 20,000 calls without a result, then results of others, are matched in linear time', async () => {
  const { url } = await startGemini();
  const count = 20_000;
  const calls = Array.from({ length: count }, (_, i) => ({
    functionCall: { id: `a${i}`, name: 'f', args: {} },
  }));
  const results = Array.from({ length: count }, (_, i) => ({
    functionResponse: { id: `b${i}`, name: 'f', response: {} },
  }));
  const body = {
    contents: [
      { role: 'model', parts: calls },
      { role: 'user', parts: results },
    ],
  };
  const before = cpuMs();
  const reply = await ask(url, '/v1beta/models/gem-x:generateContent', { body });
  expect(cpuMs() - before).toBeLessThan(3000);
  expect(reply.status).toBe(200);
});

test.each([
  ['objects', '{}'],
  ['members', '{"a":1}'],
  ['lists', '[1]'],
  ['elements, four times,', '1,2,3,4'],
])(
  'H12: a body of half a million %s, which would fill the memory of a thread, is refused',
  async (_, one) => {
    const { url } = await startGemini();
    const messages = [{ role: 'user', content: 'Hi' }];
    const bodyOf = (count: number): string =>
      `{"model":"gem-x","messages":${JSON.stringify(messages)},"x":[${Array(count).fill(one).join()}]}`;
    const many = await ask(url, '/v1/chat/completions', { body: bodyOf(500_000) });
    expect([many.status, many.text]).toEqual([413, expect.stringContaining('body_too_complex')]);
    const few = await ask(url, '/v1/chat/completions', { body: bodyOf(10_000) });
    expect(few.status).toBe(200);
    // Text may hold as many of these characters as it likes.
    const body = { model: 'gem-x', messages: [{ role: 'user', content: one.repeat(500_000) }] };
    expect((await ask(url, '/v1/chat/completions', { body })).status).toBe(200);
  },
);

test.each([
  ['a call', (json: string) => [{ role: 'assistant', content: null, tool_calls: callsOf([json]) }]],
  [
    'many calls',
    (json: string) => [{ role: 'assistant', content: null, tool_calls: callsOf(Array(20).fill(json)) }],
  ],
  [
    'a result in pieces',
    (json: string) => [
      { role: 'assistant', content: null, tool_calls: callsOf(['{}']) },
      { role: 'tool', tool_call_id: 'c0', content: [json.slice(0, 4), json.slice(4)].map(textPart) },
    ],
  ],
])('H12: JSON in %s that would fill the memory of a thread is refused', async (name, messagesOf) => {
  const { url } = await startGemini();
  const bodyOf = (count: number) => ({
    model: 'gem-x',
    messages: [{ role: 'user', content: 'Hi' }, ...messagesOf(JSON.stringify({ a: Array(count).fill({}) }))],
  });
  const many = await ask(url, '/v1/chat/completions', {
    body: bodyOf(name === 'many calls' ? 30_000 : 600_000),
  });
  expect([many.status, many.text]).toEqual([413, expect.stringContaining('body_too_complex')]);
  expect((await ask(url, '/v1/chat/completions', { body: bodyOf(10_000) })).status).toBe(200);
});

test.each([
  ['/v1/chat/completions', (stop: string[]) => ({ model: 'gem-x', messages: [], stop }), 'stop'],
  [
    '/v1/messages',
    (stop_sequences: string[]) => ({ model: 'gem-x', messages: [], stop_sequences }),
    'stop_sequences',
  ],
  [
    '/v1beta/models/gem-x:generateContent',
    (stopSequences: string[]) => ({ contents: [], generationConfig: { stopSequences } }),
    'generationConfig.stopSequences',
  ],
] as const)(
  'H1, row 36: a request to %s with a million stop sequences is refused unread',
  async (path, bodyOf, field) => {
    const { url } = await startGemini();
    const stops = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);
    const reply = await ask(url, path, { body: bodyOf(stops(1_000_000)) });
    expect(reply.status).toBe(400);
    expect(reply.text).toContain(`The field \\"${field}\\" has more than 8191 stop sequences: send fewer.`);
    expect((await ask(url, path, { body: bodyOf(stops(8191)) })).text).not.toContain('stop sequences');
  },
);
