/** The scenario of `test/scenarios/batch.test.ts` with 500 requests: what must hold on any machine, whatever its speed. */
import { expect, test } from 'vitest';
import { quantile, reportOf, runBatchLoad, sharesByTenth } from '../support/batch-load.ts';

test('500 batch requests of two tenants alongside interactive traffic', async () => {
  const result = await runBatchLoad({
    patient: 480,
    urgent: 20,
    urgentEveryMs: 20,
    deadlinesMs: [25, 60_000],
    concurrencyMax: 16,
    serviceMs: 40,
    quietMs: 400,
  });
  console.log(reportOf(result).join('\n'));
  expect(result.interactiveFailed).toBe(0);
  expect(quantile(result.draining.batch.tookMs, 0.5)).toBeGreaterThanOrEqual(39);
  expect(result.batchAtOnceMax).toBeLessThanOrEqual(16);
  const [patient, urgent] = [
    result.told.filter(({ deadlineMs }) => deadlineMs === 0),
    result.told.filter(({ deadlineMs }) => deadlineMs > 0),
  ];
  expect(patient.map(({ status }) => status)).toEqual(patient.map(() => 200));
  // 40 ms of work can't be done in 25, and any request can be done in a minute.
  for (const { status, deadlineMs, code } of urgent) {
    expect([status, code]).toEqual(deadlineMs === 25 ? [503, 'batch_deadline'] : [200, '']);
  }
  // All arrive before the queue is empty, so from the first tenth to the last they take turns.
  for (const share of sharesByTenth(result.order).slice(1, 9)) expect(Math.abs(share - 1)).toBeLessThan(0.15);
});
