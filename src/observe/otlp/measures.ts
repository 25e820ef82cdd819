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
import type { AttemptStep } from '../../exchange/attempt-step.ts';
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

/** Most combinations of names, as the SDK's own bound is; apps may name models. Beyond it, they share one. */
const groupsMax = 2000;
const overflow: Attributes = { 'otel.metric.overflow': true };

/** Values of one series, added up. */
interface Sums {
  readonly counts: number[];
  count: number;
  sum: number;
  min: number;
  max: number;
}

/** The series of calls with the same names. */
interface Group {
  readonly endpoint: string;
  readonly target: string;
  readonly model: string;
  readonly error: string;
  readonly attributes: Attributes;
  readonly duration: Sums;
  readonly firstChunk: Sums;
  readonly input: Sums;
  readonly output: Sums;
}

const createSums = (bounds: readonly number[]): Sums => ({
  counts: new Array(bounds.length + 1).fill(0),
  count: 0,
  sum: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
});

function add(to: Sums, bounds: readonly number[], value: number): void {
  let at = 0;
  while (at < bounds.length && value > (bounds[at] as number)) at++;
  to.counts[at] = (to.counts[at] as number) + 1;
  to.count += 1;
  to.sum += value;
  if (value < to.min) to.min = value;
  if (value > to.max) to.max = value;
}

/** A metric: what it is made of in each group. */
interface Metric {
  readonly descriptor: HistogramMetricData['descriptor'];
  readonly bounds: readonly number[];
  readonly parts: readonly (readonly [of: (group: Group) => Sums, more: Attributes])[];
}

const seconds = (name: string, description: string, of: (group: Group) => Sums): Metric => ({
  descriptor: { name, description, unit: 's', valueType: ValueType.DOUBLE },
  bounds: secondsBounds,
  parts: [[of, {}]],
});

const metrics: readonly Metric[] = [
  seconds('gen_ai.client.operation.duration', 'GenAI operation duration.', ({ duration }) => duration),
  seconds(
    'gen_ai.client.operation.time_to_first_chunk',
    'Time to receive the first chunk of a stream.',
    ({ firstChunk }) => firstChunk,
  ),
  {
    descriptor: {
      name: 'gen_ai.client.token.usage',
      description: 'Number of input and output tokens used.',
      unit: '{token}',
      valueType: ValueType.INT,
    },
    bounds: tokenBounds,
    parts: [
      [({ input }) => input, { 'gen_ai.token.type': 'input' }],
      [({ output }) => output, { 'gen_ai.token.type': 'output' }],
    ],
  },
];

/** @param namesOf names of a call to a target @param wallClock ms since 1970 */
export function createMeasures(
  namesOf: (endpoint: string, target: string) => CallNames,
  wallClock: () => number,
): Measures {
  const startTime = timeOf(wallClock());
  const groups = new Map<string, Group>();
  // Most calls have the names of the one before.
  let last: Group | null = null;

  const create = (endpoint: string, target: string, model: string, error: string, full: boolean): Group => {
    const { operation, provider, address, port } = namesOf(endpoint, target);
    return {
      endpoint,
      target,
      model,
      error,
      attributes: full
        ? overflow
        : {
            'gen_ai.operation.name': operation,
            'gen_ai.provider.name': provider,
            'gen_ai.request.model': model,
            ...(address === '' ? {} : { 'server.address': address, 'server.port': port }),
            ...(error === '' ? {} : { 'error.type': error }),
          },
      duration: createSums(secondsBounds),
      firstChunk: createSums(secondsBounds),
      input: createSums(tokenBounds),
      output: createSums(tokenBounds),
    };
  };

  const groupOf = (endpoint: string, { target, model }: AttemptStep, error: string): Group => {
    if (last !== null && last.target === target && last.model === model)
      if (last.error === error && last.endpoint === endpoint) return last;
    const key = `${endpoint}\0${target}\0${model}\0${error}`;
    const full = groups.size >= groupsMax;
    const found = groups.get(key) ?? (full ? groups.get('') : undefined);
    if (found !== undefined) {
      // The shared group's names are not those of its calls.
      if (found.attributes !== overflow) last = found;
      return found;
    }
    const made = create(endpoint, target, model, error, full);
    groups.set(full ? '' : key, made);
    return made;
  };

  return {
    add(record) {
      for (const [step, charge] of callsOf(record)) {
        const group = groupOf(record.endpoint, step, errorOf(step));
        add(group.duration, secondsBounds, step.durationMs / 1000);
        if (record.stream && step.ttftMs >= 0) add(group.firstChunk, secondsBounds, step.ttftMs / 1000);
        if (charge === null) continue;
        add(group.input, tokenBounds, charge.usage.inputTokens);
        add(group.output, tokenBounds, charge.usage.outputTokens);
      }
    },
    producer: (resource) => ({
      async collect() {
        const endTime = timeOf(wallClock());
        const all = metrics.map(
          ({ descriptor, bounds, parts }): HistogramMetricData => ({
            descriptor,
            aggregationTemporality: AggregationTemporality.CUMULATIVE,
            dataPointType: DataPointType.HISTOGRAM,
            dataPoints: [...groups.values()].flatMap((group) =>
              parts.flatMap(([of, more]) => {
                const { counts, count, sum, min, max } = of(group);
                if (count === 0) return [];
                const buckets = { boundaries: [...bounds], counts: [...counts] };
                const attributes = { ...group.attributes, ...more };
                return [{ startTime, endTime, attributes, value: { buckets, count, sum, min, max } }];
              }),
            ),
          }),
        );
        const used = all.filter(({ dataPoints }) => dataPoints.length > 0);
        const scopeMetrics = [{ scope: { name: 'sidegate' }, metrics: used }];
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
