/**
 * The conventions' metrics. They are added up as plain numbers, and handed to the SDK when it exports: its own
 * instruments cost several µs per request.
 */
import { type Attributes, type HrTime, ValueType } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type HistogramMetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { ExchangeRecord } from '../record.ts';
import { type CallNames, callsOf, errorOf } from './conventions.ts';

/** The metrics of a sidecar. */
export interface Measures {
  add(record: ExchangeRecord): void;
  /** Gives the sums since the start. */
  producer(resource: Resource): MetricProducer;
}

/** Buckets that the conventions advise. */
const secondsBounds = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const tokenBounds = Array.from({ length: 14 }, (_, i) => 4 ** i);

/** Most series of a metric, as the SDK's own bound is; apps may name models. */
const seriesMax = 2000;
const overflowKey = '';

interface Series {
  readonly attributes: Attributes;
  readonly counts: number[];
  count: number;
  sum: number;
  min: number;
  max: number;
}

interface Histogram {
  readonly data: Pick<HistogramMetricData, 'descriptor' | 'aggregationTemporality' | 'dataPointType'>;
  readonly bounds: readonly number[];
  readonly series: Map<string, Series>;
}

const histogram = (
  name: string,
  description: string,
  unit: string,
  bounds: readonly number[],
): Histogram => ({
  data: {
    descriptor: { name, description, unit, valueType: unit === 's' ? ValueType.DOUBLE : ValueType.INT },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
  },
  bounds,
  series: new Map(),
});

/** Adds a value to the series of a key, or beyond the bound to one they share. @param attributes of a new series */
function observe(
  { bounds, series }: Histogram,
  key: string,
  value: number,
  attributes: () => Attributes,
): void {
  let one = series.get(key);
  if (one === undefined) {
    const isFull = series.size >= seriesMax;
    one = (isFull ? series.get(overflowKey) : undefined) ?? {
      attributes: isFull ? { 'otel.metric.overflow': true } : attributes(),
      counts: new Array(bounds.length + 1).fill(0),
      count: 0,
      sum: 0,
      min: value,
      max: value,
    };
    series.set(isFull ? overflowKey : key, one);
  }
  let at = 0;
  while (at < bounds.length && value > (bounds[at] as number)) at++;
  one.counts[at] = (one.counts[at] as number) + 1;
  one.count += 1;
  one.sum += value;
  if (value < one.min) one.min = value;
  if (value > one.max) one.max = value;
}

/** @param namesOf names of a call to a target @param wallClock ms since 1970 */
export function createMeasures(
  namesOf: (endpoint: string, target: string) => CallNames,
  wallClock: () => number,
): Measures {
  const startTime = timeOf(wallClock());
  const duration = histogram(
    'gen_ai.client.operation.duration',
    'GenAI operation duration.',
    's',
    secondsBounds,
  );
  const firstChunk = histogram(
    'gen_ai.client.operation.time_to_first_chunk',
    'Time to receive the first chunk of a stream.',
    's',
    secondsBounds,
  );
  const tokens = histogram(
    'gen_ai.client.token.usage',
    'Number of input and output tokens used.',
    '{token}',
    tokenBounds,
  );
  const all = [duration, firstChunk, tokens];
  return {
    add(record) {
      if (record.steps.length === 0) return;
      for (const [step, charge] of callsOf(record)) {
        const error = errorOf(step);
        const key = `${record.endpoint}\0${step.target}\0${step.model}\0${error}`;
        const attributes = (): Attributes => {
          const { operation, provider, address, port } = namesOf(record.endpoint, step.target);
          return {
            'gen_ai.operation.name': operation,
            'gen_ai.provider.name': provider,
            'gen_ai.request.model': step.model,
            ...(address === '' ? {} : { 'server.address': address, 'server.port': port }),
            ...(error === '' ? {} : { 'error.type': error }),
          };
        };
        observe(duration, key, step.durationMs / 1000, attributes);
        if (record.stream && step.ttftMs >= 0) observe(firstChunk, key, step.ttftMs / 1000, attributes);
        if (charge === null) continue;
        const { inputTokens, outputTokens } = charge.usage;
        observe(tokens, `${key}\0i`, inputTokens, () => ({ ...attributes(), 'gen_ai.token.type': 'input' }));
        observe(tokens, `${key}\0o`, outputTokens, () => ({
          ...attributes(),
          'gen_ai.token.type': 'output',
        }));
      }
    },
    producer: (resource) => ({
      async collect() {
        const endTime = timeOf(wallClock());
        const metrics = all
          .filter(({ series }) => series.size > 0)
          .map(
            ({ data, bounds, series }): HistogramMetricData => ({
              ...data,
              dataPoints: [...series.values()].map(({ attributes, counts, count, sum, min, max }) => ({
                startTime,
                endTime,
                attributes,
                value: { buckets: { boundaries: [...bounds], counts: [...counts] }, count, sum, min, max },
              })),
            }),
          );
        const scopeMetrics = [{ scope: { name: 'sidegate' }, metrics }];
        return { resourceMetrics: { resource, scopeMetrics }, errors: [] };
      },
    }),
  };
}

/** @param wallMs ms since 1970 */
export const timeOf = (wallMs: number): HrTime => [
  Math.floor(wallMs / 1000),
  Math.round((wallMs % 1000) * 1e6),
];
