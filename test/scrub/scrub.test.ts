/** Stage scrub: what leaves is masked, what comes back is restored, however a reply is cut into events. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { dialects } from '../../src/dialects/index.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { createRestorer } from '../../src/scrub/restore.ts';
import { restoreBody, restoreText, type Vault } from '../../src/scrub/scrub.ts';
import { type Gate, ownModel, startGate } from '../support/gate.ts';
import { eventData, openaiWire, wires } from '../support/replies.ts';
import { answers, type Script } from '../support/upstream.ts';

const vault: Vault = new Map([
  ['[EMAIL_1]', 'ann@example.com'],
  ['[EMAIL_2]', "o'neil+x@müller.example"],
  ['[EMAIL_12]', 'twelve@example.com'],
  ['[CARD_1]', '4111 1111 1111 1111'],
]);

describe('a whole reply', () => {
  test('has its values restored, wherever a placeholder is and however deep', () => {
    const inner = JSON.stringify({ to: '[EMAIL_1]', cards: ['[CARD_1]'] });
    const reply = {
      text: 'café 😀 [EMAIL_1], [EMAIL_12] and [EMAIL_2]',
      arguments: inner,
      twice: JSON.stringify({ inner }),
    };
    const restored = JSON.parse(restoreBody(Buffer.from(JSON.stringify(reply)), vault).toString());
    expect(restored.text).toBe("café 😀 ann@example.com, twelve@example.com and o'neil+x@müller.example");
    expect(JSON.parse(restored.arguments)).toEqual({ to: 'ann@example.com', cards: ['4111 1111 1111 1111'] });
    expect(JSON.parse(JSON.parse(restored.twice).inner).to).toBe('ann@example.com');
  });

  test('without a placeholder stays the same bytes', () => {
    for (const text of ['{"a":1}', '{"a":[1,"[EMAIL_9] [EMAIL_] [email_1] [EMAIL_1 ] [EMAIL_01]"]}']) {
      const body = Buffer.from(text);
      expect(restoreBody(body, vault)).toBe(body);
    }
  });
});

// Streams: text in pieces goes in, the joined text must be what restoring it unsplit gives.

const lookalikes = [
  '[EMAIL_9]',
  '[EMAIL_',
  '[EMAIL_x]',
  '[',
  '[[',
  '[E',
  '[CARD_',
  '[CARD_123456789]',
  'EMAIL_1]',
  '[EMAIL_1',
  ']',
];
const fragment = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...vault.keys()) },
  { weight: 3, arbitrary: fc.constantFrom(...lookalikes) },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 6 }) },
  { weight: 1, arbitrary: fc.constantFrom('\n\n', 'data: ', '"', '\\', '{"a":"', '\u2028') },
);
const text = fc.array(fragment, { maxLength: 12 }).map((parts) => parts.join(''));
const cuts = fc.array(fc.nat({ max: 200 }), { maxLength: 40 });

function cutText(whole: string, at: readonly number[]): string[] {
  const places = [...new Set(at.map((place) => place % (whole.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, i) => whole.slice(from, places[i] ?? whole.length));
}

type Json = Record<string, unknown>;
const data = (event: Json): string => `data: ${JSON.stringify(event)}\n\n`;
const named = (event: Json): string => `event: ${event.type}\n${data(event)}`;

/** A kind of text that a dialect streams: how a piece is sent, how it ends, and how a client reads it. */
interface Channel {
  readonly name: string;
  readonly dialect: DialectName;
  piece(part: string): string;
  /** The last piece, in the event that ends the channel where the dialect can do that. */
  last(part: string): string;
  read(event: Json): string;
}

type Delta = Record<string, string | undefined> & {
  tool_calls?: { index: number; function: { arguments?: string } }[];
};
const openaiDelta = (index: number, delta: Json, reason: string | null): string =>
  data({ id: 'c', choices: [{ index, delta, finish_reason: reason }] });
