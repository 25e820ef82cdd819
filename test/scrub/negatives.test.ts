/** Texts that look as if they held personal data and hold none, such as order numbers, versions, hashes and logs. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { findIn } from '../../bench/pii/eval.ts';
import { checked, negatives } from '../../bench/pii/negatives.ts';

const texts = 10_000;

test('at most one of a thousand holds a value of a kind with check digits', () => {
  const found = negatives(texts).flatMap((text) =>
    findIn(text)
      .filter(({ type }) => checked.has(type))
      .map(({ type, start, end }) => `${type} ${text.slice(start, end)}`),
  );
  expect(found.length, found.join(', ')).toBeLessThanOrEqual(texts / 1000);
});

test('the same is found in texts that hold values', () => {
  const values = ['4111 1111 1111 1111', 'GB82 WEST 1234 5698 7654 32', '943 476 5919', '756.9217.0769.85'];
  const types = values.map((value) => findIn(`It is ${value} .`)[0]?.type);
  expect(types).toEqual(['CREDIT_CARD', 'IBAN_CODE', 'UK_NHS', 'CH_AHV']);
  for (const type of types) expect(checked.has(type ?? '')).toBe(true);
});

test('files in Base64 pass as they are', () => {
  let block = Buffer.alloc(64);
  const blocks = Array.from({ length: 40_000 }, () => {
    block = createHash('sha512').update(block).digest();
    return block;
  });
  const data = Buffer.concat(blocks).toString('base64');
  expect(data.length).toBeGreaterThan(3_000_000);
  for (const text of [data, `data:image/png;base64,${data}`]) expect(findIn(text)).toEqual([]);
  // In lines, they are text as any other.
  expect(findIn(data.replace(/.{76}/g, '$&\n')).length).toBeGreaterThan(0);
});
