/** Replies are searched as whole ones are, however a stream cuts them: values in odd characters too. */
import { describe, expect, test } from 'vitest';
import { positives } from '../../bench/pii/positives.ts';
import { dialects } from '../../src/dialects/index.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { PiiStream, piiAction, piiKinds, policyOf, scrubDocument } from '../../src/native/pii.ts';
import { createReplyScrubber } from '../../src/scrub/restore.ts';
import {
  anthropicChannels,
  type Channel,
  type Json,
  openaiChannels,
  transcriptChannels,
} from '../support/channels.ts';
import { eventData } from '../support/replies.ts';

const rules = piiKinds.map(({ name }) => ({ name, action: piiAction.Redact }));
const scope = {
  policy: policyOf(rules, [], Buffer.from('key')),
  names: piiKinds.map(({ name }) => name),
  tenant: Buffer.from('acme'),
};

/** What goes out of a stream's text. */
function scrubbed(channel: Channel, parts: readonly string[]): string {
  const scrubber = createReplyScrubber(dialects[channel.dialect as DialectName], scope);
  const events = [...parts.map(channel.piece), channel.last('')];
  const out =
    events.map((event) => scrubber.push(Buffer.from(event)).toString()).join('') +
    scrubber.finish().toString();
  return eventData(out)
    .filter((event) => event !== '[DONE]')
    .map((event): Json => JSON.parse(event))
    .map(channel.read)
    .join('');
}

/** The same text in a reply that comes as a whole. */
const whole = (text: string): string =>
  JSON.parse(scrubDocument(Buffer.from(JSON.stringify([text])), scope).body.toString())[0];

const texts = [
  ['full-width digits', 'pay with ４１１１ １１１１ １１１１ １１１１ now', 'pay with [CARD] now'],
  ['odd spaces', 'pay with 4111\u00a01111\u30001111\u20091111 now', 'pay with [CARD] now'],
  ['digits of other scripts', 'call +٤٤ 20 7946 ०958, or 𝟒𝟏𝟏𝟏 1111 1111 1111', 'call [PHONE], or [CARD]'],
  ['no width', 'to a\u200bnn@exa\u2060mple.com\u00ad, or not', 'to [EMAIL], or not'],
  ['full-width letters', 'to ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ 😀', 'to [EMAIL] 😀'],
  ['escapes of JSON in text', '{"to":"ann\\u0040example.com","n":"1\\n2"}', '{"to":"[EMAIL]","n":"1\\n2"}'],
  ['digits in frames', 'pay with 4\ufe0f\u20e31\ufe0f\u20e311 1111 1111 1111 now', 'pay with [CARD] now'],
  ['digits struck through', 'pay with 4\u03361\u033611 1111 1111 1111\u0336 now', 'pay with [CARD] now'],
  ['accents apart', 'to jose\u0301@example.com now', 'to [EMAIL] now'],
  [
    'a link',
    'see https://a.example/?to=ann%40example.com&x=1 now',
    'see https://[DOMAIN]/?to=[EMAIL]&x=1 now',
  ],
  ['JSON, deep in itself', String.raw`"\\nann\\u0040example.com\\n"`, String.raw`"\\n[EMAIL]\\n"`],
  [
    'numbers of JSON',
    '{"n": 4111111111111111,"m":[1, 4111111111111111]}',
    '{"n": "[CARD]","m":[1, "[CARD]"]}',
  ],
] as const;

describe.each(
  [...openaiChannels, ...transcriptChannels, ...anthropicChannels].map(
    (channel) => [`${channel.dialect} ${channel.name}`, channel] as const,
  ),
)('%s', (_, channel) => {
  test.each(texts)('%s, cut in two at every position, and in pieces of one', (_, text, wanted) => {
    expect(whole(text)).toBe(wanted);
    for (let at = 0; at <= text.length; at++)
      expect(scrubbed(channel, [text.slice(0, at), text.slice(at)]), String(at)).toBe(wanted);
    expect(
      scrubbed(
        channel,
        Array.from({ length: text.length }, (_, at) => text.charAt(at)),
      ),
    ).toBe(wanted);
  });
});

test('sentences of every kind, streamed letter by letter, read as if they were whole', () => {
  const sentences = positives(40).map(({ text }) => text);
  expect(new Set(sentences).size).toBeGreaterThan(300);
  const differing = sentences.filter((sentence) => {
    const text = `Before it, ${sentence} And after it.`;
    const stream = new PiiStream(scope.policy, 'acme');
    const out = [...text].map((letter) => stream.push(letter, false)).join('') + stream.push('', true);
    return out !== whole(text);
  });
  expect(differing).toEqual([]);
});

/** Letters as those of random tokens, so many. */
const random = (length: number): string => 'aB3xY9kQ7mZ2-w_R5'.repeat(400).slice(0, length);

test.each([
  [
    'a web token of an issuer',
    `Bearer eyJ${random(40)}.eyJ${random(1500)}.${random(342)}, and`,
    'Bearer [JWT], and',
  ],
  ['a session token', `aws_session_token=${random(900)} and`, 'aws_session_token=[PASSWORD] and'],
  ['a date behind a long month', 'Born September 24, 1991, they say', 'Born [BIRTH_DATE], they say'],
])('%s is replaced to its end, streamed in pieces of any size', (_, text, wanted) => {
  expect(whole(text)).toBe(wanted);
  for (const size of [1, 4, 50, 600, 5000]) {
    const stream = new PiiStream(scope.policy, 'acme');
    let out = '';
    for (let at = 0; at < text.length; at += size) out += stream.push(text.slice(at, at + size), false);
    expect(out + stream.push('', true), String(size)).toBe(wanted);
  }
});
