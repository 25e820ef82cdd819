/** The Bedrock dialect: requests for each family of models, meaning of errors, and the event stream against Amazon's codec. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFramer } from '../../src/dialects/bedrock/event-stream.ts';
import { bedrock } from '../../src/dialects/bedrock/index.ts';
import { regionOf } from '../../src/dialects/bedrock/region.ts';
import { pathOf } from '../../src/dialects/bedrock/write-request.ts';
import { createNotes } from '../../src/dialects/chat.ts';
import type { FaultKind } from '../../src/dialects/fault.ts';
import { dialects } from '../../src/dialects/index.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import { bedrockEvent } from '../../src/simulate/bedrock.ts';
import { event, exception, frame, framesOf } from '../support/bedrock-wire.ts';
import { destinationFor } from './fixtures.ts';

type Json = Record<string, unknown>;

/** An Anthropic client's request, written for a model on Bedrock. */
function written(
  model: string,
  more: Json,
): { body: Json; dropped: readonly string[]; unsupported: string | null } {
  const { chatClient } = dialects.anthropic;
  const { chatProvider } = bedrock;
  if (chatClient === null || chatProvider === null) throw new Error('no chat');
  const asked = { model: 'm', max_tokens: 9000, messages: [{ role: 'user', content: 'Hi' }], ...more };
  const notes = createNotes();
  const request = chatClient.readRequest(asked, notes);
  const to = destinationFor(model, { reasons: null });
  const { body } = writeCall(request, chatProvider, to, notes);
  expect(notes.invalid).toBeNull();
  return { body: body as Json, dropped: notes.dropped, unsupported: notes.unsupported };
}

const claude = 'eu.anthropic.claude-sonnet-4-5-20250929-v1:0';
const newest = 'global.anthropic.claude-opus-4-6-v1';
const nova = 'us.amazon.nova-2-lite-v1:0';
const oss = 'openai.gpt-oss-120b-1:0';
const llama = 'meta.llama3-3-70b-instruct-v1:0';
const ownOf = (body: Json): unknown => body.additionalModelRequestFields;

describe('model-specific fields in addition to Converse', () => {
  const thinks = { thinking: { type: 'enabled', budget_tokens: 2048 } };
  test('thinking, in each family’s own fields', () => {
    expect(ownOf(written(claude, thinks).body)).toEqual(thinks);
    expect(ownOf(written(newest, thinks).body)).toEqual({
      thinking: { type: 'adaptive' },
      output_config: { effort: 'low' },
    });
    expect(ownOf(written(nova, thinks).body)).toEqual({
      reasoningConfig: { type: 'enabled', maxReasoningEffort: 'low' },
    });
    expect(ownOf(written(oss, thinks).body)).toEqual({ reasoning_effort: 'low' });
    expect(written(llama, thinks)).toMatchObject({ dropped: ['thinking'] });
    expect(ownOf(written(llama, thinks).body)).toBeUndefined();
    expect(written(llama, { thinking: { type: 'disabled' } }).dropped).toEqual([]);
  });

  test('a thinking budget comes with a token limit even if the app set none', () => {
    const { chatClient } = dialects.openai;
    const notes = createNotes();
    const request = chatClient?.readRequest(
      { model: 'm', messages: [{ role: 'user', content: 'Hi' }], reasoning_effort: 'high' },
      notes,
    );
    if (request === undefined) throw new Error('no chat');
    const to = destinationFor(claude, { reasons: null });
    const body = bedrock.chatProvider?.writeRequest(request, to, notes).body;
    expect(body).toMatchObject({
      inferenceConfig: { maxTokens: 32_000 },
      additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 24_576 } },
    });
  });

  test('top_k', () => {
    expect(ownOf(written(claude, { top_k: 5 }).body)).toEqual({ top_k: 5 });
    expect(ownOf(written(nova, { top_k: 5 }).body)).toEqual({ inferenceConfig: { topK: 5 } });
    expect(written(llama, { top_k: 5 }).dropped).toEqual(['top_k']);
  });

  test('cache points only for models with a prompt cache', () => {
    const system = [{ type: 'text', text: 'Rules.', cache_control: { type: 'ephemeral' } }];
    const point = { cachePoint: { type: 'default' } };
    expect(written(claude, { system }).body.system).toEqual([{ text: 'Rules.' }, point]);
    expect(written(nova, { system }).body.system).toEqual([{ text: 'Rules.' }, point]);
    expect(written(llama, { system }).body.system).toEqual([{ text: 'Rules.' }]);
  });

  test('only its own signatures and Claude’s are sent back', () => {
    const turn = (signature: string): Json => ({
      messages: [
        { role: 'user', content: 'Hi' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm', signature },
            { type: 'text', text: 'a' },
          ],
        },
        { role: 'user', content: 'And?' },
      ],
    });
    const reasoning = (model: string, signature: string): unknown => {
      const [, { content }] = written(model, turn(signature)).body.messages as [Json, { content: Json[] }];
      return content.find((block) => 'reasoningContent' in block)?.reasoningContent;
    };
    const sealed = { reasoningText: { text: 'Hm', signature: 'c2ln' } };
    expect(reasoning(claude, 'c2ln')).toEqual(sealed);
    expect(reasoning(nova, 'c2ln')).toBeUndefined();
    expect(reasoning(nova, 'bedrock~c2ln')).toEqual(sealed);
    expect(reasoning(claude, 'gemini~c2ln')).toBeUndefined();
  });
});

