/** Work for a thread that does as it is told. */
import type { Work } from '../../src/base/aside.ts';
import { Refusal } from '../../src/base/errors.ts';

/** Reverses the body, refuses, throws, or takes memory without end. */
export const work: Work<string, number> = (body, what) => {
  if (what === 'refuse') return new Refusal('invalid_json', 'Told to refuse.');
  if (what === 'throw') throw new RangeError('a text of the body');
  const kept: object[] = [];
  while (what === 'grow') kept.push({ kept: kept.length });
  return { value: body.length, body: Buffer.from(body).reverse() };
};
