/** Metrics of the recogniser of names. */
import type { Registry } from 'prom-client';
import Gauge from 'prom-client/lib/gauge.js';
import { type RecogniserCheck, recogniserChecks } from '../base/telemetry.ts';
import { createDistribution, createTally } from './tally.ts';

/** What is counted, as in base/telemetry.ts. */
export interface RecogniserMetrics {
  recogniserCheck(check: RecogniserCheck, tookMs: number | null): void;
  recogniser(up: boolean): void;
}

/** Bounds of histogram buckets, in seconds. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Creates them. */
export function createRecogniserMetrics(registry: Registry): RecogniserMetrics {
  const checks = createTally(
    registry,
    'sidegate_recogniser_checks_total',
    'Requests whose texts the recogniser of names had to see, by what became of that.',
    ['check'],
  );
  const duration = createDistribution(
    registry,
    'sidegate_recogniser_duration_seconds',
    'Time that requests waited for the recogniser of names.',
    'check',
    buckets,
  );
  const up = new Gauge({
    name: 'sidegate_recogniser_up',
    help: '1: the recogniser of names answers, or none was needed yet; 0: it fails, and is asked only now and then.',
    aggregator: 'min',
    registers: [registry],
  });
  up.set(1);
  // Series must exist from the start to be usable in alerts.
  for (const check of recogniserChecks) checks.add(0, check);
  return {
    recogniserCheck(check, tookMs) {
      checks.add(1, check);
      if (tookMs !== null) duration.observe(check, tookMs / 1000);
    },
    recogniser: (is) => up.set(is ? 1 : 0),
  };
}
