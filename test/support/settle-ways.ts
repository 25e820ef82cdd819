/** The ways in which a request can end that the table of settlements tests, with what the provider really sent in each. */
import type { ExchangeRecord } from '../../src/observe/record.ts';
import type { Sent } from './client.ts';
import { statedUsage, type Wire } from './replies.ts';
import { tokenizer } from './tokenizer.ts';
import { answers, type Call, hangs, refuses, type Script } from './upstream.ts';

const tokensOf = (text: string): number => tokenizer.encode(text, [], []).length;

const sentences = [
  'Ledgers must agree with what was really delivered, whatever happened on the way. ',
  'Größere Beträge werden am Monatsende nachgezählt; das dauert etwa 3,5 Stunden. ',
  'const total = rows.reduce((sum, { cents }) => sum + cents, 0); // never floats\n',
  '客户端断开连接之后，仍然需要结算已经收到的内容。 ',
];
/** The prompt of every request. */
export const prompt = sentences.join('').repeat(4);
/** What providers send, in pieces as models do. */
export const pieces = (sentences
  .join('')
  .repeat(3)
  .match(/[\s\S]{1,7}/g) ?? []) as readonly string[];
const text = pieces.join('');
/** The first half of the pieces. */
export const half = pieces.slice(0, Math.ceil(pieces.length / 2));

/** The provider's tokens: of the prompt it received, by its published rule, and of the text it sent. */
export interface Truth {
  readonly input: number;
  readonly output: number;
  /** Whether the provider stated them: then every token must be accounted for. */
  readonly exact: boolean;
}
/** No tokens. */
export const nothing: Truth = { input: 0, output: 0, exact: true };
/** The tokens that the ready-made replies state. */
export const stated: Truth = {
  input: statedUsage.inputTokens,
  output: statedUsage.outputTokens,
  exact: true,
};

/** The prompt's tokens by the body that reached the provider: three around each message, three before the reply. */
function promptTruth(call: Call): number {
  const { messages } = call.json as { messages: { role: string; content: string }[] };
  return messages.reduce((sum, { role, content }) => sum + 3 + tokensOf(role) + tokensOf(content), 3);
}

/** Removes every usage from a reply. */
export const silent = (reply: string): string =>
  reply.replaceAll(/,"usage":(?:\{(?:[^{}]|\{[^{}]*\})*\}|null)/g, '').replaceAll(/"choices":\[\],?/g, '');

const json = { 'content-type': 'application/json' };

/** One row of the table. */
export interface Way {
  readonly name: string;
  readonly stream: boolean;
  /** What the first provider does once the reservation has been read. */
  readonly first: (call: Call) => unknown;
  /** What the next provider does. */
  readonly second?: Script;
  /** What the client does meanwhile. @param pass lets so many ms pass */
  readonly client?: (
    sent: Sent,
    roundTrip: () => Promise<unknown>,
    pass: (ms: number) => void,
  ) => Promise<unknown>;
  readonly headers?: Readonly<Record<string, string>>;
  truth(wire: Wire, call: Call): Truth;
  /** Other expected fields of the record. */
  readonly record?: Partial<ExchangeRecord>;
}

/** Starts a stream and sends these texts. */
export const opens = (call: Call, wire: Wire, unstated: boolean, texts: readonly string[]): void => {
  call.streamHead();
  call.write((unstated ? silent : String)(wire.opening));
  for (const each of texts) call.write(wire.text(each));
};
/** Tokens of a reply that has started: Anthropic states the prompt's at the start. */
const begun = (wire: Wire, call: Call, output: number): Truth => ({
  input: wire.name === 'anthropic' ? statedUsage.inputTokens : promptTruth(call),
  output: wire.name === 'anthropic' ? Math.max(1, output) : output,
  exact: output === 0 && wire.name === 'anthropic',
});
/** Tokens that must be counted, since the provider didn't state them. */
export const counted = (call: Call, output: string): Truth => ({
  input: promptTruth(call),
  output: tokensOf(output),
  exact: false,
});
/** Sends half of a whole reply, and nothing more. */
const halfBody = (call: Call, wire: Wire): string => {
  const body = wire.whole(text);
  const cut = body.slice(0, body.indexOf(JSON.stringify(text).slice(1, 8)) + Math.floor(text.length / 2));
  call.head(200, { ...json, 'content-length': String(Buffer.byteLength(body)) });
  call.write(cut);
  return cut;
};
/** The text in such a half. */
const halfText = (wire: Wire): string => {
  const body = wire.whole(text);
  const from = body.indexOf(JSON.stringify(text).slice(1, 8));
  const cut = body.slice(from, from + Math.floor(text.length / 2)).replace(/\\$/, '');
  return String(JSON.parse(`"${cut}"`));
};
const sees =
  (piece: string) =>
  async (sent: Sent): Promise<void> => {
    await (await sent.reply).sees(JSON.stringify(piece).slice(1, -1));
    sent.hangUp();
  };
/** The last piece of that half. */
export const last = half.at(-1) ?? '';

