/**
 * Spans of a finished request: one for the request, and one for each call to a provider. They are made as the SDK's
 * exporters read them; the SDK's tracer would check and copy each again, at three times the cost.
 */
import {
  type Attributes,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  type SpanStatus,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import {
  RandomIdGenerator,
  type ReadableSpan,
  type Sampler,
  SamplingDecision,
} from '@opentelemetry/sdk-trace';
import type { AttemptStep } from '../../exchange/attempt-step.ts';
import { type ExchangeRecord, isFailure } from '../record.ts';
import type { Content } from './content.ts';
import { type CallNames, callsOf, errorOf } from './conventions.ts';
import { timeOf } from './measures.ts';

type Charge = ExchangeRecord['charges'][number];

/** What a span has of its own. */
interface SpanFacts {
  readonly name: string;
  readonly kind: SpanKind;
  readonly context: SpanContext;
  readonly parent: SpanContext | undefined;
  readonly fromMs: number;
  readonly toMs: number;
  readonly status: SpanStatus;
  readonly attributes: Attributes;
}

const unset: SpanStatus = { code: SpanStatusCode.UNSET };
const none: [] = [];
const scope = { name: 'sidegate' };

/** The trace that a request belongs to. */
export interface Trace {
  readonly traceId: string;
  /** The span that its own continues; undefined: it begins the trace. */
  readonly parent: SpanContext | undefined;
}

/** Makes the spans of records. */
export interface SpanMaker {
  /** The trace of a record; null: it isn't sampled. */
  traceOf(record: ExchangeRecord): Trace | null;
  /** @param endedMs ms since 1970 @param content what it and its reply say; null: that isn't exported */
  spansOf(record: ExchangeRecord, endedMs: number, trace: Trace, content: Content | null): ReadableSpan[];
}

/** @param namesOf names of a call to a target */
export function createSpanMaker(
  resource: Resource,
  sampler: Sampler,
  namesOf: (endpoint: string, target: string) => CallNames,
): SpanMaker {
  const ids = new RandomIdGenerator();

  const spanOf = ({
    name,
    kind,
    context,
    parent,
    fromMs,
    toMs,
    status,
    attributes,
  }: SpanFacts): ReadableSpan => ({
    name,
    kind,
    spanContext: () => context,
    ...(parent === undefined ? {} : { parentSpanContext: parent }),
    startTime: timeOf(fromMs),
    endTime: timeOf(toMs),
    duration: timeOf(toMs - fromMs),
    status,
    attributes,
    links: none,
    events: none,
    ended: true,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  });

  /** The identity of a new span. */
  const within = (traceId: string): SpanContext => ({
    traceId,
    spanId: ids.generateSpanId(),
    traceFlags: TraceFlags.SAMPLED,
  });

  const traceOf = (record: ExchangeRecord): Trace | null => {
    const parent = parentOf(record);
    const traceId = parent?.traceId ?? ids.generateTraceId();
    const around = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    const { decision } = sampler.shouldSample(around, traceId, nameOf(record), SpanKind.SERVER, {}, none);
    return decision === SamplingDecision.RECORD_AND_SAMPLED ? { traceId, parent } : null;
  };

  const spansOf: SpanMaker['spansOf'] = (record, endedMs, { traceId, parent }, content) => {
    const beganMs = endedMs - record.durationMs;
    const context = within(traceId);
    const request = spanOf({
      name: nameOf(record),
      kind: SpanKind.SERVER,
      context,
      parent,
      fromMs: beganMs,
      toMs: endedMs,
      status: isFailure(record) ? { code: SpanStatusCode.ERROR, message: record.error } : unset,
      attributes: requestAttributes(record),
    });
    const made = callsOf(record);
    const calls = made.map(([step, charge], at) => {
      const names = namesOf(record.endpoint, step.target);
      const error = errorOf(step);
      const fromMs = beganMs + step.sentMs - record.startedMs;
      return spanOf({
        name: `${names.operation} ${step.model}`.trim(),
        kind: SpanKind.CLIENT,
        context: within(traceId),
        parent: context,
        fromMs,
        toMs: fromMs + step.durationMs,
        status: error === '' ? unset : { code: SpanStatusCode.ERROR, message: step.error || error },
        attributes: callAttributes(record, step, charge, names, at === made.length - 1),
      });
    });
    // The last call is the one that answered, if any did; a stored reply has none.
    if (content !== null) Object.assign((calls.at(-1) ?? request).attributes, contentAttributes(content));
    return [request, ...calls];
  };

  return { traceOf, spansOf };
}

const nameOf = ({ endpoint }: ExchangeRecord): string => `sidegate ${endpoint}`;

function contentAttributes({ system, input, output, cut }: Content): Attributes {
  const all: Attributes = {};
  if (system !== '') all['gen_ai.system_instructions'] = system;
  if (input !== '') all['gen_ai.input.messages'] = input;
  if (output !== '') all['gen_ai.output.messages'] = output;
  if (cut) all['sidegate.content_cut'] = true;
  return all;
}

/** Why a reply ended, as the conventions have it. */
const finishes: Readonly<Record<ExchangeRecord['finish'], string>> = {
  none: '',
  stop: 'stop',
  length: 'length',
  tool: 'tool_call',
  filter: 'content_filter',
  other: 'stop',
};

function callAttributes(
  record: ExchangeRecord,
  step: AttemptStep,
  charge: Charge | null,
  { operation, provider, address, port }: CallNames,
  isLast: boolean,
): Attributes {
  const error = errorOf(step);
  const all: Attributes = {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': provider,
    'gen_ai.request.model': step.model,
    'gen_ai.request.stream': record.stream,
    'sidegate.target': step.target,
  };
  if (address !== '') {
    all['server.address'] = address;
    all['server.port'] = port;
  }
  if (error !== '') all['error.type'] = error;
  if (charge !== null) {
    const { usage, costNanoUsd } = charge;
    all['gen_ai.usage.input_tokens'] = usage.inputTokens;
    all['gen_ai.usage.output_tokens'] = usage.outputTokens;
    all['gen_ai.usage.cache_read.input_tokens'] = usage.cachedInputTokens;
    all['gen_ai.usage.cache_creation.input_tokens'] = usage.cacheWriteTokens;
    if ((usage.reasoningTokens ?? 0) > 0)
      all['gen_ai.usage.reasoning.output_tokens'] = usage.reasoningTokens as number;
    if (costNanoUsd !== null) all['sidegate.cost_usd'] = costNanoUsd / 1e9;
    // The record has these of the last reply.
    if (isLast && record.reportedModel !== '') all['gen_ai.response.model'] = record.reportedModel;
    if (isLast && record.finish !== 'none') all['gen_ai.response.finish_reasons'] = [finishes[record.finish]];
  }
  if (record.stream && step.ttftMs >= 0) all['gen_ai.response.time_to_first_chunk'] = step.ttftMs / 1000;
  if (step.providerRequestId !== '') all['sidegate.provider_request_id'] = step.providerRequestId;
  if (step.status !== 0) all['http.response.status_code'] = step.status;
  return all;
}

function requestAttributes(record: ExchangeRecord): Attributes {
  const all: Attributes = {
    'sidegate.request_id': record.requestId,
    'sidegate.tenant': record.tenant,
    'sidegate.team': record.team,
    'sidegate.key_id': record.keyId,
    'sidegate.route': record.route,
    'sidegate.target': record.target,
    'sidegate.cache': record.cache,
    'sidegate.cost_usd': record.costNanoUsd / 1e9,
    'http.response.status_code': record.status,
  };
  if (record.clientRequestId !== '') all['sidegate.client_request_id'] = record.clientRequestId;
  if (record.error !== '') all['error.type'] = record.error;
  return all;
}

/** The span of the request's `traceparent`, which its own continues. */
function parentOf({ traceId, parentSpanId, traceSampled }: ExchangeRecord): SpanContext | undefined {
  if (traceId === '') return undefined;
  const traceFlags = traceSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return { traceId, spanId: parentSpanId, traceFlags, isRemote: true };
}
