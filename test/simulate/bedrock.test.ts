/** The simulator as Bedrock: its answers and every fault on the wire, what it refuses, and what clients see of it. */
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFramer } from '../../src/dialects/bedrock/event-stream.ts';
import { bedrock } from '../../src/dialects/bedrock/index.ts';
import { type FaultName, faultNames } from '../../src/simulate/faults.ts';
import type { Simulator } from '../../src/simulate/server.ts';
import { framesOf } from '../support/bedrock-wire.ts';
import { ask as askSidecar } from '../support/client.ts';
import { lastError, openaiWire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { call, type Seen, simulator } from '../support/simulate-client.ts';

let sim: Simulator;
let sidecar: TestSidecar;
/** Advanced before each fault, so that no target is still cooling down from the previous one. */
let laterMs = 0;
beforeAll(async () => {
  sim = await simulator();
  sidecar = await startTestSidecar(
    {
      cache: { enabled: false },
      providers: { amazon: { preset: 'simulator-bedrock' } },
      routes: [{ model: 'm', targets: [{ provider: 'amazon', model: 'anthropic.claude-sonnet-4-5' }] }],
      attempt: { retriesMax: 0, breaker: { failures: 1000 }, replyMaxBytes: 4 * 1024 * 1024 },
    },
    { clock: () => performance.now() + laterMs },
  );
});
afterAll(async () => {
  await sidecar.stop();
  await sim.close();
});

const hello = { messages: [{ role: 'user', content: [{ text: 'Hello' }] }] };

function ask(stream: boolean, simulate?: string, body: unknown = hello): Promise<Seen> {
  const url = `${sim.url}/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse${stream ? '-stream' : ''}`;
  return call(url, body, simulate === undefined ? {} : { 'x-simulate': simulate });
}

const bytesOf = ({ chunks }: Seen): Buffer => Buffer.concat(chunks);

/** The events of a stream up to the first error, and that error. */
function eventsOf(seen: Seen) {
  const framer = createFramer(1024 * 1024);
  const { events } = framer.push(bytesOf(seen));
  return { events, broken: framer.broken };
}
const contents = (seen: Seen): number =>
  eventsOf(seen).events.filter(({ event }) => event === 'contentBlockDelta').length;

test('an answer, whole and as Amazon’s codec reads its stream', async () => {
  const whole = await ask(false);
  expect(whole.headers['x-amzn-requestid']).toMatch(/^req_sim_/);
  const reply = JSON.parse(whole.text);
  expect(reply).toMatchObject({ stopReason: 'end_turn', output: { message: { role: 'assistant' } } });
  expect(reply.usage.totalTokens).toBe(reply.usage.inputTokens + reply.usage.outputTokens);
  const stream = await ask(true);
  expect(stream.headers['content-type']).toBe('application/vnd.amazon.eventstream');
  const events = framesOf(bytesOf(stream)).map(({ headers, payload }) => ({
    name: headers[':event-type'],
    data: JSON.parse(payload.toString()),
  }));
  const text = events.map(({ data }) => data.delta?.text ?? '').join('');
  expect(text).toBe(reply.output.message.content[0].text);
  expect(events.map(({ name }) => name).filter((name) => name !== 'contentBlockDelta')).toEqual([
    'messageStart',
    'contentBlockStop',
    'messageStop',
    'metadata',
  ]);
  expect(events.at(-1)?.data.usage).toEqual(reply.usage);
});

describe('faults', () => {
  const statuses: Partial<Record<FaultName, [status: number, type: string]>> = {
    rate_limited: [429, 'ThrottlingException'],
    quota_exhausted: [429, 'ThrottlingException'],
    overloaded: [503, 'ServiceUnavailableException'],
    server_error: [500, 'InternalServerException'],
    bad_request: [400, 'ValidationException'],
    unauthorized: [401, 'UnrecognizedClientException'],
    forbidden: [403, 'AccessDeniedException'],
    not_found: [404, 'ResourceNotFoundException'],
    too_large: [413, 'RequestEntityTooLargeException'],
    unprocessable: [422, 'ValidationException'],
    context_window: [400, 'ValidationException'],
  };
  const kinds: Partial<Record<FaultName, string>> = {
    rate_limited: 'rate_limited',
    quota_exhausted: 'quota',
    unauthorized: 'credential',
    forbidden: 'forbidden',
    context_window: 'context_window',
    not_found: 'rejected',
  };
  test.each(Object.entries(statuses))('%s: %j', async (name, [status, type]) => {
    for (const stream of [true, false]) {
      const seen = await ask(stream, `fault=${name}`);
      expect([seen.status, seen.headers['x-amzn-errortype']]).toEqual([status, type]);
      expect(Object.keys(JSON.parse(seen.text))).toEqual(['message']);
      const kind = kinds[name as FaultName];
      if (kind !== undefined)
        expect(bedrock.fault(seen.status, seen.headers, bytesOf(seen), 0).kind).toBe(kind);
    }
  });

  test('a 429 says how long to wait, if it is set', async () => {
    expect((await ask(false, 'fault=rate_limited, retryAfterMs=1500')).headers).toMatchObject({
      'retry-after': '2',
      'retry-after-ms': '1500',
    });
  });

  const cut = async (name: FaultName) => {
    const seen = await ask(true, `fault=${name}, afterTokens=2`);
    return { ...eventsOf(seen), end: seen.end, contents: contents(seen) };
  };
  test('streams that break off', async () => {
    expect(await cut('cut_stream')).toMatchObject({ end: 'reset', contents: 2, broken: null });
    expect(await cut('end_early')).toMatchObject({ end: 'clean', contents: 2, broken: null });
    const { events } = await cut('finish_without_done');
    expect(events.at(-1)?.event).toBe('messageStop');
    expect((await ask(true, 'fault=reset_before_headers')).status).toBe(0);
    const opened = await ask(true, 'fault=reset_after_headers');
    expect([opened.end, contents(opened)]).toEqual(['reset', 0]);
  });

  test('streams with invalid contents', async () => {
    const { events, contents } = await cut('error_event');
    expect([contents, events.at(-1)?.event]).toEqual([2, ':exception']);
    for (const name of ['raw_json_in_stream', 'malformed_sse', 'malformed_json'] as const)
      expect(await cut(name)).toMatchObject({ end: 'clean', contents: 2, broken: 'malformed' });
    const broken = framesOf(bytesOf(await ask(true, 'fault=malformed_json, afterTokens=2')));
    expect(broken.filter(({ payload }) => !isJson(payload.toString()))).toHaveLength(1);
  });

  test('whole replies that are broken', async () => {
    for (const name of ['malformed_json', 'malformed_sse', 'cut_stream', 'end_early'])
      expect(isJson((await ask(false, `fault=${name}`)).text)).toBe(false);
    for (const name of ['error_in_body', 'error_event', 'raw_json_in_stream'])
      expect(Object.keys(JSON.parse((await ask(false, `fault=${name}`)).text))).toEqual(['message']);
  });

  test('split, packed, silent, redirected, foreign, without usage', async () => {
    const split = await ask(true, 'fault=split_everywhere');
    expect(Math.max(...split.chunks.map(({ length }) => length))).toBe(1);
    expect(bytesOf(split).equals(bytesOf(await ask(true)))).toBe(true);
    const packed = await ask(true, 'fault=truncated_gzip');
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(() => gunzipSync(bytesOf(packed))).toThrow(/unexpected end/);
    expect(gunzipSync(bytesOf(await ask(true, 'fault=gzip_bomb, sizeMb=2'))).length).toBe(2 * 1024 * 1024);
    for (const name of ['stall', 'no_first_token', 'slow_headers'])
      expect(bytesOf(await ask(true, `fault=${name}, holdMs=5`))).toEqual(bytesOf(await ask(true)));
    expect((await ask(true, 'fault=redirect')).status).toBe(302);
    expect(JSON.parse((await ask(false, 'fault=wrong_dialect')).text).object).toBe('chat.completion');
    expect(eventsOf(await ask(true, 'fault=wrong_dialect')).broken).toBe('malformed');
    expect(JSON.parse((await ask(false, 'fault=missing_usage')).text).usage).toBeUndefined();
    expect(eventsOf(await ask(true, 'fault=missing_usage')).events.at(-1)?.data.usage).toBeUndefined();
  });
});

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

const call1 = { toolUse: { toolUseId: 'a', name: 'f', input: {} } };
const result1 = { toolResult: { toolUseId: 'a', content: [{ text: 'x' }] } };
const user = (...content: object[]) => ({ role: 'user', content });
const assistant = (...content: object[]) => ({ role: 'assistant', content });
const text = { text: 'Hi' };
const toolConfig = { tools: [{ toolSpec: { name: 'f', inputSchema: { json: { type: 'object' } } } }] };
const file = { document: { format: 'pdf', name: 'a', source: { bytes: 'AAAA' } } };
test.each([
  ['no message', {}, /at least one message/],
  ['a first turn of the assistant', { messages: [assistant(text)] }, /start with a user message/],
  ['two turns of the user', { messages: [user(text), user(text)] }, /must alternate/],
  ['a blank text', { messages: [user({ text: ' ' })] }, /is blank/],
  ['an unknown block', { messages: [user({ video: {} })] }, /no member that is known/],
  ['two in one block', { messages: [user({ ...text, cachePoint: {} })] }, /one of the following/],
  ['an unknown field', { ...hello, temperature: 1 }, /not known: temperature/],
  ['a name with a dot', { messages: [user({ document: { ...file.document, name: 'a.pdf' } })] }, /pattern/],
  ['two files of a name', { messages: [user(file, file, text)] }, /Duplicate/],
  ['calls without tools', { messages: [user(text), assistant(call1), user(result1)] }, /toolConfig/],
  [
    'a call without its result',
    { messages: [user(text), assistant(call1), user(text)], toolConfig },
    /Expected toolResult/,
  ],
  [
    'a result without its call',
    { messages: [user(text), assistant(text), user(result1)], toolConfig },
    /exceeds/,
  ],
  [
    'thoughts that others signed',
    {
      messages: [
        user(text),
        assistant({ reasoningContent: { reasoningText: { text: 'a', signature: 'b' } } }),
        user(text),
      ],
    },
    /signature/,
  ],
  [
    'a choice said twice',
    {
      ...hello,
      toolConfig: { ...toolConfig, toolChoice: { any: {} } },
      additionalModelRequestFields: { tool_choice: { type: 'any' } },
    },
    /conflicts/,
  ],
  [
    'a schema that is no JSON',
    {
      ...hello,
      outputConfig: { textFormat: { type: 'json_schema', structure: { jsonSchema: { schema: '{' } } } },
    },
    /not valid JSON/,
  ],
])('it refuses %s', async (_, body, words) => {
  const { status, headers, text: reply } = await ask(false, undefined, body);
  expect([status, headers['x-amzn-errortype']]).toEqual([400, 'ValidationException']);
  expect(JSON.parse(reply).message).toMatch(words);
});

/** Faults that a client doesn't see, since the answer is complete anyway; silences are short here. */
const harmless: readonly FaultName[] = [
  'no_first_token',
  'stall',
  'finish_without_done',
  'split_everywhere',
  'missing_usage',
  'slow_headers',
];
describe.each(faultNames)('an app that uses OpenAI’s API, with the fault %s', (name) => {
  test.each([false, true])('streamed: %s', async (stream) => {
    laterMs += 3_600_000;
    const headers = { 'x-simulate': `fault=${name}, holdMs=5, sizeMb=64, retryHint=none` };
    const body = openaiWire.request('Hello', { model: 'm', stream });
    const reply = await askSidecar(sidecar.url, openaiWire.path, { body, headers });
    if (harmless.includes(name)) {
      expect(reply.status).toBe(200);
      const said = stream ? openaiWire.textOf(reply.text) : JSON.parse(reply.text).choices[0].message.content;
      return expect(said).toContain('simulated answer');
    }
    // An error by its status or as an event of the stream: never an answer, never a forged end.
    if (reply.status === 200) {
      expect(stream).toBe(true);
      expect(lastError(openaiWire, reply.text)).toMatchObject({ code: 'stream_cut' });
      expect(reply.text).not.toContain('[DONE]');
    } else {
      expect(reply.status).toBeGreaterThanOrEqual(400);
      expect(openaiWire.errorOf(reply.text)?.message).toBeTruthy();
    }
  });
});