const openaiChannel = (
  name: string,
  index: number,
  make: (part: string) => Json,
  take: (delta: Delta) => string,
): Channel => ({
  name,
  dialect: 'openai',
  piece: (part) => openaiDelta(index, make(part), null),
  last: (part) => openaiDelta(index, make(part), 'stop'),
  read: (event) =>
    (event.choices as { index: number; delta: Delta }[])
      .filter((choice) => choice.index === index)
      .map(({ delta }) => take(delta))
      .join(''),
});
const openaiTool = (index: number): Channel =>
  openaiChannel(
    `tool ${index}`,
    0,
    (part) => ({ tool_calls: [{ index, function: { arguments: part } }] }),
    ({ tool_calls: calls = [] }) =>
      calls.map((c) => (c.index === index ? (c.function.arguments ?? '') : '')).join(''),
  );
const anthropicChannel = (name: string, index: number, type: string, field: string): Channel => {
  const piece = (part: string): string =>
    named({ type: 'content_block_delta', index, delta: { type, [field]: part } });
  return {
    name,
    dialect: 'anthropic',
    piece,
    last: (part) => piece(part) + named({ type: 'content_block_stop', index }),
    read: (event) =>
      event.type === 'content_block_delta' && event.index === index
        ? ((event.delta as Record<string, string>)[field] ?? '')
        : '',
  };
};

const openaiChannels: readonly Channel[] = [
  openaiChannel(
    'content',
    0,
    (content) => ({ content }),
    ({ content }) => content ?? '',
  ),
  openaiChannel(
    'reasoning',
    0,
    (r) => ({ reasoning_content: r }),
    (delta) => delta.reasoning_content ?? '',
  ),
  openaiTool(0),
  openaiTool(1),
  openaiChannel(
    'content of another choice',
    1,
    (content) => ({ content }),
    ({ content }) => content ?? '',
  ),
];
const anthropicChannels: readonly Channel[] = [
  anthropicChannel('text', 0, 'text_delta', 'text'),
  anthropicChannel('tool input', 1, 'input_json_delta', 'partial_json'),
  anthropicChannel('thinking', 2, 'thinking_delta', 'thinking'),
];
const channels = [...openaiChannels, ...anthropicChannels];

/** Restores a stream given in these chunks, and gives the events that come out. */
function restored(dialect: DialectName, chunks: readonly string[]): Json[] {
  const restorer = createRestorer(dialects[dialect], vault);
  const out =
    chunks.map((chunk) => restorer.push(Buffer.from(chunk)).toString()).join('') +
    restorer.finish().toString();
  return eventData(out)
    .filter((event) => event !== '[DONE]')
    .map((event): Json => JSON.parse(event));
}

