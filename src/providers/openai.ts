/** The OpenAI dialect: chat completions and embeddings. https://platform.openai.com/docs/api-reference */
import type { IncomingHttpHeaders } from 'node:http';
import type { Refusal } from '../errors.ts';
import type { Endpoint, ModelRequest } from '../exchange.ts';
import {
  type Destination,
  type Dialect,
  durationMs,
  type Edit,
  edit,
  faultKind,
  headerOf,
  type LimitState,
  type ProviderFault,
  passHeaders,
  resetMs,
  retryAfterMs,
  type UpstreamRequest,
} from './provider.ts';

const requestHeaders = ['openai-organization', 'openai-project', 'openai-beta', 'traceparent', 'tracestate'];

const usageAsked = '"stream_options":{"include_usage":true}';

/** Asks for the usage event where the client did not, keeping its other stream options. */
function askForUsage(request: ModelRequest): Edit {
  const { streamOptionsStart: start, streamOptionsEnd: end, firstField, body } = request;
  if (end === 0) return { start: firstField, end: firstField, text: `${usageAsked},` };
  const given: unknown = JSON.parse(body.toString('utf8', start, end));
  return { start, end, text: JSON.stringify({ ...(given as object | null), include_usage: true }) };
}

function encode(
  endpoint: Endpoint,
  request: ModelRequest,
  headers: IncomingHttpHeaders,
  to: Destination,
): UpstreamRequest {
  const edits: Edit[] = [];
  if (to.model !== request.model) {
    edits.push({ start: request.modelStart - 1, end: request.modelEnd + 1, text: JSON.stringify(to.model) });
  }
  const stripUsage = endpoint.name === 'chat' && request.stream && !request.wantsUsage;
  if (stripUsage) edits.push(askForUsage(request));
  edits.sort((a, b) => a.start - b.start);
  const sent = [...to.headers];
  passHeaders(requestHeaders, headers, sent);
  return {
    path: to.basePath + endpoint.upstreamPath,
    headers: sent,
    body: edit(request.body, edits),
    stripUsage,
  };
}

const quotaWords =
  /insufficient_quota|credit_balance_exhausted|(?:spend|usage)_limit_exceeded|billing_hard_limit|billing_not_active/;
/** OpenAI's code; the sentence of it is all that vLLM and others send. */
const contextWords = /context_length_exceeded|maximum context length/i;
const policyWords = /content_filter|content_policy_violation|ResponsibleAIPolicyViolation/;

/** Tells a spent quota from a rate limit, both 429, and a long prompt and content policy from other refusals. */
function fault(status: number, headers: IncomingHttpHeaders, body: Buffer, wallMs: number): ProviderFault {
  const kind = faultKind(status);
  if (kind === 'rate_limited') {
    const spent = quotaWords.test(body.toString('utf8', 0, 4096));
    // A limit that refills says nothing of when money comes back.
    const resets = spent ? null : resetMs([limitState(headers, 'requests'), limitState(headers, 'tokens')]);
    return { kind: spent ? 'quota' : kind, retryAfterMs: retryAfterMs(headers, wallMs) ?? resets };
  }
  if (status !== 400 && status !== 413) return { kind, retryAfterMs: retryAfterMs(headers, wallMs) };
  const text = body.toString('utf8', 0, 4096);
  const named = contextWords.test(text) ? 'context_window' : policyWords.test(text) ? 'content_policy' : kind;
  return { kind: named, retryAfterMs: null };
}

/** https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers */
function limitState(headers: IncomingHttpHeaders, what: 'requests' | 'tokens'): LimitState {
  const reset = headerOf(headers, `x-ratelimit-reset-${what}`);
  return {
    remaining: headerOf(headers, `x-ratelimit-remaining-${what}`),
    resetMs: reset === undefined ? null : durationMs(reset),
  };
}

function errorObject(refusal: Refusal, requestId: string): object {
  return {
    message: refusal.text,
    type: refusal.entry.openai,
    param: refusal.param,
    code: refusal.code,
    request_id: requestId,
  };
}

const modelObject = (id: string): object => ({ id, object: 'model', created: 0, owned_by: 'sidegate' });

export const openai: Dialect = {
  name: 'openai',
  nativeId: 0,
  requestIdHeader: 'x-request-id',
  passesBack: (header) =>
    header.startsWith('openai-') || header === 'retry-after' || header === 'retry-after-ms',
  credential: (apiKey) => ['authorization', `Bearer ${apiKey}`],
  encode,
  fault,
  streamEnd: Buffer.from('data: [DONE]\n\n'),
  errorBody: (refusal, requestId) => Buffer.from(JSON.stringify({ error: errorObject(refusal, requestId) })),
  errorEvent: (refusal, requestId) =>
    Buffer.from(`data: ${JSON.stringify({ error: errorObject(refusal, requestId) })}\n\n`),
  // An empty `choices` is what SDKs and apps already know from usage events, so nothing trips over it.
  restartEvent: (target) =>
    Buffer.from(
      `data: ${JSON.stringify({ id: 'sidegate-restart', object: 'chat.completion.chunk', created: 0, model: target, choices: [], sidegate: { restart: true, target } })}\n\n`,
    ),
  models: (names) => Buffer.from(JSON.stringify({ object: 'list', data: names.map(modelObject) })),
  model: (name) => Buffer.from(JSON.stringify(modelObject(name))),
};
