/** Events of streams: how they are cut, and which of them are too much to be parsed at once. */
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFramer as createBedrockFramer } from '../../src/dialects/bedrock/event-stream.ts';
import { createSseFramer, splitEvents } from '../../src/dialects/framer.ts';
import type { Framer } from '../../src/dialects/reading.ts';
import { createJsonFramer } from '../../src/dialects/replicate/framer.ts';

test('events end at a blank line, whatever their lines end in', () => {
  const line = fc.constantFrom('\n', '\r\n', '\r', 'data: a', 'x');
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const text = lines.join('');
      const events = splitEvents(text);
      expect(events.join('')).toBe(text);
      const blank = /\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n/;
      for (const event of events.slice(0, -1)) {
        const found = blank.exec(event);
        expect(found === null ? -1 : found.index + found[0].length).toBe(event.length);
      }
    }),
    { numRuns: 1000 },
  );
});

const MB = 1024 * 1024;
/** Amazon's form of an event. */
function amazonEvent(json: string): Buffer {
  const payload = Buffer.from(json);
  const bytes = Buffer.alloc(16 + payload.length);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
  payload.copy(bytes, 12);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, bytes.length - 4)), bytes.length - 4);
  return bytes;
}

test.each([
  ['server-sent events', createSseFramer, (json: string) => Buffer.from(`data: ${json}\n\n`)],
  ['Amazon', createBedrockFramer, amazonEvent],
  ['Replicate', createJsonFramer, (json: string) => Buffer.from(json)],
] as const)(
  'H12: an event of too many parts is refused, and a long text is not: %s',
  (_, create, eventOf) => {
    const read = (json: string): readonly [number, Framer['broken']] => {
      const framer = create(64 * MB);
      const events = [...framer.push(eventOf(json)).events, ...framer.finish().events];
      return [events.length, framer.broken];
    };
    expect(read(`{"x":[${'{},'.repeat(110_000)}1]}`)).toEqual([0, 'event_too_large']);
    expect(read(`{"x":[${'1,'.repeat(1_000_000)}1]}`)).toEqual([0, 'event_too_large']);
    expect(read(`{"x":[${'{},'.repeat(40_000)}1]}`)).toEqual([1, null]);
    expect(read(`{"x":"${'{}, '.repeat(500_000)}"}`)).toEqual([1, null]);
  },
);
