/** The line of a request at a terminal. */
import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { nothingBilled } from '../../src/count/usage.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';
import { terminalLine } from '../../src/observe/terminal.ts';

const line = (more: Partial<ExchangeRecord>): string => {
  const received = { id: 'r', startedMs: 0, endpoint: { name: 'chat' } };
  const record = createRecord(received, noCourse, { status: 200 }, nothingBilled, 91.4);
  return stripVTControlCharacters(terminalLine({ ...record, ...more }, 0)).replace(/^\d\d:\d\d:\d\d /, '');
};

test('says what matters, and nothing that doesn’t apply', () => {
  expect(line({})).toBe('200 chat 91 ms\n');
  const answered = { model: 'sim-gpt', target: 'simulator/sim-gpt', costNanoUsd: 1_234_567 };
  expect(line({ ...answered, cache: 'hit', findings: [{ kind: 'email', count: 1 }] })).toBe(
    '200 sim-gpt → simulator/sim-gpt 91 ms $0.0012 hit, 1 email\n',
  );
  expect(line({ ...answered, costNanoUsd: 2_500_000_000, attempts: 3, durationMs: 12_345 })).toBe(
    '200 sim-gpt → simulator/sim-gpt 12.3 s $2.50 3 calls\n',
  );
  expect(line({ status: 429, error: 'rate_limited', durationMs: 0.25 })).toBe(
    '429 chat 0.3 ms rate_limited\n',
  );
});

test('its colour says how it ended', () => {
  const received = { id: 'r', startedMs: 0, endpoint: { name: 'chat' } };
  const coloured = (status: number): string =>
    terminalLine(createRecord(received, noCourse, { status }, nothingBilled, 1), 0);
  expect(coloured(200)).toContain('\u001b[32m200');
  expect(coloured(404)).toContain('\u001b[33m404');
  expect(coloured(503)).toContain('\u001b[31m503');
});
