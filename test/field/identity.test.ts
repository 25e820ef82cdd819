/** Names of identities as the standards have them: FIELD row B12. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { claimName, userPattern } from '../../src/authenticate/names.ts';

test.each([
  ['ann@example.com', 'ann@example.com'],
  ['auth0|5f7c8ec7c33c6c004bbafe82', 'auth0%7C5f7c8ec7c33c6c004bbafe82'],
  ['google-oauth2|1', 'google-oauth2%7C1'],
  ['CN=Ann, O=Acme', 'CN%3DAnn%2C%20O%3DAcme'],
  ['Jörg', 'J%C3%B6rg'],
  ['Acme Inc', 'Acme%20Inc'],
  ['a%20b', 'a%2520b'],
])('B12: %s is %s', (text, name) => {
  expect(claimName(text)).toBe(name);
});

test('B12: any name is safe in a header and a label, and no two are the same', () => {
  const text = fc.string({ minLength: 1, maxLength: 400, unit: 'binary' });
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [first, second] = [claimName(a), claimName(b)];
      expect(first).toMatch(/^[\w.:@/+%~-]{1,128}$/);
      expect(first === second).toBe(a.toWellFormed() === b.toWellFormed());
    }),
  );
  expect([claimName(''), claimName('x'.repeat(1025))]).toEqual([null, null]);
  expect(userPattern.test(claimName('x'.repeat(1024)) ?? '')).toBe(false);
});
