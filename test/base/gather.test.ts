/** Pieces that were copied are freed, unless they are part of something that others may have. */
import { expect, test } from 'vitest';
import { releasePiece } from '../../src/base/gather.ts';

test('a piece of its own is freed at once', () => {
  const piece = Buffer.allocUnsafeSlow(64 * 1024);
  releasePiece(piece);
  expect(piece.length).toBe(0);
});

test('part of a larger piece, and one too small to be worth it, stay', () => {
  const whole = Buffer.allocUnsafeSlow(64 * 1024);
  const part = whole.subarray(0, 32 * 1024);
  releasePiece(part);
  expect([whole.length, part.length]).toEqual([64 * 1024, 32 * 1024]);
  const small = Buffer.allocUnsafeSlow(1000);
  releasePiece(small);
  expect(small.length).toBe(1000);
});
