/** The URLs of sinks: what is wrong with one is said before it is opened. */
import { expect, test } from 'vitest';
import { listed, load } from '../support/config-samples.ts';

test.each([
  ['webhook', 'https://u:50%off@h', 'secret: x'],
  ['redis', 'redis://u:50%off@h', 'key: x'],
  ['postgres', 'postgres://us%ffer@h/db', 'table: x'],
  ['clickhouse', 'http://u:%@h:8123/db', 'table: x'],
])('a password of %s that is not percent-encoded is refused, and not quoted', (sink, url, more) => {
  const observe = `observe: { ledger: { path: a.db }, sinks: { ${sink}: { url: '${url}', ${more} } } }`;
  const faults = listed(load(observe));
  const path = `observe.sinks.${sink}.url`;
  expect(faults.filter((fault) => fault.includes(path))).toEqual([
    `${path}: has a user or password that is not percent-encoded: write %25 for %`,
  ]);
});
