/**
 * Every method of OpenAI's and Anthropic's SDKs, found in the installed packages and called with made-up arguments: the
 * provider is asked the same through Sidegate as without it, and the app gets the same.
 */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, onTestFinished, test } from 'vitest';
import { anthropicWire, openaiWire, type Wire } from '../support/replies.ts';
import { responsesWire } from '../support/responses-wire.ts';
import { methodsOf, type SdkMethod } from '../support/sdk-methods.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { type Call, type Script, startUpstream } from '../support/upstream.ts';

const json = { 'content-type': 'application/json' };
const bytes = Buffer.from([0, 255, 13, 10, 45, 45]);

/** What a provider answers chat with. */
const wires: readonly (readonly [RegExp, Wire])[] = [
  [/\/chat\/completions$/, openaiWire],
  [/\/responses$/, responsesWire],
  [/\/messages$/, anthropicWire],
];
/** What it answers other endpoints with that Sidegate reads. */
const replies: readonly (readonly [RegExp, object])[] = [
  [
    /\/embeddings$/,
    {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [0] }],
      model: 'string',
      usage: { prompt_tokens: 0, total_tokens: 0 },
    },
  ],
  [/\/count_tokens$/, { input_tokens: 0 }],
  [/\/models(\/[^/]+)?$/, { id: 'string', object: 'model', created: 0, owned_by: 'string', data: [] }],
];
const object = {
  id: 'obj_1',
  object: 'thing',
  data: [{ id: 'obj_1', text: null }],
  has_more: false,
  'x ß': [1.0],
};
const events = [
  { type: 'thing.created', id: 'obj_1' },
  { type: 'thing.done', delta: 'ß' },
];

/** Answers whatever is asked as its API would. */
const answers: Script = (call) => {
  const path = call.path.split('?', 1)[0] ?? '';
  const wire = call.method === 'POST' ? wires.find(([paths]) => paths.test(path))?.[1] : undefined;
  if (call.method === 'DELETE' && path.endsWith('/cancel')) return call.whole(204, {}, '');
  if (/"stream":true|name="stream"\r\n\r\ntrue/.test(call.body.toString('latin1'))) {
    call.streamHead();
    for (const event of wire?.stream('some ', 'text') ??
      events.map((each) => `data: ${JSON.stringify(each)}\n\n`))
      call.write(event);
    return call.end();
  }
  if (wire !== undefined) return call.whole(200, json, wire.whole('text'));
  if (/octet-stream|binary|sdp/.test(call.headers.accept ?? '') || path.endsWith('/speech'))
    return call.whole(200, { 'content-type': 'application/octet-stream' }, bytes);
  const reply = replies.find(([paths]) => paths.test(path))?.[1] ?? object;
  call.whole(200, json, JSON.stringify(reply));
};
/** Refuses whatever is asked. */
const refuses =
  (status: number): Script =>
  (call) =>
    call.whole(
      status,
      { ...json, 'x-request-id': 'r' },
      '{"error":{"message":"no ß","type":"invalid_request_error","param":null,"code":"odd"}}',
    );

const named = ['anthropic-beta', 'anthropic-version', 'openai-beta'];
/** Chat always comes in one form. */
const acceptOf = (accept: string | undefined): string | undefined =>
  accept === 'application/json' ? undefined : accept;

/** What reached the provider, but for what an SDK makes up anew each time. */
const seen = ({ method, path, headers, body }: Call) => {
  const boundary = /boundary=(.*)/.exec(headers['content-type'] ?? '')?.[1];
  const text = body.toString('latin1');
  return {
    asked: `${method} ${path}`,
    type: headers['content-type']?.replace(/boundary=.*/, 'boundary'),
    body: boundary === undefined ? text : text.replaceAll(boundary, 'boundary'),
    accept: acceptOf(headers.accept),
    headers: Object.fromEntries(named.map((name) => [name, headers[name]])),
  };
};

