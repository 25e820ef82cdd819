/** The log line of a request: it contains the record, whatever its strings contain. */
import fc from 'fast-check';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { nothingBilled } from '../../src/count/usage.ts';
import type { AttemptStep } from '../../src/exchange/attempt-step.ts';
import { findingsText, piiKinds } from '../../src/native/pii.ts';
import { createLineWriter, levelOf, recordLine } from '../../src/observe/line.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';
import { storyOf } from '../../src/observe/story.ts';
import { terminalLine } from '../../src/observe/terminal.ts';
import { usualFields } from '../support/log-line.ts';

const stepWith = (providerRequestId: string): AttemptStep => ({
  target: 'a/b',
  model: 'b',
  outcome: 'ok',
  cause: '',
  called: true,
  status: 200,
  error: '',
  providerRequestId,
  sentMs: 0,
  durationMs: 1,
  ttftMs: 1,
});

test('the log line contains the record, whatever its strings contain', () => {
  const text = fc.string({ unit: 'binary' });
  const count = fc.nat();
  const found = fc.array(
    fc.record({ kind: fc.constantFrom(...piiKinds.map(({ name }) => name)), count: fc.nat() }),
  );
  const records: fc.Arbitrary<ExchangeRecord> = fc.record({
    requestId: fc.constant('req_1'),
    endpoint: fc.constant('chat'),
    tenant: text,
    team: text,
    user: text,
    keyId: text,
    tags: text,
    model: text,
    route: text,
    tier: fc.constantFrom('', 'complex' as const),
    target: text,
    reportedModel: fc.constantFrom('', 'gpt-5-2026-01-01'),
    finish: fc.constant('stop' as const),
    status: count,
    error: fc.constantFrom('', 'internal' as const),
    observed: fc.constantFrom('', 'wrong_key,model_forbidden'),
    stream: fc.boolean(),
    cache: fc.constantFrom('hit', 'miss', 'bypass'),
    cacheLevel: fc.constantFrom('', 'exact', 'normalised', 'semantic'),
    replayed: fc.boolean(),
    attempts: count,
    tried: text,
    inputTokens: count,
    outputTokens: count,
    reasoningTokens: fc.constant(0),
    cachedInputTokens: count,
    cacheWriteTokens: count,
    searchUnits: count,
    usageKnown: fc.boolean(),
    costNanoUsd: count,
    priced: fc.boolean(),
    savedNanoUsd: count,
    routingSavedNanoUsd: count,
    abandoned: fc.boolean(),
    stopped: fc.boolean(),
    findings: found,
    replyFindings: found,
    digest: fc.constant('ab'),
    priority: fc.constantFrom('interactive', 'batch'),
    queuedMs: count,
    // A line tells µs.
    durationMs: count.map((us) => us / 1000),
    upstreamMs: count,
    ttftMs: count,
    interTokenMs: count,
    traceId: fc.constantFrom('', 'ab'.repeat(16)),
    clientRequestId: fc.constantFrom('', 'app-1'),
    parentSpanId: fc.constant(''),
    traceSampled: fc.constant(false),
    passedMs: fc.constant([]),
    startedMs: count,
    steps: fc.constantFrom([], ['prov-1'].map(stepWith), ['', 'prov-2'].map(stepWith)),
    charges: fc.constant([]),
    limits: fc.constant([]),
  });
  const shows = (record: ExchangeRecord, wallMs: number): void => {
    const line = recordLine(record, wallMs);
    const {
      findings,
      replyFindings,
      parentSpanId: _,
      traceSampled: _u,
      startedMs: _s,
      finish: _f,
      passedMs: _p,
      steps,
      charges: _c,
      limits: _l,
      ...rest
    } = record;
    expect(line.indexOf('\n')).toBe(line.length - 1);
    const told = JSON.parse(line);
    for (const [name, usual] of Object.entries(usualFields)) expect(told[name]).not.toBe(usual);
    expect({ ...usualFields, ...told }).toEqual({
      level: levelOf(record),
      time: wallMs,
      ...rest,
      scrubbed: findingsText(findings),
      scrubbedReply: findingsText(replyFindings),
      providerRequestId: steps.at(-1)?.providerRequestId ?? '',
      costUsd: record.costNanoUsd / 1e9,
    });
  };
  fc.assert(fc.property(records, count, shows));
  // Times are told to the µs.
  fc.assert(
    fc.property(records, fc.double({ noNaN: true, min: 0, max: 1e9 }), (record, ms) => {
      const line = recordLine({ ...record, durationMs: ms, queuedMs: ms, upstreamMs: ms }, 0);
      const told = { ...usualFields, ...JSON.parse(line) };
      for (const each of [told.durationMs, told.queuedMs, told.upstreamMs])
        expect(Math.abs(each - ms)).toBeLessThanOrEqual(0.0005 + ms * 1e-15);
    }),
  );
  // What a line has in common with the one before is remembered: each field by itself makes a difference.
  fc.assert(
    fc.property(records, records, count, (record, other, wallMs) => {
      for (const name of Object.keys(record)) {
        for (const each of [record, record, { ...record, [name]: other[name as keyof ExchangeRecord] }])
          shows(each, wallMs);
      }
    }),
    { numRuns: 20 },
  );
});

