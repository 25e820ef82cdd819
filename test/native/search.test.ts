/** The façade of the semantic cache's index; what it does inside is tested in `native/core/src/search`. */
import { afterEach, expect, test } from 'vitest';
import { decide, dimensions, embed, search, textCharsMax } from '../../src/native/search.ts';

const opened: number[] = [];

function open(bytesMax = 1 << 20, width?: number): number {
  const id = search.open(bytesMax, width);
  opened.push(id);
  return id;
}

afterEach(() => {
  for (const id of opened.splice(0)) search.close(id);
});

test('a stored question is found again in its scope, and in no other', () => {
  const id = open();
  const text = 'How do I reset my pässword? 🔑';
  expect(search.insert(id, 0, 'tenant a', 7, text)).toBe(true);
  expect(search.find(id, 'tenant a', text)).toMatchObject({ entry: 7, verdict: 'same' });
  expect(search.find(id, 'tenant a', text)?.similarity).toBeCloseTo(1, 5);
  expect(search.find(id, 'tenant b', text)).toBeNull();
  expect(search.find(id, 'tenant a', 'Which mountain in Peru is the highest?')?.verdict).not.toBe('same');
  expect(search.text(id, 7)).toBe(text);
  expect([search.size(id), search.bytes(id) > 0]).toEqual([1, true]);
  expect(search.removeScope(id, 'tenant a')).toBe(1);
  expect([search.size(id), search.bytes(id), search.text(id, 7)]).toEqual([0, 0, null]);
});

test('candidates come the surest first, no more than asked for', () => {
  const id = open();
  const texts = ['reset my password', 'reset a password', 'forgot my password', 'change my password'];
  texts.forEach((text, entry) => {
    search.insert(id, 0, 's', entry, text);
  });
  const found = search.candidates(id, 's', 'reset my password', 3, true);
  expect(found.length).toBe(3);
  expect(found[0]?.entry).toBe(0);
  expect(search.candidates(id, 's', 'reset my password', 99, true).length).toBe(4);
});

test('vectors of another embedder take the place of the built-in one', () => {
  const id = open(1 << 20, 3);
  expect(search.insert(id, 0, 's', 1, 'north', Float32Array.of(1, 0, 0))).toBe(true);
  expect(search.insert(id, 0, 's', 2, 'east', Float32Array.of(0, 1, 0))).toBe(true);
  expect(search.insert(id, 0, 's', 3, 'up', Float32Array.of(0, 0))).toBe(false);
  expect(search.insert(id, 0, 's', 3, 'up')).toBe(false);
  const [first] = search.candidates(id, 's', 'north', 2, true, Float32Array.of(0.9, 0.1, 0));
  expect(first).toMatchObject({ entry: 1 });
});

test('an index stays within its bytes', () => {
  const id = open(10_000);
  for (let entry = 0; entry < 100; entry++) search.insert(id, 0, 's', entry, `question ${entry}`);
  expect(search.bytes(id)).toBeLessThanOrEqual(10_000);
  expect(search.text(id, 99)).toBe('question 99');
  expect(search.text(id, 0)).toBeNull();
  search.set(id, 0);
  expect(search.size(id)).toBe(0);
});

test('what no question can be is not stored', () => {
  const id = open();
  for (const text of ['', ' ', 'word '.repeat(103), '\ud800', '🧿']) {
    expect(search.insert(id, 0, 's', 1, text)).toBe(false);
    expect(search.find(id, 's', text)).toBeNull();
  }
  expect(search.insert(id, 0, 's', 1, 'ä'.repeat(textCharsMax - 1))).toBe(false);
  expect(() => search.insert(id, 0, 's', 1.5, 'word')).toThrow('safe integer');
  expect(() => search.insert(id, 0, 's', -1, 'word')).toThrow('safe integer');
  expect(() => search.open(-1)).toThrow('bytesMax');
  expect(() => search.open(1, 4097)).toThrow('dimensions');
  expect(() => search.size(4_000_000_000)).toThrow('no such index');
});

test('texts are embedded and decided on without an index', () => {
  const out = new Float32Array(dimensions);
  expect(embed('How do I reset my password?', out)).toBe(true);
  expect(Math.hypot(...out)).toBeCloseTo(1, 5);
  expect(embed('', out)).toBe(false);
  expect(() => embed('word', new Float32Array(255))).toThrow('too short');
  expect(decide('Track order 48213', 'track order 48213').verdict).toBe('same');
  expect(decide('Track order 48213', 'Which wine goes with fish?').verdict).toBe('different');
  expect(search.tableBytes()).toBeLessThan(9_000_000);
});