/** Requests that the provider answers or refuses as a whole, or never answers. */
const uncutWays = (wire: Wire): readonly Way[] => [
  ...[true, false].map(
    (stream): Way => ({
      name: 'success, stated',
      stream,
      first: answers(wire, ...pieces),
      truth: () => stated,
      record: { status: 200, usageKnown: true },
    }),
  ),
  {
    name: 'success, unstated',
    stream: true,
    first: (call) => {
      opens(call, wire, true, pieces);
      call.end(silent(wire.finish()) + wire.end);
    },
    truth: (_, call) => counted(call, text),
    record: { status: 200, usageKnown: false },
  },
  {
    name: 'success, unstated',
    stream: false,
    first: (call) => call.whole(200, json, silent(wire.whole(text))),
    truth: (_, call) => counted(call, text),
    record: { status: 200, usageKnown: false },
  },
  ...[true, false].flatMap((stream): Way[] => [
    {
      name: 'upstream error 500',
      stream,
      first: refuses(wire.error(500, 'no')),
      second: refuses(wire.error(500, 'no')),
      truth: () => nothing,
      record: { error: 'targets_down' },
    },
    {
      name: 'request rejected 400',
      stream,
      first: refuses(wire.error(400, 'no')),
      truth: () => nothing,
      record: { status: 400 },
    },
    {
      name: 'client gone early',
      stream,
      first: () => {},
      client: async (sent) => sent.hangUp(),
      // The provider has the prompt, and bills it.
      truth: (_, call) => counted(call, ''),
      record: { abandoned: true, status: 499 },
    },
    {
      name: 'timeout, no answer',
      stream,
      first: hangs,
      second: hangs,
      headers: { 'x-sidegate-timeout': '30' },
      client: async (sent, _, pass) => {
        pass(30);
        await (await sent.reply).all();
      },
      // The provider has the prompt, and bills it.
      truth: (_, call) => counted(call, ''),
      record: { error: 'upstream_timeout' },
    },
  ]),
];

/** Replies that end before their end: cut by the provider, left by the client, or timed out. */
const cutWays = (wire: Wire): readonly Way[] => [
  {
    name: 'cut',
    stream: true,
    first: (call) => {
      opens(call, wire, false, half);
      call.cut();
    },
    truth: (_, call) => begun(wire, call, tokensOf(half.join(''))),
    record: { error: 'stream_cut' },
  },
  {
    name: 'cut, unstated',
    stream: true,
    first: (call) => {
      opens(call, wire, true, half);
      call.cut();
    },
    truth: (_, call) => counted(call, half.join('')),
    record: { error: 'stream_cut' },
  },
  {
    name: 'cut',
    stream: false,
    first: (call) => {
      halfBody(call, wire);
      call.cut();
    },
    second: refuses(wire.error(500, 'no')),
    truth: (_, call) => counted(call, halfText(wire)),
  },
  {
    name: 'client gone before content',
    stream: true,
    first: (call) => opens(call, wire, false, []),
    client: async (sent, roundTrip) => {
      // The head is held back, so nothing is visible here; but a later request has been answered.
      await roundTrip();
      sent.hangUp();
    },
    truth: (_, call) => begun(wire, call, 0),
    record: { abandoned: true },
  },
  {
    name: 'client gone late',
    stream: true,
    first: (call) => opens(call, wire, false, half),
    client: sees(last),
    truth: (_, call) => begun(wire, call, tokensOf(half.join(''))),
    record: { abandoned: true, status: 200 },
  },
  {
    name: 'client gone at the end',
    stream: true,
    first: (call) => {
      opens(call, wire, false, pieces);
      call.write(wire.finish() + wire.usage);
    },
    client: sees(wire.name === 'openai' ? 'stop' : 'end_turn'),
    truth: () => stated,
    record: { abandoned: true, usageKnown: true },
  },
  {
    name: 'timeout, in the stream',
    stream: true,
    first: (call) => opens(call, wire, true, half),
    headers: { 'x-sidegate-timeout': '30' },
    client: async (sent, _, pass) => {
      const reply = await sent.reply;
      await reply.sees(JSON.stringify(last).slice(1, -1));
      pass(30);
      await reply.all();
    },
    truth: (_, call) => counted(call, half.join('')),
    record: { error: 'stream_cut' },
  },
];

/** Requests that a second provider answers, after the first one broke off. */
const secondWays = (wire: Wire): readonly Way[] => [
  {
    name: 'fallback before content',
    stream: true,
    first: (call) => {
      opens(call, wire, false, []);
      call.cut();
    },
    second: answers(wire, ...pieces),
    truth: (_, call) => plus(begun(wire, call, 0), stated),
    record: { status: 200, attempts: 2 },
  },
  {
    name: 'fallback',
    stream: false,
    first: (call) => {
      halfBody(call, wire);
      call.cut();
    },
    second: answers(wire, ...pieces),
    truth: (_, call) => plus(counted(call, halfText(wire)), stated),
    record: { status: 200, attempts: 2 },
  },
  {
    name: 'restart on the next',
    stream: true,
    first: (call) => {
      opens(call, wire, true, half);
      call.cut();
    },
    second: answers(wire, ...pieces),
    headers: { 'x-sidegate-restart': 'on-cut' },
    truth: (_, call) => plus(counted(call, half.join('')), stated),
    record: { status: 200, attempts: 2 },
  },
];

/** Every way in which one request to a provider can end. */
export const ways = (wire: Wire): readonly Way[] => [
  ...uncutWays(wire),
  ...cutWays(wire),
  ...secondWays(wire),
];

const plus = (a: Truth, b: Truth): Truth => ({
  input: a.input + b.input,
  output: a.output + b.output,
  exact: a.exact && b.exact,
});