describe('a stream', () => {
  test.each(channels.map((channel) => [`${channel.dialect} ${channel.name}`, channel] as const))(
    '%s, split anywhere, reads as if it were whole',
    (_, channel) => {
      fc.assert(
        fc.property(
          text,
          cuts,
          fc.constantFrom('ended', 'ended apart', 'cut'),
          fc.boolean(),
          (whole, at, end, together) => {
            const parts = cutText(whole, at);
            const events = parts.map((part, i) =>
              end === 'ended' && i === parts.length - 1 ? channel.last(part) : channel.piece(part),
            );
            if (end === 'ended apart') events.push(channel.last(''));
            const read = restored(channel.dialect, together ? [events.join('')] : events)
              .map(channel.read)
              .join('');
            expect(read).toBe(restoreText(whole, vault));
          },
        ),
        { numRuns: 500 },
      );
    },
  );

  test.each([
    ['openai', openaiChannels],
    ['anthropic', anthropicChannels],
  ] as const)('%s texts that take turns do not mix', (dialect, all) => {
    const turns = fc.array(fc.tuple(fc.nat({ max: all.length - 1 }), fragment, cuts), { maxLength: 20 });
    fc.assert(
      fc.property(turns, (taken) => {
        const whole = all.map(() => '');
        const events = taken.flatMap(([who, part, at]) => {
          whole[who] += part;
          return cutText(part, at).map((piece) => all[who]?.piece(piece) ?? '');
        });
        const out = restored(dialect, events);
        expect(all.map((channel) => out.map(channel.read).join(''))).toEqual(
          whole.map((one) => restoreText(one, vault)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('no text comes after its end event', () => {
    const [content, , tool] = openaiChannels;
    if (content === undefined || tool === undefined) throw new Error('no channel');
    const events = restored('openai', [
      content.piece('a [EMA'),
      tool.piece('[CAR'),
      content.last(''),
      'data: [DONE]\n\n',
    ]);
    const reasons = events.map((event) => (event.choices as Json[])[0]?.finish_reason);
    expect(reasons.slice(0, -1).every((reason) => reason === null)).toBe(true);
    expect(reasons.at(-1)).toBe('stop');
    expect(events.map(tool.read).join('')).toBe('[CAR');
  });

  test('an event with held text repeats no name, id or usage', () => {
    const call = {
      index: 0,
      id: 'call_1',
      type: 'function',
      function: { name: 'send', arguments: '{"to":"[EMA' },
    };
    const begin = data({
      choices: [{ index: 0, delta: { role: 'assistant', tool_calls: [call] } }],
      usage: { total_tokens: 9 },
    });
    const out = createRestorer(dialects.openai, vault);
    const stream = out.push(Buffer.from(begin)).toString() + out.finish().toString();
    for (const once of ['call_1', 'send', 'assistant', 'total_tokens'])
      expect(stream.split(once)).toHaveLength(2);
    expect(
      eventData(stream)
        .map((event) => openaiTool(0).read(JSON.parse(event)))
        .join(''),
    ).toBe('{"to":"[EMA');
  });

  test('a stream without brackets passes as the same bytes, including comments and odd line ends', () => {
    const stream =
      ': hello\n\ndata: {"choices": [ ], "x" : 1}\r\n\r\n' +
      'id: 7\ndata: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n';
    const restorer = createRestorer(dialects.openai, vault);
    expect(restorer.push(Buffer.from(stream)).toString() + restorer.finish().toString()).toBe(stream);
  });

  test('strings that arrive in one piece are restored too', () => {
    const citation = { type: 'char_location', cited_text: 'write to [EMAIL_1]' };
    const [event] = restored('anthropic', [
      named({ type: 'content_block_delta', index: 0, delta: { type: 'citations_delta', citation } }),
    ]);
    expect(event?.delta).toMatchObject({ citation: { cited_text: 'write to ann@example.com' } });
  });

  test('texts beyond the limit pass unrestored rather than being kept', () => {
    const restorer = createRestorer(dialects.openai, vault);
    let out = '';
    for (let index = 0; index < 1000; index++)
      out += restorer.push(Buffer.from(openaiDelta(index, { content: '[' }, null)));
    expect(eventData(out).filter((event) => event.includes('"content":"["'))).toHaveLength(1000 - 256);
  });
});

describe.each(wires)('through the sidecar, $name', (wire) => {
  let gate: Gate;
  afterEach(() => gate.stop());
  const address = 'ann.smith@example.com';
  const card = '4111 1111 1111 1111';
  const prompt = `Write to ${address}, not to bob@example.com, paid with ${card}. Again: ${address}`;
  const masked = 'Write to [EMAIL_1], not to [EMAIL_2], paid with [CARD_1]. Again: [EMAIL_1]';

  /** Says back what it was asked, in pieces of one character where a stream was asked for. */
  const echo: Script = (call) => answers(wire, ...promptOf(call.json))(call);
  const promptOf = (json: Json): string[] => [
    ...String((json.messages as { content: string }[])[0]?.content),
  ];

  test('the provider sees placeholders, the client its values, the log neither', async () => {
    gate = await startGate([echo]);
    const whole = await gate.ask(wire, prompt);
    const stream = await gate.ask(wire, prompt, { more: { stream: true } });
    expect(gate.upstream.calls.map(({ json }) => promptOf(json).join(''))).toEqual([masked, masked]);
    expect(whole.text).toContain(prompt);
    expect(wire.textOf(stream.text)).toBe(prompt);
    // A time or a digest may hold any four digits by chance.
    for (const value of [address, 'bob@example.com', card, '4111 ', '41111111'])
      expect(gate.sidecar.logText()).not.toContain(value);
    expect(gate.sidecar.records()[0]).toMatchObject({ emails: 3, cards: 1 });
  });

  test('all of the body except the model is masked: system text, tool results, metadata, escapes', async () => {
    gate = await startGate([answers(wire, 'ok')]);
    const body = JSON.stringify(
      wire.request('hi', {
        model: ownModel(wire),
        system: `you are ${address}`,
        metadata: { user_id: address },
        tools: [
          { name: 't', description: `mail ${address}`, input_schema: { properties: { [address]: {} } } },
        ],
        unknown: { deep: [[address]] },
      }),
    ).replaceAll('ann.smith@', 'ann.smith\\u0040');
    expect((await gate.post(wire.path, body)).status).toBe(200);
    const sent = gate.upstream.calls[0]?.body.toString() ?? '';
    expect(sent).not.toMatch(/ann\.smith/);
    expect(sent.match(/\[EMAIL_1\]/g)).toHaveLength(5);
  });

  test('a placeholder number that the body already uses is skipped', async () => {
    gate = await startGate([echo]);
    const own = `[EMAIL_1] means ${address} and [EMAIL_3] means nobody, bob@example.com`;
    const reply = await gate.ask(wire, own);
    expect(promptOf(gate.upstream.calls[0]?.json ?? {}).join('')).toBe(
      '[EMAIL_1] means [EMAIL_2] and [EMAIL_3] means nobody, [EMAIL_4]',
    );
    expect(reply.text).toContain(own);
  });

  test("placeholders that the gateway didn't create pass unchanged", async () => {
    gate = await startGate([answers(wire, 'see [EMAIL_7] and [CARD_1]')]);
    expect((await gate.ask(wire, `I am ${address}`)).text).toContain('see [EMAIL_7] and [CARD_1]');
  });

  test('tool arguments are restored, streamed in pieces', async () => {
    gate = await startGate([
      (call) => {
        call.streamHead();
        call.write(wire.opening + wire.toolBegins);
        for (const piece of '{"to":"[EMAIL_1]","cc":"[EMAIL_2]"}') call.write(wire.toolArguments(piece));
        call.end(wire.finish('tool') + wire.usage + wire.end);
      },
    ]);
    const { text: stream } = await gate.ask(wire, prompt, { more: { stream: true } });
    const channel =
      wire === openaiWire ? openaiTool(0) : anthropicChannel('tool', 1, 'input_json_delta', 'partial_json');
    const events = eventData(stream)
      .filter((event) => event !== '[DONE]')
      .map((event): Json => JSON.parse(event));
    expect(JSON.parse(events.map(channel.read).join(''))).toEqual({ to: address, cc: 'bob@example.com' });
  });

  test('by policy it is refused, without quoting what was found, or let through', async () => {
    gate = await startGate([echo], { scrub: { email: 'block', card: 'off' } });
    const blocked = await gate.ask(wire, prompt);
    expect(blocked.status).toBe(400);
    expect(wire.errorOf(blocked.text)).toMatchObject({ type: 'invalid_request_error', code: 'pii_blocked' });
    expect(blocked.text).not.toContain('example.com');
    expect(gate.upstream.calls).toHaveLength(0);
    const passed = await gate.ask(wire, `card ${card}`);
    expect(promptOf(gate.upstream.calls[0]?.json ?? {}).join('')).toBe(`card ${card}`);
    expect(passed.text).toContain(card);
  });

  test('a prompt that repeats an earlier reply is masked the same way again', async () => {
    gate = await startGate([echo]);
    const first = wire.textOf((await gate.ask(wire, prompt, { more: { stream: true } })).text);
    await gate.ask(wire, first, { headers: { 'cache-control': 'no-store' } });
    const [a, b] = gate.upstream.calls.map(({ json }) => promptOf(json).join(''));
    expect(b).toBe(a);
  });
});
