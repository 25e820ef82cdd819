/**
 * OpenTelemetry: spans and metrics by its conventions for generative AI, exported over OTLP with the official SDK.
 * Loaded only where it is configured. A request adds its numbers to the metrics and its record to a list; spans are
 * made later, in batches. When the receiver can't be reached, records wait up to a bound, then the oldest are dropped
 * and counted.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics';
import { ParentBasedSampler, type SpanExporter, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace';
import type { Aside } from '../../base/aside.ts';
import type { Said } from '../content.ts';
import type { ExchangeRecord } from '../record.ts';
import type { OtlpSettings } from '../settings.ts';
import type { SinkState } from '../sink-state.ts';
import type { Content } from './content.ts';
import { type CalledAt, createNames } from './conventions.ts';
import { createMeasures } from './measures.ts';
import { createReader, leftOut } from './reader.ts';
import { createSpanMaker, type SpanMaker, type Trace } from './spans.ts';

/** The exporter of a sidecar. */
export interface Otlp {
  /** @param endedMs ms since 1970 @param said what it and its reply say; null: that isn't exported */
  add(record: ExchangeRecord, endedMs: number, said: Said | null): void;
  /** Of requests whose spans are exported. Dropped are those too many in one second, too. */
  readonly state: SinkState;
  /** Exports what waits, for at most `waitMs`. */
  close(waitMs: number): Promise<void>;
}

/** What the exporter needs. */
export interface OtlpDeps {
  /** Where a target is called; null: unknown. @param target `provider/model` */
  at(target: string): CalledAt | null;
  /** Nothing can be exported (with the reason), or it can again (null). Once per change. */
  onProblem(problem: string | null): void;
  /** Ms since 1970. */
  wallClock(): number;
  /** Reads what large requests say. */
  readonly aside: Aside;
}

/** A request whose spans are to be exported. */
interface Waiting {
  readonly record: ExchangeRecord;
  readonly endedMs: number;
  readonly trace: Trace;
  /** Null: not exported, or left out. */
  readonly content: Content | null;
}

/** Why an export failed. */
interface Failure {
  readonly problem: string;
  /** It is about what was sent: it would fail again. */
  readonly ofBatch: boolean;
}

/** Most requests that wait. */
const waitingMax = 5000;
/** Fewest requests whose spans are exported together. */
const batchMin = 100;
/** An export costs as much as the spans of tens of requests. */
const gatherMs = 2000;
/** Pause between two exports while requests wait: spans take the thread that serves requests 0.03 ms for each. */
const paceMs = 100;
/** Pause after an export that failed; the exporter itself has tried several times by then. */
const retryMs = 5000;
const timeoutMs = 10_000;
/** Most bytes of content that waits, and about the most in one export. */
const contentMaxBytes = { waiting: 32 * 1024 * 1024, export: 4 * 1024 * 1024 };
const bytesOf = ({ content }: Pick<Waiting, 'content'>): number =>
  content === null ? 0 : content.system.length + content.input.length + content.output.length;

