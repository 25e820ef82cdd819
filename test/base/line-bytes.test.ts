/** Lines put together as bytes say what text put together would, and stay whole where the buffer ends. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLineBytes } from '../../src/base/line-bytes.ts';

/** What a sequence of pieces comes to. */
function told(put: (to: ReturnType<typeof createLineBytes>) => void, maxBytes = 256): string {
  const passed: string[] = [];
  const to = createLineBytes(maxBytes, (lines) => void passed.push(lines.toString()));
  put(to);
  to.flush();
  return passed.join('');
}

const whole = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(2000),
  fc.constantFrom(0, 9, 10, 999_999_999, 1e9, 1e9 + 1, 1e18),
);

test('numbers are written as `toFixed` writes them, thousandths to the nearest', () => {
  const number = (put: 'whole' | 'dollars' | 'thousandths', value: number) => told((to) => to[put](value));
  fc.assert(
    fc.property(whole, fc.boolean(), (value, below) => {
      const signed = below ? -value : value;
      expect(number('whole', signed)).toBe(signed.toFixed(0));
      // Beyond that, a dollar's ninth decimal is lost in the number itself.
      if (value < 1e15) expect(number('dollars', signed)).toBe((signed / 1e9).toFixed(9));
    }),
  );
  fc.assert(
    fc.property(fc.double({ noNaN: true, min: 0, max: 1e9 }), (value) => {
      const text = number('thousandths', value);
      expect(text).toMatch(/^\d+\.\d{3}$/);
      expect(Math.abs(Number(text) - value)).toBeLessThanOrEqual(0.0005 + value * 1e-15);
    }),
  );
  expect(number('thousandths', Number.NaN)).toBe('NaN');
});

test('pieces stand in their order, however often the buffer is full', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 90 }).map((text) => ['text', text] as const),
    fc.string({ maxLength: 200 }).map((text) => ['ascii', text] as const),
    fc.string({ unit: 'grapheme', maxLength: 200 }).map((text) => ['piece', text] as const),
  );
  fc.assert(
    fc.property(fc.array(piece), fc.integer({ min: 1, max: 300 }), (pieces, maxBytes) => {
      const text = told((to) => {
        for (const [kind, part] of pieces) {
          if (kind === 'text') to.text(part);
          else {
            const bytes = Buffer.from(part);
            to.reserve(bytes.length);
            if (kind === 'ascii') to.ascii(part);
            else to.piece(bytes);
          }
        }
      }, maxBytes);
      expect(text).toBe(pieces.map(([, part]) => part).join(''));
    }),
  );
});

test('what was begun can be taken back', () => {
  const text = told((to) => {
    to.text('one ');
    to.reserve(20);
    to.ascii('half of');
    to.undo();
    to.reserve(4);
    to.ascii('two');
  }, 16);
  expect(text).toBe('one two');
});

test('what room was made for is passed on as one', () => {
  const passed: string[] = [];
  const to = createLineBytes(16, (lines) => void passed.push(lines.toString()));
  for (const word of ['one', 'twotwotwo', 'three', 'a word that is longer than the buffer', 'four']) {
    to.reserve(word.length + 1);
    to.ascii(word);
    to.ascii('\n');
  }
  to.flush();
  expect(passed).toEqual([
    'one\ntwotwotwo\n',
    'three\n',
    'a word that is longer than the buffer\n',
    'four\n',
  ]);
});

test('a buffer that nobody needs any more is used again, from its beginning', () => {
  const passed: Buffer[] = [];
  let free: Buffer | undefined;
  const to = createLineBytes(
    16,
    (lines) => void passed.push(lines),
    () => {
      const next = free;
      free = undefined;
      return next;
    },
  );
  const first = Buffer.alloc(16, '#');
  to.text('one\n');
  free = first;
  to.flush();
  to.text('two\n');
  to.flush();
  to.text('three\n');
  to.flush();
  expect(passed.map(String)).toEqual(['one\n', 'two\n', 'three\n']);
  expect(passed.map(({ buffer }) => buffer === first.buffer)).toEqual([false, true, false]);
});
