/** Large entries of a store that another thread replaces or takes away between the two calls that read them. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { native } from '../../src/native/load.ts';
import { store } from '../../src/native/store.ts';

const head = Buffer.from('head');
const [small, large, larger] = [10, 100_000, 200_000];

function start() {
  const id = store.open(10, 1 << 20, 1000);
  const put = (length: number): void =>
    store.put(id, 0, 'key', head, head.length, Buffer.alloc(length, 'x'), 0);
  put(large);
  /** Does something after each of the calls to come. */
  const meanwhile = (...steps: (() => void)[]): void => {
    const { storeGet } = native;
    const spy = vi.spyOn(native, 'storeGet').mockImplementation((...all) => {
      const found = storeGet(...all);
      steps.shift()?.();
      return found;
    });
    onTestFinished(() => spy.mockRestore());
  };
  const read = (): string | undefined => {
    const found = store.get(id, 0, 'key', 0);
    return found?.bytes.toString('latin1', 0, found.length);
  };
  return { id, put, meanwhile, read };
}
const text = (length: number): string => `head${'x'.repeat(length)}`;

test.each([small, large + 1, larger])('one that is replaced by one of %i bytes is read as that', (length) => {
  const { put, meanwhile, read } = start();
  meanwhile(() => put(length));
  expect(read()).toBe(text(length));
});

test('one that grows each time is read once it stays', () => {
  const { put, meanwhile, read } = start();
  meanwhile(
    () => put(larger),
    () => put(larger + 1),
    () => put(larger + 2),
  );
  expect(read()).toBe(text(larger + 2));
});

test('one that never stays is not there', () => {
  const { put, meanwhile, read } = start();
  meanwhile(...Array.from({ length: 100 }, (_, i) => () => put(larger + i)));
  expect(read()).toBeUndefined();
});

test('one that is gone is not there', () => {
  const { id, meanwhile, read } = start();
  meanwhile(() => store.set(id, 0, 0, 0));
  expect(read()).toBeUndefined();
});