/** Without what is hidden in it, such as the request's id. */
const plainly = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

/** What the app gets. */
async function got(method: SdkMethod, client: object, more: object): Promise<unknown> {
  try {
    const reply = await method.call(client, more);
    if (reply instanceof Response)
      return { status: reply.status, bytes: Buffer.from(await reply.arrayBuffer()).toString('hex') };
    if (typeof reply !== 'object' || reply === null) return reply;
    if ('stream' in more && Symbol.asyncIterator in reply) {
      const all: unknown[] = [];
      for await (const each of reply as AsyncIterable<unknown>) all.push(each);
      return all;
    }
    return 'body' in reply ? reply.body : reply;
  } catch (error) {
    const { name, status, message } = error as Error & { status?: number };
    return { name, status, message };
  }
}

const plain = {};
const streamed = { stream: true, stream_options: { include_usage: true } };

interface Maker {
  readonly dialects: readonly ('openai' | 'responses' | 'anthropic')[];
  readonly client: (url: string) => object;
  readonly atLeast: number;
}
const makers: Readonly<Record<string, Maker>> = {
  openai: {
    dialects: ['openai', 'responses'],
    client: (url) =>
      new OpenAI({
        baseURL: `${url}/v1`,
        apiKey: 'My API Key',
        adminAPIKey: 'My Admin API Key',
        maxRetries: 0,
      }),
    atLeast: 300,
  },
  anthropic: {
    dialects: ['anthropic'],
    client: (url) => new Anthropic({ baseURL: url, apiKey: 'My API Key', maxRetries: 0 }),
    atLeast: 200,
  },
};

/** Both ways to one provider. */
async function start({ dialects, client }: Maker, script: Script) {
  const upstream = await startUpstream(script);
  const { baseUrl } = upstream;
  const provider = (dialect: string) => ({ dialect, baseUrl, apiKey: 'k', passthrough: 'unscrubbed' });
  const sidecar = await startTestSidecar({
    providers: Object.fromEntries(dialects.map((each) => [each, provider(each)])) as ConfigInput['providers'],
    routes: [
      { model: 'stored-*', targets: [{ provider: dialects.at(-1) ?? '' }] },
      { model: '*', targets: [{ provider: dialects[0] ?? '' }] },
    ],
    attempt: { retriesMax: 0 },
    cache: { enabled: false },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  const ways = { direct: client(baseUrl.replace(/\/v1$/, '')), through: client(sidecar.url) };
  const by = async (way: keyof typeof ways, method: SdkMethod, more: object) => {
    const before = upstream.calls.length;
    const reply = await got(method, ways[way], more);
    return { name: method.name, reply: plainly(reply), asked: upstream.calls.slice(before).map(seen) };
  };
  return { by, methods: methodsOf(ways.direct) };
}

/** The gateway answers these itself: its list of models is that of its routes. */
const own = /^(?:models|beta\.models)\.(?:list|retrieve)$/;

describe.each(Object.entries(makers))('%s', (_, maker) => {
  test.each([
    ['answers', answers, plain],
    ['streams', answers, streamed],
    ['refuses with 422', refuses(422), plain],
  ] as const)('each method, where the provider %s', async (_what, script, more) => {
    const { by, methods } = await start(maker, script);
    const tried = methods.filter(({ name, streams }) => !own.test(name) && (more === plain || streams));
    for (const method of tried) {
      // The two dialects of OpenAI are two providers here, and the model says which is asked.
      const asked = { ...more, ...(/(?:^|\.)responses\./.test(method.name) ? { model: 'stored-m' } : {}) };
      const direct = await by('direct', method, asked);
      expect(await by('through', method, asked)).toEqual(direct);
      expect([method.name, direct.asked.length]).toEqual([method.name, 1]);
    }
    expect(tried.length).toBeGreaterThan(more === plain ? maker.atLeast : 1);
  });
});