const tools = [{ name: 'f', input_schema: { type: 'object' } }];
const called = [
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: [{ type: 'tool_use', id: 'call.1|x', name: 'f', input: {} }] },
  { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call.1|x' }] },
];

describe('tools', () => {
  test('"none" leaves them out, except in conversations with calls, which need them', () => {
    const none = { tools, tool_choice: { type: 'none' } };
    expect(written(llama, none).body.toolConfig).toBeUndefined();
    expect(written(claude, none).body.toolConfig).toBeUndefined();
    const later = { ...none, messages: called };
    expect(written(claude, later).body).toMatchObject({
      toolConfig: { tools: [{ toolSpec: { name: 'f' } }] },
      additionalModelRequestFields: { tool_choice: { type: 'none' } },
    });
    expect(written(llama, later).unsupported).toBe('tool_choice');
  });

  test('tools that were called are listed if the app no longer sends any', () => {
    expect(written(llama, { messages: called }).body.toolConfig).toEqual({
      tools: [{ toolSpec: { name: 'f', inputSchema: { json: { type: 'object', properties: {} } } } }],
    });
  });

  test('Claude is sent that they must not be called again', () => {
    const { body } = written(claude, { messages: called });
    expect(body.toolConfig).toHaveProperty('tools');
    expect(ownOf(body)).toEqual({ tool_choice: { type: 'none' } });
  });

  test('parallel calls are turned off for Claude, with the whole choice, and for no other model', () => {
    const serial = { tools, tool_choice: { type: 'any', disable_parallel_tool_use: true } };
    const { body } = written(claude, serial);
    expect(body.toolConfig).not.toHaveProperty('toolChoice');
    expect(ownOf(body)).toEqual({ tool_choice: { type: 'any', disable_parallel_tool_use: true } });
    expect(written(nova, serial)).toMatchObject({
      body: { toolConfig: { toolChoice: { any: {} } } },
      dropped: ['tool_choice.disable_parallel_tool_use'],
    });
  });

  test('invalid ids are replaced in call and result alike; an empty result gets content', () => {
    const { messages } = written(claude, { tools, messages: called }).body;
    const [, assistant, user] = messages as [Json, { content: [{ toolUse: Json }] }, Json];
    const id = assistant.content[0].toolUse.toolUseId;
    expect(id).toMatch(/^call_[0-9a-f]{32}$/);
    expect(user.content).toEqual([{ toolResult: { toolUseId: id, content: [{ json: {} }] } }]);
  });
});

test('turns alternate, blank texts are left out, and document names are unique', () => {
  const file = (title: string | null): Json => ({
    type: 'document',
    source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' },
    title,
  });
  const { body } = written(claude, {
    messages: [
      {
        role: 'user',
        content: [{ type: 'text', text: ' \n' }, file('Q3 – final_report.v2.pdf'), file(null)],
      },
      { role: 'user', content: [file(null), { type: 'text', text: 'Sum them up.' }] },
    ],
  });
  const messages = body.messages as { role: string; content: { document?: { name: string } }[] }[];
  expect(messages).toHaveLength(1);
  const names = messages[0]?.content.flatMap(({ document }) => document?.name ?? []);
  expect(names).toEqual(['Q3 - final-report-v2', 'document', 'document (2)']);
});

test('metadata for the invocation log', () => {
  const { chatClient } = dialects.openai;
  const tell = (more: Json) => {
    const notes = createNotes();
    const asked = { model: 'm', messages: [{ role: 'user', content: 'Hi' }], ...more };
    const request = chatClient?.readRequest(asked, notes);
    if (request === undefined) throw new Error('no chat');
    const to = destinationFor(nova, { reasons: null });
    return [bedrock.chatProvider?.writeRequest(request, to, notes).body.requestMetadata, notes.dropped];
  };
  expect(tell({ metadata: { team: 'a' }, user: 'u-1' })).toEqual([{ team: 'a', user: 'u-1' }, []]);
  expect(tell({ metadata: { team: 'ä' }, user: 'ü' })).toEqual([undefined, ['metadata', 'user']]);
  const many = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`k${n}`, 'v']));
  expect(tell({ metadata: many })).toEqual([many, []]);
  expect(tell({ metadata: many, user: 'u' })).toEqual([{ user: 'u' }, ['metadata']]);
});

