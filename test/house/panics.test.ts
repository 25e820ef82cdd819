/** A defect in the native core throws: a panic that left a function called by Node would end the process. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const sources = new URL('../../native/binding/src/', import.meta.url);

test('each function of the binding catches panics', () => {
  const functions = readdirSync(sources).flatMap((file) => [
    ...readFileSync(new URL(file, sources), 'utf8').matchAll(
      /#\[napi(?:\((.*?)\))?\]\s*(?:\/\/.*\s*|#\[.*\]\s*)*pub (?:async )?(?:unsafe )?fn (\w+)/g,
    ),
  ]);
  expect(functions.length).toBeGreaterThan(80);
  const uncaught = functions.filter(([, options = '']) => !options.includes('catch_unwind'));
  expect(uncaught.map(([, , name]) => name)).toEqual([]);
});