test.each([
  [200, '', 30],
  [101, '', 30],
  [404, '', 40],
  [429, 'rate_limited', 40],
  [503, 'overloaded', 50],
  [500, '', 50],
  // The head of the reply went out before: its status tells nothing.
  [200, 'stream_cut', 50],
  [200, 'targets_down', 50],
  [200, 'upstream_timeout', 50],
  [200, 'internal', 50],
  [200, 'rate_limited', 40],
  [101, 'upstream_failed', 50],
  [101, 'session_over', 40],
] as const)(
  'status %i with the error "%s" is of level %i, in lines and on a terminal',
  (status, error, level) => {
    const record = createRecord(
      { id: 'r', startedMs: 0, endpoint: { name: 'chat' } },
      noCourse,
      { status, error },
      nothingBilled,
      1,
    );
    expect(levelOf(record)).toBe(level);
    expect(terminalLine(record, 0)).toContain(`\u001b[${{ 30: 32, 40: 33, 50: 31 }[level]}m${status}`);
    expect(storyOf({ number: 1, endedMs: 2, record }).failure).toBe(level === 50);
  },
);

test('a share of the lines of requests that went well is spread evenly, and no failure is left out', () => {
  const written: string[] = [];
  const log = pino({ level: 'info', base: null }, { write: (line: string) => void written.push(line) });
  const form = { iso: false, terminal: false, share: 0.25 };
  const write = createLineWriter(log, form);
  const recordOf = (status: number): ExchangeRecord =>
    createRecord(
      { id: `r${status}`, startedMs: 0, endpoint: { name: 'chat' } },
      noCourse,
      { status },
      nothingBilled,
      1,
    );
  for (let i = 0; i < 100; i++) for (const status of [200, 429, 503]) write(recordOf(status), 1);
  const statuses = written.map((line) => JSON.parse(line).status);
  const count = (status: number): number => statuses.filter((each) => each === status).length;
  expect([200, 429, 503].map(count)).toEqual([25, 100, 100]);
  form.share = 1;
  write(recordOf(200), 1);
  expect(written).toHaveLength(226);
});

test('a record that can’t be told leaves no half of a line', () => {
  const whole = createRecord(
    { id: 'r', startedMs: 0, endpoint: { name: 'chat' } },
    noCourse,
    { status: 200 },
    nothingBilled,
    1,
  );
  const broken = { ...whole, savedNanoUsd: undefined } as unknown as ExchangeRecord;
  expect(() => recordLine(broken, 1)).toThrow();
  expect(JSON.parse(recordLine(whole, 1)).requestId).toBe('r');
});
