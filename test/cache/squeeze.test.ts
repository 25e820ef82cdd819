/** Memory that workers share is squeezed by the first one alone: no other one's reload gives it back. */
import { expect, test } from 'vitest';
import type { Shared } from '../../src/base/shared.ts';
import { askedOf } from '../../src/cache/alike.ts';
import { type Cache, createCache } from '../../src/cache/cache.ts';
import { keyAgain } from '../../src/cache/key.ts';
import { configSchema } from '../../src/config/schema.ts';
import { cacheAlone, sampleReply } from '../support/samples.ts';

const settings = (entriesMax: number) =>
  configSchema.parse({ cache: { entriesMax, semantic: { mode: 'on' } } }).cache;
const key = keyAgain('a key');

test("another worker's reload leaves it squeezed, and the first one's bounds hold for all", () => {
  const workerOf = (worker: number): Cache => {
    const shared: Shared = { worker, workers: 2, name: (table) => `squeezed ${table}` };
    return createCache(settings(100), { ...cacheAlone, shared });
  };
  const [first, second] = [workerOf(0), workerOf(1)];
  const put = (): void => {
    const place = second.place('acme', 'm');
    const question = { scope: 's', text: 'How do I reset my password?', embedder: 'built-in' };
    const asked = askedOf(key, place, question, null);
    second.put({ key, place, askedMs: 0, tags: [], asked }, sampleReply('Like this.'), 0);
  };
  put();
  expect([first.size, first.bytes > 0]).toEqual([1, true]);
  first.squeeze(0);
  second.update(settings(200));
  put();
  expect([first.size, first.bytes]).toEqual([0, 0]);

  first.squeeze(1);
  put();
  expect(second.size).toBe(1);
  first.update({ ...settings(100), entriesMax: 0 });
  expect(second.size).toBe(0);
  second.update(settings(100));
  put();
  expect(second.size).toBe(0);
});
