/** The metrics of all workers as those of one sidecar. */
import type { MetricObjectWithValues, MetricValue, Registry } from 'prom-client';
import RegistryOf from 'prom-client/lib/registry.js';

/** A worker's metrics, as they are sent to another worker. */
export type WorkerMetrics = readonly Metric[];

type Metric = MetricObjectWithValues<MetricValue<string>>;

/** A registry's metrics in that form. */
export const metricsOf = (registry: Registry): Promise<WorkerMetrics> => registry.getMetricsAsJSON();

type Values = Map<string, MetricValue<string>>;

const keyOf = ({ labels, metricName = '' }: MetricValue<string> & { metricName?: string }): string =>
  JSON.stringify([metricName, ...Object.entries(labels).sort()]);

/** Combines two values of one series, as the metric's `aggregator` says. */
function combined(aggregator: string | undefined, first: number, second: number): number {
  if (aggregator === 'first') return first;
  if (aggregator === 'min') return Math.min(first, second);
  return aggregator === 'max' ? Math.max(first, second) : first + second;
}

/**
 * The text for Prometheus of this worker's metrics and those of others. Where all see the same state, this worker's
 * counts (`aggregator: 'first'`); of what each learns by itself, the worst (`min` or `max`); otherwise the sum.
 */
export async function mergedText(own: Registry, others: readonly WorkerMetrics[]): Promise<string> {
  const merged = new RegistryOf();
  const byName = new Map<string, { metric: Metric; values: Values }>();
  for (const metrics of [await metricsOf(own), ...others])
    for (const metric of metrics) {
      const known = byName.get(metric.name) ?? { metric, values: new Map() };
      byName.set(metric.name, known);
      for (const value of metric.values) {
        const key = keyOf(value);
        const before = known.values.get(key);
        if (before === undefined) known.values.set(key, value);
        else
          known.values.set(key, {
            ...before,
            value: combined(known.metric.aggregator, before.value, value.value),
          });
      }
    }
  for (const { metric, values } of byName.values()) {
    const all = { ...metric, values: [...values.values()] };
    merged.registerMetric({ ...metric, get: async () => all, reset: () => {} } as never);
  }
  return merged.metrics();
}