/** Opens the exporter. */
export async function openOtlp(settings: OtlpSettings, deps: OtlpDeps): Promise<Otlp> {
  const { serviceName, ratio, metricsEveryMs, tracesPerSecond, signals } = settings;
  const [traced, measured] = [signals.includes('traces'), signals.includes('metrics')];
  const exporters = await exportersOf(settings);
  const report = reporting(exporters.metrics, deps.onProblem);
  diag.setLogger(quietLogger, { logLevel: DiagLogLevel.NONE, suppressOverrideMessage: true });
  const resource = resourceOf(serviceName);
  const namesOf = createNames(deps.at);
  const measures = createMeasures(namesOf, deps.wallClock);
  const reader = () =>
    new PeriodicExportingMetricReader({
      exporter: exporters.metrics,
      exportIntervalMillis: metricsEveryMs,
      exportTimeoutMillis: Math.min(metricsEveryMs, timeoutMs),
      metricProducers: [measures.producer(resource)],
    });
  const meters = new MeterProvider({ resource, readers: measured ? [reader()] : [] });
  const sampler = new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  const { traceOf, spansOf } = createSpanMaker(resource, sampler, namesOf);

  const read = createReader(settings.contentMaxBytes, deps.aside);

  // Twice what may come, so that it catches up.
  const batchMax = Math.max(batchMin, Math.ceil((4 * tracesPerSecond * paceMs) / 1000));
  // Fewer while the receiver refuses what is sent: one record may be too large for it.
  let most = batchMax;
  let closing = false;
  let closed = false;
  let waiting: Waiting[] = [];
  let inFlight = 0;
  /** Requests whose content is being read, and the bytes of content that waits. */
  let reading = 0;
  let contentBytes = 0;
  let timer: NodeJS.Timeout | null = null;
  let sent = 0;
  let dropped = 0;
  let failing = false;
  let onEmpty: (() => void) | null = null;
  const share = createShare(tracesPerSecond);
  const exported = exporting(exporters.traces, spansOf);

  async function flush(): Promise<void> {
    timer = null;
    if (inFlight > 0) return;
    const batch = nextBatch(waiting, most);
    waiting = waiting.slice(batch.length);
    inFlight = batch.length;
    const failure = await exported(batch);
    inFlight = 0;
    report('traces', failure?.problem ?? null);
    failing = failure !== null;
    const isSplit = failure?.ofBatch === true && batch.length > 1;
    if (failure === null) {
      sent += batch.length;
      most = Math.min(batchMax, most * 2);
      release(batch);
    } else if (failure.ofBatch && batch.length === 1) {
      dropped += 1;
      release(batch);
    } else {
      if (isSplit) most = Math.ceil(batch.length / 2);
      waiting = [...batch, ...waiting];
      trim();
    }
    const pauseMs = failing && !isSplit ? retryMs : closing ? 0 : paceMs;
    if (closed) return;
    if (waiting.length > 0) timer = setTimeout(flush, pauseMs).unref();
    else if (reading === 0) onEmpty?.();
  }

  function trim(): void {
    const tooMany = waiting.length - waitingMax;
    if (tooMany <= 0) return;
    dropped += tooMany;
    release(waiting.slice(0, tooMany));
    waiting = waiting.slice(tooMany);
  }

  function release(over: readonly Waiting[]): void {
    for (const each of over) contentBytes -= bytesOf(each);
  }

  function hold(given: Waiting): void {
    const isFull = contentBytes + bytesOf(given) > contentMaxBytes.waiting;
    const kept = isFull ? { ...given, content: leftOut } : given;
    contentBytes += bytesOf(kept);
    waiting.push(kept);
    // Not at each record: dropping one of many copies the rest.
    if (waiting.length >= waitingMax * 1.1) trim();
    if (timer === null && inFlight === 0) timer = setTimeout(flush, closing ? 0 : gatherMs).unref();
  }

  return {
    add(record, endedMs, said) {
      if (measured) measures.add(record);
      if (!traced) return;
      if (share.isSpent(record, endedMs)) {
        dropped += 1;
        return;
      }
      const trace = traceOf(record);
      if (trace === null) return;
      share.take(record);
      const kept = { record, endedMs, trace, content: null };
      if (said === null) return hold(kept);
      reading += 1;
      void read(said).then((content) => {
        reading -= 1;
        hold({ ...kept, content });
      });
    },
    get state() {
      const oldest = waiting[0];
      const lagMs = oldest === undefined ? 0 : Math.max(0, deps.wallClock() - oldest.endedMs);
      return { sent, dropped, waiting: waiting.length + inFlight + reading, lagMs };
    },
    async close(waitMs) {
      const late = new Promise<void>((resolve) => setTimeout(resolve, waitMs).unref());
      if (timer !== null) clearTimeout(timer);
      closing = true;
      const written = new Promise<void>((resolve) => {
        if (waiting.length + inFlight + reading === 0) return resolve();
        onEmpty = resolve;
        void flush();
      });
      await Promise.race([written, late]);
      closed = true;
      if (timer !== null) clearTimeout(timer);
      // Also where something still waits: otherwise metrics would be exported for as long as the process lives.
      const shut = Promise.allSettled([meters.shutdown(), exporters.traces.shutdown()]);
      await Promise.race([shut, late]);
      dropped += waiting.length + reading;
      waiting = [];
      diag.disable();
    },
  };
}

type Signal = OtlpSettings['signals'][number];

/**
 * Tells that something can't be exported, and that all can again, once per change. Exports of metrics report themselves:
 * the SDK's reader would tell its own log only, where nobody looks.
 */
