/** Text that grows piece by piece. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeldText } from '../../src/dialects/held-text.ts';

test('it is the pieces, one behind the other', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 2000, size: 'max' }), (pieces) => {
      const held = new HeldText();
      for (const piece of pieces) held.add(piece);
      expect([held.toString(), held.length]).toEqual([pieces.join(''), pieces.join('').length]);
    }),
    { numRuns: 20 },
  );
});