test.each([
  ['anthropic.claude-3-haiku-20240307-v1:0', 'anthropic.claude-3-haiku-20240307-v1%3A0'],
  [
    'arn:aws:bedrock:eu-west-1:1234:application-inference-profile/a1b2',
    'arn%3Aaws%3Abedrock%3Aeu-west-1%3A1234%3Aapplication-inference-profile%2Fa1b2',
  ],
  ["a b'(c)!*", 'a%20b%27%28c%29%21%2A'],
])('the path of %s', (model, escaped) => {
  expect(pathOf(model, false)).toBe(`/model/${escaped}/converse`);
  expect(pathOf(model, true)).toBe(`/model/${escaped}/converse-stream`);
});

test.each([
  ['https://bedrock-runtime.eu-central-1.amazonaws.com', 'eu-central-1'],
  ['https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
  ['https://vpce-0a-b.bedrock-runtime.us-east-1.vpce.amazonaws.com', 'us-east-1'],
  ['https://bedrock-runtime.cn-north-1.amazonaws.com.cn/', 'cn-north-1'],
  ['http://127.0.0.1:4110', null],
  ['https://notbedrock-runtime.eu-west-1.example', null],
])('the region of %s', (baseUrl, region) => {
  expect(regionOf(baseUrl)).toBe(region);
});

const refusals: readonly (readonly [status: number, type: string, message: string, kind: FaultKind])[] = [
  [400, 'ValidationException', 'Input is too long for requested model.', 'context_window'],
  [
    400,
    'ValidationException',
    'The model returned the following errors: prompt is too long: 227255 tokens > 200000 maximum',
    'context_window',
  ],
  [
    400,
    'ValidationException',
    'Too many input tokens. Max input tokens: 8192, request input token count: 9000',
    'context_window',
  ],
  [400, 'ValidationException', "This model's maximum context length is 131072 tokens.", 'context_window'],
  [
    400,
    'ValidationException',
    'The maximum tokens you requested exceeds the model limit of 4096.',
    'rejected',
  ],
  [400, 'ValidationException', 'Output blocked by content filtering policy', 'content_policy'],
  [400, 'ValidationException', 'The provided model identifier is invalid.', 'rejected'],
  [400, 'ServiceQuotaExceededException', 'Your request exceeds the service quota.', 'quota'],
  [400, 'ExpiredTokenException', 'The security token included in the request is expired', 'credential'],
  [
    403,
    'UnrecognizedClientException',
    'The security token included in the request is invalid.',
    'credential',
  ],
  [403, 'InvalidSignatureException', 'The request signature we calculated does not match', 'credential'],
  [
    403,
    'AccessDeniedException',
    'User: arn:aws:iam::1:user/a is not authorized to perform: bedrock:InvokeModel',
    'forbidden',
  ],
  [
    403,
    'AccessDeniedException',
    "You don't have access to the model with the specified model ID.",
    'rejected',
  ],
  [
    404,
    'ResourceNotFoundException',
    'Model use case details have not been submitted for this account.',
    'rejected',
  ],
  [408, 'ModelTimeoutException', 'The request took too long to process.', 'server'],
  [424, 'ModelErrorException', 'The system encountered an unexpected error during processing.', 'server'],
  [429, 'ThrottlingException', 'Too many requests, please wait before trying again.', 'rate_limited'],
  [429, 'ThrottlingException', 'Too many tokens per day, please wait before trying again.', 'quota'],
  [429, 'ModelNotReadyException', 'Model is not ready for inference.', 'server'],
  [500, 'InternalServerException', 'x', 'server'],
  [503, 'ServiceUnavailableException', 'Bedrock is unable to process your request.', 'server'],
  [302, '', '', 'unexpected'],
];
test.each(refusals)('%s %s "%s" is %s', (status, type, message, kind) => {
  const body = Buffer.from(JSON.stringify({ message }));
  const inHeader = { 'x-amzn-errortype': `${type}:http://internal.amazon.com/coral/` };
  expect(bedrock.fault(status, inHeader, body, 0).kind).toBe(kind);
  const inBody = Buffer.from(JSON.stringify({ __type: `com.amazon.coral.service#${type}`, message }));
  expect(bedrock.fault(status, { 'retry-after': '2' }, inBody, 0)).toEqual({ kind, retryAfterMs: 2000 });
});

describe('the event stream', () => {
  const read = (bytes: Buffer, eventMaxBytes = 1024 * 1024) => {
    const framer = createFramer(eventMaxBytes);
    const { events } = framer.push(bytes);
    return { events, broken: framer.broken };
  };

  test('headers of every type are skipped', () => {
    // One of each: truth, untruth, 8 to 64 bits, bytes, text, time, UUID.
    const odd = Buffer.concat([
      Buffer.from([1, 97, 0, 1, 98, 1, 1, 99, 2, 7, 1, 100, 3, 0, 7, 1, 101, 4, 0, 0, 0, 7]),
      Buffer.from([1, 102, 5, 0, 0, 0, 0, 0, 0, 0, 7, 1, 103, 6, 0, 2, 1, 2, 1, 104, 8]),
      Buffer.alloc(8),
      Buffer.from([1, 105, 9]),
      Buffer.alloc(16),
    ]);
    const known = event('messageStop', { stopReason: 'end_turn' });
    const headerBytes = known.readUInt32BE(4);
    const patched = Buffer.concat([known.subarray(0, 12), odd, known.subarray(12)]);
    patched.writeUInt32BE(patched.length, 0);
    patched.writeUInt32BE(headerBytes + odd.length, 4);
    seal(patched);
    expect(framesOf(patched)[0]?.headers[':event-type']).toBe('messageStop');
    expect(read(patched)).toMatchObject({ events: [{ event: 'messageStop' }], broken: null });
  });

  test('it reads what Amazon’s codec writes, however it is split, and the codec reads what the simulator writes', () => {
    const headers = fc.dictionary(fc.stringMatching(/^[a-z:-]{1,12}$/), fc.string({ maxLength: 20 }), {
      maxKeys: 4,
    });
    const one = fc.tuple(headers, fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }), { maxKeys: 3 }));
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 4 }), fc.array(fc.nat()), (messages, cuts) => {
        const bytes = Buffer.concat(
          messages.map(([more, data]) =>
            frame({ ...more, ':message-type': 'event', ':event-type': 'e' }, JSON.stringify(data)),
          ),
        );
        const framer = createFramer(1024 * 1024);
        const places = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
        let from = 0;
        const found = [...places, bytes.length].flatMap((to) => {
          const { events } = framer.push(bytes.subarray(from, to));
          from = to;
          return events;
        });
        expect(framer.broken).toBeNull();
        expect(found).toEqual(
          messages.map(([, data]) => ({ event: 'e', data: JSON.parse(JSON.stringify(data)) })),
        );
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z]{1,20}$/), fc.string({ unit: 'grapheme' }), (type, text) => {
        const [message] = framesOf(Buffer.from(bedrockEvent(type, text), 'latin1'));
        expect(message?.headers[':event-type']).toBe(type);
        expect(message?.payload.toString()).toBe(text.toWellFormed());
      }),
      { numRuns: 100 },
    );
  });

  test('one flipped bit is detected', () => {
    const bytes = event('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Hello' } });
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(read(changed)).toMatchObject({ events: [], broken: 'malformed' });
    }
  });

  test('an event over the limit is refused at once', () => {
    const bytes = event('contentBlockDelta', { delta: { text: 'x'.repeat(5000) } });
    expect(read(bytes.subarray(0, 12), 4096)).toEqual({ events: [], broken: 'event_too_large' });
    const small = event('messageStart', { role: 'assistant' });
    const both = read(Buffer.concat([small, bytes]), 4096);
    expect([both.events.length, both.broken]).toEqual([1, 'event_too_large']);
  });

  test('valid frames with invalid contents', () => {
    const typed = { ':message-type': 'event', ':event-type': 'x' };
    for (const payload of ['[1]', '{"a":', 'null', '7'])
      expect(read(frame(typed, payload)).broken).toBe('malformed');
    expect(read(frame(typed, '')).events).toEqual([{ event: 'x', data: {} }]);
    expect(read(exception('throttlingException', 'x')).events).toMatchObject([{ event: ':exception' }]);
    expect(read(frame({}, '{}')).events).toEqual([{ event: '', data: {} }]);
    const torn = event('x', {});
    torn.writeUInt8(200, 12);
    seal(torn);
    expect(read(torn).broken).toBe('malformed');
    const short = event('x', {});
    short.writeUInt32BE(short.length * 2, 4);
    seal(short);
    expect(read(short).broken).toBe('malformed');
  });
});

/** Corrects both checksums. */
function seal(message: Buffer): void {
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
  const end = message.length - 4;
  message.writeUInt32BE(crc32(message.subarray(0, end)), end);
}