function reporting(metrics: PushMetricExporter, onProblem: OtlpDeps['onProblem']) {
  const failing = new Set<Signal>();
  const report = (signal: Signal, problem: string | null): void => {
    const before = failing.size;
    if (problem === null) failing.delete(signal);
    else failing.add(signal);
    if (before > 0 !== failing.size > 0) onProblem(problem);
  };
  const send = metrics.export.bind(metrics);
  metrics.export = (all, done) =>
    send(all, (result) => {
      report('metrics', result.code === 0 ? null : failureOf(result.error).problem);
      done(result);
    });
  return report;
}

/** What exports are from. Receivers take the sums of a resource for those of one process, so each pod and worker is its own. */
const resourceOf = (serviceName: string) =>
  resourceFromAttributes({
    'service.name': serviceName,
    'service.instance.id': randomUUID(),
    'host.name': hostname(),
  });

/** Which requests of a second are traced. Failed ones have as many for themselves: they are what traces are looked at for. */
function createShare(perSecond: number) {
  let secondMs = 0;
  const taken = { failed: 0, other: 0 };
  const kindOf = ({ status, error }: ExchangeRecord) => (status >= 500 || error !== '' ? 'failed' : 'other');
  return {
    /** @param endedMs ms since 1970 */
    isSpent(record: ExchangeRecord, endedMs: number): boolean {
      if (endedMs - secondMs >= 1000 || endedMs < secondMs) {
        secondMs = endedMs;
        taken.failed = 0;
        taken.other = 0;
      }
      return taken[kindOf(record)] >= perSecond;
    },
    take(record: ExchangeRecord): void {
      taken[kindOf(record)] += 1;
    },
  };
}

/** The oldest that one export takes. */
function nextBatch(waiting: readonly Waiting[], max: number): Waiting[] {
  let bytes = 0;
  const until = waiting.findIndex((each, at) => {
    bytes += bytesOf(each);
    return at > 0 && (at >= max || bytes > contentMaxBytes.export);
  });
  return until < 0 ? [...waiting] : waiting.slice(0, until);
}

/** Exports the spans of requests. Never rejects. */
function exporting(exporter: SpanExporter, spansOf: SpanMaker['spansOf']) {
  return async (batch: readonly Waiting[]): Promise<Failure | null> => {
    try {
      const spans = batch.flatMap(({ record, endedMs, trace, content }) =>
        spansOf(record, endedMs, trace, content),
      );
      if (spans.length === 0) return null;
      return await new Promise((resolve) =>
        exporter.export(spans, ({ code, error }) => resolve(code === 0 ? null : failureOf(error))),
      );
    } catch (cause) {
      return { ...failureOf(cause), ofBatch: true };
    }
  };
}

/** Statuses of a receiver that can't take what was sent, whenever it is sent. */
const unacceptable: ReadonlySet<unknown> = new Set([400, 413, 422]);

/** What went wrong, from the SDK's error. */
function failureOf(cause: unknown): Failure {
  const { code, message } = (cause ?? {}) as { readonly code?: unknown; readonly message?: string };
  const status = typeof code === 'number' ? `it answered ${code}` : 'refused';
  return { problem: message || status, ofBatch: unacceptable.has(code) };
}

const nothing = (): void => {};
const quietLogger = { error: nothing, warn: nothing, info: nothing, debug: nothing, verbose: nothing };

/** The SDK's exporters of a protocol; only those of the one that is configured are loaded. */
async function exportersOf({
  protocol,
  endpoint,
  headers,
}: OtlpSettings): Promise<{ traces: SpanExporter; metrics: PushMetricExporter }> {
  const base = endpoint.replace(/\/+$/, '');
  const options = (signal: string) => ({
    url: `${base}/v1/${signal}`,
    headers,
    timeoutMillis: timeoutMs,
    concurrencyLimit: 2,
  });
  if (protocol === 'http/json') {
    const [{ OTLPTraceExporter }, { OTLPMetricExporter }] = await Promise.all([
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/exporter-metrics-otlp-http'),
    ]);
    return {
      traces: new OTLPTraceExporter(options('traces')),
      metrics: new OTLPMetricExporter(options('metrics')),
    };
  }
  const [{ OTLPTraceExporter }, { OTLPMetricExporter }] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/exporter-metrics-otlp-proto'),
  ]);
  return {
    traces: new OTLPTraceExporter(options('traces')),
    metrics: new OTLPMetricExporter(options('metrics')),
  };
}
