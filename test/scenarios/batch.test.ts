/**
 * 10,000 queued batch requests of two tenants beside interactive traffic, on real sockets. Each waiting request is a
 * connection: 10,000 in the clients' process and 10,000 in the sidecar's, which need `ulimit -n` above that. The queue
 * fills while one batch request at a time is at work, then a reload lets 32 be, so that all of them really wait.
 */
import { expect, test } from 'vitest';
import { p95Ratio, reportOf, runBatchLoad, sharesByTenth } from '../support/batch-load.ts';

test('10,000 batch requests of two tenants beside interactive traffic', async () => {
  const result = await runBatchLoad({
    patient: 10_000,
    urgent: 500,
    urgentEveryMs: 40,
    deadlinesMs: [60, 400, 2_000, 10_000],
    concurrencyMax: 32,
    serviceMs: 100,
    quietMs: 5_000,
  });
  console.log(reportOf(result).join('\n'));
  expect(result.interactiveFailed).toBe(0);
  expect(result.waitingMax).toBeGreaterThan(9_000);
  expect(result.batchAtOnceMax).toBeLessThanOrEqual(32);
  expect(p95Ratio(result.draining)).toBeLessThanOrEqual(1.1);
  for (const share of sharesByTenth(result.order)) expect(Math.abs(share - 1)).toBeLessThan(0.1);
  for (const { deadlineMs, status, tookMs, code } of result.told) {
    if (deadlineMs === 0) expect(status).toBe(200);
    else if (status === 200) expect(tookMs).toBeLessThanOrEqual(deadlineMs);
    else expect([status, code]).toEqual([503, 'batch_deadline']);
  }
});
