/** What a record holds besides its line in the log: the steps that were tried, notes of errors, and the ring. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { errorNote, errorNoteMax } from '../../src/attempt/error-note.ts';
import { nothingBilled } from '../../src/count/usage.ts';
import { createRecent } from '../../src/observe/recent.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';

const recordOf = (id: string, headers: Record<string, string> = {}): ExchangeRecord =>
  createRecord(
    { id, startedMs: 5, endpoint: { name: 'chat' }, headers },
    noCourse,
    { status: 200 },
    nothingBilled,
    9,
  );

describe('the note of a provider’s error', () => {
  const note = (message: string, code = 'bad_thing'): string =>
    errorNote(400, Buffer.from(JSON.stringify({ error: { message, code } })));

  test('says what the provider said, with its code', () => {
    expect(note('Unknown parameter: "temperatur".')).toBe('bad_thing: Unknown parameter: "temperatur".');
    expect(errorNote(500, Buffer.from('<html>'))).toBe('The provider answered with status 500.');
  });

  test('leaves out quoted text, personal data and keys', () => {
    expect(note("Invalid value: 'tell me about my father'")).toBe('bad_thing: Invalid value: "…"');
    expect(note('no user ann@example.com here')).toBe('bad_thing: no user [EMAIL] here');
    expect(note('Incorrect API key provided: sk-proj-abcdefgh1234567890abcdef')).toBe(
      'bad_thing: Incorrect API key provided: …',
    );
    expect(note('An open quote "and all that follows, as the provider cut it')).toBe(
      'bad_thing: An open quote "…"',
    );
  });

  test('is short and throws for nothing', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 300, max: 599 }),
        fc.string({ unit: 'binary', maxLength: 3000 }),
        (status, text) => {
          expect(errorNote(status, Buffer.from(text)).length).toBeLessThanOrEqual(errorNoteMax);
          expect(note(text).length).toBeLessThanOrEqual(errorNoteMax);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('takes time linear in the message', () => {
    for (const piece of ['a1-', '"a', "'", '` ', 'a1b2c3'])
      expect(note(piece.repeat(100_000)).length).toBeLessThanOrEqual(errorNoteMax);
  });
});

describe('ids that a client gives', () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  test('a valid traceparent is read', () => {
    const { traceId, parentSpanId } = recordOf('r', { traceparent: `00-${trace}-00f067aa0ba902b7-01` });
    expect({ traceId, parentSpanId }).toEqual({ traceId: trace, parentSpanId: '00f067aa0ba902b7' });
  });
  test('a later version may say more', () => {
    expect(recordOf('r', { traceparent: `cc-${trace}-00f067aa0ba902b7-01-more` }).traceId).toBe(trace);
  });
  test.each([
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.toUpperCase()}-00f067aa0ba902b7-01`,
    `${trace}`,
    `00-${trace}-00f067aa0ba902b7-01zzz`,
    `00-${trace}-00f067aa0ba902b7-01-more`,
    `ff-${trace}-00f067aa0ba902b7-01`,
  ])('%s is not a traceparent', (traceparent) => {
    expect(recordOf('r', { traceparent }).traceId).toBe('');
  });
  test('a client’s id is taken if it is plain', () => {
    expect(recordOf('r', { 'x-client-request-id': 'app-1' }).clientRequestId).toBe('app-1');
    expect(recordOf('r', { 'x-request-id': 'proxy-1' }).clientRequestId).toBe('proxy-1');
    expect(recordOf('r', { 'x-request-id': 'two words' }).clientRequestId).toBe('');
    expect(recordOf('r', { 'x-request-id': 'x'.repeat(129) }).clientRequestId).toBe('');
  });
});

describe('the last records', () => {
  test('are the newest ones, whatever is added and asked', () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(20), fc.nat(25), fc.nat(8), (size, added, after, max) => {
        const recent = createRecent(size);
        for (let i = 1; i <= added; i++) recent.add(recordOf(`r${i}`), i * 10);
        const all = Array.from({ length: added }, (_, i) => i + 1).slice(added - Math.min(size, added));
        const expected = all.slice(Math.max(0, all.length - max)).filter((number) => number > after);
        const found = recent.since(after, max);
        expect(found.map(({ number }) => number)).toEqual(expected);
        for (const { number, endedMs, record } of found)
          expect([record.requestId, endedMs]).toEqual([`r${number}`, number * 10]);
        expect(recent.newest).toBe(added);
        for (let i = 1; i <= added; i++)
          expect(recent.find(`r${i}`)?.number ?? null).toBe(all.includes(i) ? i : null);
      }),
    );
  });

  test('what a request lacks finds none', () => {
    const recent = createRecent(2);
    recent.add(recordOf('a'), 1);
    expect(recent.find('a')?.number).toBe(1);
    expect(recent.find('')).toBeNull();
  });

  test('another size drops them and counts on', () => {
    const recent = createRecent(2);
    recent.add(recordOf('a'), 1);
    recent.resize(3);
    expect(recent.since(0, 9)).toEqual([]);
    recent.add(recordOf('b'), 2);
    expect(recent.since(0, 9).map(({ number }) => number)).toEqual([2]);
  });
});
