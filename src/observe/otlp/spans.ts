/** Spans of a finished request: one for the request, and one for each call to a provider. */
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { AttemptStep } from '../../exchange/attempt-step.ts';
import type { ExchangeRecord } from '../record.ts';
import { type CallNames, callsOf, errorOf } from './conventions.ts';
import { timeOf } from './measures.ts';

type Charge = ExchangeRecord['charges'][number];

/** Makes the spans of records. @param namesOf names of a call to a target */
export function createSpanWriter(
  tracer: Tracer,
  namesOf: (endpoint: string, target: string) => CallNames,
): (record: ExchangeRecord, endedMs: number) => void {
  const writeCall = (
    record: ExchangeRecord,
    step: AttemptStep,
    charge: Charge | null,
    beganMs: number,
    within: Context,
  ): void => {
    const names = namesOf(record.endpoint, step.target);
    const error = errorOf(step);
    const fromMs = beganMs + step.sentMs - record.startedMs;
    const attributes = callAttributes(record, step, charge, names);
    const span = tracer.startSpan(
      `${names.operation} ${step.model}`.trim(),
      { kind: SpanKind.CLIENT, startTime: timeOf(fromMs), attributes },
      within,
    );
    if (error !== '') span.setStatus({ code: SpanStatusCode.ERROR, message: step.error || error });
    span.end(timeOf(fromMs + step.durationMs));
  };

  return (record, endedMs) => {
    const beganMs = endedMs - record.durationMs;
    const span = tracer.startSpan(
      `sidegate ${record.endpoint}`,
      { kind: SpanKind.SERVER, startTime: timeOf(beganMs), attributes: requestAttributes(record) },
      parentOf(record),
    );
    if (record.status >= 500 || record.error === 'stream_cut')
      span.setStatus({ code: SpanStatusCode.ERROR, message: record.error });
    if (span.isRecording()) {
      const within = trace.setSpan(ROOT_CONTEXT, span);
      for (const [step, charge] of callsOf(record)) writeCall(record, step, charge, beganMs, within);
    }
    span.end(timeOf(endedMs));
  };
}

const callAttributes = (
  record: ExchangeRecord,
  step: AttemptStep,
  charge: Charge | null,
  { operation, provider, address, port }: CallNames,
): Attributes => ({
  'gen_ai.operation.name': operation,
  'gen_ai.provider.name': provider,
  'gen_ai.request.model': step.model,
  'gen_ai.request.stream': record.stream,
  ...(address === '' ? {} : { 'server.address': address, 'server.port': port }),
  ...(errorOf(step) === '' ? {} : { 'error.type': errorOf(step) }),
  ...(charge === null
    ? {}
    : {
        'gen_ai.usage.input_tokens': charge.usage.inputTokens,
        'gen_ai.usage.output_tokens': charge.usage.outputTokens,
        'gen_ai.usage.cache_read.input_tokens': charge.usage.cachedInputTokens,
        'gen_ai.usage.cache_creation.input_tokens': charge.usage.cacheWriteTokens,
        ...(charge.costNanoUsd === null ? {} : { 'sidegate.cost_usd': charge.costNanoUsd / 1e9 }),
      }),
  ...(record.stream && step.ttftMs >= 0 ? { 'gen_ai.response.time_to_first_chunk': step.ttftMs / 1000 } : {}),
  ...(step.providerRequestId === '' ? {} : { 'sidegate.provider_request_id': step.providerRequestId }),
  ...(step.status === 0 ? {} : { 'http.response.status_code': step.status }),
  'sidegate.target': step.target,
});

const requestAttributes = (record: ExchangeRecord): Attributes => ({
  'sidegate.request_id': record.requestId,
  ...(record.clientRequestId === '' ? {} : { 'sidegate.client_request_id': record.clientRequestId }),
  'sidegate.tenant': record.tenant,
  'sidegate.team': record.team,
  'sidegate.key_id': record.keyId,
  'sidegate.route': record.route,
  'sidegate.target': record.target,
  'sidegate.cache': record.cache,
  'sidegate.cost_usd': record.costNanoUsd / 1e9,
  'http.response.status_code': record.status,
  ...(record.error === '' ? {} : { 'error.type': record.error }),
});

/** The context of the request's `traceparent`, which its span continues. */
function parentOf({ traceId, parentSpanId, traceSampled }: ExchangeRecord): Context {
  if (traceId === '') return ROOT_CONTEXT;
  const traceFlags = traceSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: parentSpanId, traceFlags, isRemote: true });
}
