/** Stage scrub: what leaves is masked, what comes back is restored, however a reply is cut into events. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dialects } from '../../src/dialects/index.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { createRestorer } from '../../src/scrub/restore.ts';
import { restoreBody, restoreText, type Vault } from '../../src/scrub/scrub.ts';
import {
  anthropicChannels,
  type Channel,
  data,
  type Json,
  named,
  openaiChannels,
  openaiDelta,
  openaiTool,
  responsesChannels,
  transcriptChannels,
} from '../support/channels.ts';
import { eventData } from '../support/replies.ts';

const vault: Vault = new Map([
  ['[EMAIL_000001]', 'ann@example.com'],
  ['[EMAIL_000002]', "o'neil+x@müller.example"],
  ['[EMAIL_0000ZZ]', 'twelve@example.com'],
  ['[CARD_000001]', '4111 1111 1111 1111'],
]);

describe('a whole reply', () => {
  test('has its values restored, wherever a placeholder is and however deep', () => {
    const inner = JSON.stringify({ to: '[EMAIL_000001]', cards: ['[CARD_000001]'] });
    const reply = {
      text: 'café 😀 [EMAIL_000001], [EMAIL_0000ZZ] and [EMAIL_000002]',
      arguments: inner,
      twice: JSON.stringify({ inner }),
    };
    const restored = JSON.parse(restoreBody(Buffer.from(JSON.stringify(reply)), vault).toString());
    expect(restored.text).toBe("café 😀 ann@example.com, twelve@example.com and o'neil+x@müller.example");
    expect(JSON.parse(restored.arguments)).toEqual({ to: 'ann@example.com', cards: ['4111 1111 1111 1111'] });
    expect(JSON.parse(JSON.parse(restored.twice).inner).to).toBe('ann@example.com');
  });

  test('without a placeholder stays the same bytes', () => {
    for (const text of [
      '{"a":1}',
      '{"a":[1,"[EMAIL_000009] [EMAIL_] [email_1] [EMAIL_000001 ] [EMAIL_0000001]"]}',
    ]) {
      const body = Buffer.from(text);
      expect(restoreBody(body, vault)).toBe(body);
    }
  });
});

// Streams: text in pieces goes in, the joined text must be what restoring it unsplit gives.

const lookalikes = [
  '[EMAIL_000009]',
  '[EMAIL_',
  '[EMAIL_x]',
  '[',
  '[[',
  '[E',
  '[CARD_',
  '[CARD_1234567]',
  'EMAIL_000001]',
  '[EMAIL_000001',
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

const channels: readonly Channel[] = [
  ...openaiChannels,
  ...transcriptChannels,
  ...anthropicChannels,
  ...responsesChannels,
];

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

  test.each(channels.map((channel) => [`${channel.dialect} ${channel.name}`, channel] as const))(
    '%s, cut in two or three at every position, reads as if it were whole',
    (_, channel) => {
      const whole = `{"to":"${[...vault.keys()].join('","')}","not":"[EMAIL_ [CARD_1234567]"}[EMA`;
      const wanted = restoreText(whole, vault);
      for (let first = 0; first <= whole.length; first++)
        for (const second of [first, first + 1, first + 7, whole.length]) {
          const parts = [whole.slice(0, first), whole.slice(first, second), whole.slice(second)];
          const events = parts.map((part, i) => (i < 2 ? channel.piece(part) : channel.last(part)));
          expect(restored(channel.dialect, events).map(channel.read).join('')).toBe(wanted);
        }
    },
  );

  test.each([
    ['openai', openaiChannels],
    ['anthropic', anthropicChannels],
    ['responses', responsesChannels],
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
      choices: [
        { index: 0, delta: { role: 'assistant', tool_calls: [call] }, logprobs: { content: ['p0'] } },
      ],
      usage: { total_tokens: 9 },
    });
    const out = createRestorer(dialects.openai, vault);
    const stream = out.push(Buffer.from(begin)).toString() + out.finish().toString();
    for (const once of ['call_1', 'send', 'assistant', 'total_tokens', 'p0'])
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
    const citation = { type: 'char_location', cited_text: 'write to [EMAIL_000001]' };
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
