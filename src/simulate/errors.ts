/** The simulator's error replies in each dialect's form, including those that are requested as faults. */
import type { Dialect } from './exchange.ts';
import type { FaultName } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** An error reply before it is written in a dialect. */
export interface ErrorReply {
  readonly status: number;
  readonly type: string;
  readonly message: string;
  /** Field at fault and machine-readable code; OpenAI only. */
  readonly param?: string | null;
  readonly code?: string | null;
  /** `error.innererror`; Azure only. */
  readonly inner?: object;
  /** `error.details`; Anthropic only. */
  readonly details?: Readonly<Record<string, string>>;
  /** Value of Gemini's `RetryInfo`, in ms. */
  readonly waitMs?: number;
  /** Header names and values, alternating. */
  readonly headers?: readonly string[];
}

/** Thrown by the request checks, caught by the server, which sends the reply it holds. */
export class Rejection extends Error {
  readonly reply: ErrorReply;

  constructor(reply: ErrorReply) {
    super(reply.message);
    this.reply = reply;
  }
}

/** Throws the 400 for an invalid field. */
export function invalid(message: string, param: string | null = null, code: string | null = null): never {
  throw new Rejection({ status: 400, type: 'invalid_request_error', message, param, code });
}

const geminiStatuses: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
};

function geminiError({ status, type, message, waitMs }: ErrorReply): string {
  const google = 'type.googleapis.com/google.rpc.';
  const code = status === 200 ? 503 : status;
  const quota = { '@type': `${google}QuotaFailure`, violations: [{ quotaId: 'RequestsPerDayPerProject' }] };
  const details = [
    ...(type === 'insufficient_quota' ? [quota] : []),
    ...(waitMs === undefined ? [] : [{ '@type': `${google}RetryInfo`, retryDelay: `${waitMs / 1000}s` }]),
  ];
  const name = geminiStatuses[code] ?? (code >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT');
  const more = details.length === 0 ? {} : { details };
  return JSON.stringify({ error: { code, message, status: name, ...more } });
}

/** Problem details (RFC 9457); when a rate limit resets is only in the text. */
function replicateError({ status, type, message, waitMs }: ErrorReply): string {
  const resets = waitMs === undefined ? '' : ` Your rate limit resets in ~${Math.ceil(waitMs / 1000)}s.`;
  // A failed prediction is created like any other.
  if (status === 200)
    return JSON.stringify({ id: 'simulated', status: 'failed', output: null, error: message });
  return JSON.stringify({ title: type, detail: message + resets, status });
}

/** AWS error types by status. */
const amazonTypes: Readonly<Record<number, string>> = {
  401: 'UnrecognizedClientException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  413: 'RequestEntityTooLargeException',
  429: 'ThrottlingException',
  503: 'ServiceUnavailableException',
};

/** An error's headers, names and values alternating; Bedrock names the error type there. */
export function errorHeaders(dialect: Dialect, { status, headers = [] }: ErrorReply): readonly string[] {
  if (dialect !== 'bedrock' || status < 400) return headers;
  const type = amazonTypes[status] ?? (status >= 500 ? 'InternalServerException' : 'ValidationException');
  return [...headers, 'x-amzn-errortype', type];
}

/** The JSON of an error in the dialect's form. */
export function errorBody(dialect: Dialect, error: ErrorReply, requestId: string): string {
  const { type, message } = error;
  if (dialect === 'gemini') return geminiError(error);
  if (dialect === 'cohere') return JSON.stringify({ id: requestId, message });
  if (dialect === 'replicate') return replicateError(error);
  if (dialect === 'bedrock') return JSON.stringify({ message });
  if (dialect !== 'anthropic') {
    const inner = error.inner === undefined ? {} : { innererror: error.inner };
    const { param = null, code = null } = error;
    return JSON.stringify({ error: { message, type, param, code, ...inner } });
  }
  const details = error.details === undefined ? {} : { details: error.details };
  return JSON.stringify({ type: 'error', error: { ...details, type, message }, request_id: requestId });
}

/** A duration in the form of OpenAI's reset headers: 17ms, 8.64s, 6m0s. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.ceil(ms)}ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${Number(seconds.toFixed(3))}s`;
  return `${Math.floor(seconds / 60)}m${Number((seconds % 60).toFixed(3))}s`;
}

/** Dialects without rate limit headers. */
const saysInBody: readonly Dialect[] = ['gemini', 'bedrock', 'cohere', 'replicate'];

function waitHeaders(dialect: Dialect, scenario: Scenario, waitMs: number, wallMs: number): string[] {
  const hint = scenario.retryHint;
  const headers: string[] = [];
  if (hint === 'all' || hint === 'seconds') headers.push('retry-after', String(Math.ceil(waitMs / 1000)));
  if (hint === 'all' || hint === 'ms') headers.push('retry-after-ms', String(waitMs));
  if ((hint !== 'all' && hint !== 'reset') || saysInBody.includes(dialect)) return headers;
  if (dialect !== 'anthropic') {
    headers.push('x-ratelimit-limit-requests', '500', 'x-ratelimit-remaining-requests', '0');
    headers.push('x-ratelimit-reset-requests', duration(waitMs));
    headers.push('x-ratelimit-limit-tokens', '200000', 'x-ratelimit-remaining-tokens', '199000');
    headers.push('x-ratelimit-reset-tokens', '300ms');
  } else {
    // Whole seconds, as Anthropic writes them; rounded up, so that the wait is never too short.
    const reset = new Date(Math.ceil((wallMs + waitMs) / 1000) * 1000).toISOString().replace('.000Z', 'Z');
    headers.push('anthropic-ratelimit-requests-limit', '50', 'anthropic-ratelimit-requests-remaining', '0');
    headers.push('anthropic-ratelimit-requests-reset', reset);
    headers.push(
      'anthropic-ratelimit-tokens-limit',
      '200000',
      'anthropic-ratelimit-tokens-remaining',
      '199000',
    );
    headers.push('anthropic-ratelimit-tokens-reset', reset);
  }
  return headers;
}

type Spelling = Omit<ErrorReply, 'headers'>;

const request = 'invalid_request_error';
const table: Partial<Record<FaultName, { readonly openai: Spelling; readonly anthropic: Spelling }>> = {
  rate_limited: {
    openai: {
      status: 429,
      type: 'requests',
      code: 'rate_limit_exceeded',
      message: 'Rate limit reached for requests per min (RPM): limit 500, used 500, requested 1 (simulated).',
    },
    anthropic: {
      status: 429,
      type: 'rate_limit_error',
      message:
        "This request would exceed your organization's rate limit of 50 requests per minute (simulated).",
    },
  },
  quota_exhausted: {
    openai: {
      status: 429,
      type: 'insufficient_quota',
      code: 'credit_balance_exhausted',
      message: 'You exceeded your current quota, please check your plan and billing details (simulated).',
    },
    anthropic: {
      status: 429,
      type: 'rate_limit_error',
      details: { error_code: 'enforced_spend_limit_reached' },
      message: 'Your organization has reached its monthly spend limit (simulated).',
    },
  },
  overloaded: {
    openai: {
      status: 503,
      type: 'service_unavailable_error',
      code: 'server_is_overloaded',
      message: 'The model is overloaded, please try again later (simulated).',
    },
    anthropic: { status: 529, type: 'overloaded_error', message: 'Overloaded (simulated)' },
  },
  server_error: {
    openai: {
      status: 500,
      type: 'server_error',
      message: 'The server had an error while processing your request (simulated).',
    },
    anthropic: { status: 500, type: 'api_error', message: 'Internal server error (simulated)' },
  },
  bad_request: {
    openai: { status: 400, type: request, message: 'The request was not accepted (simulated).' },
    anthropic: { status: 400, type: request, message: 'The request was not accepted (simulated).' },
  },
  unauthorized: {
    openai: {
      status: 401,
      type: request,
      code: 'invalid_api_key',
      message: 'Incorrect API key provided (simulated).',
    },
    anthropic: { status: 401, type: 'authentication_error', message: 'invalid x-api-key (simulated)' },
  },
  forbidden: {
    openai: {
      status: 403,
      type: 'request_forbidden',
      code: 'unsupported_country_region_territory',
      message: 'Country, region, or territory not supported (simulated).',
    },
    anthropic: {
      status: 403,
      type: 'permission_error',
      message: 'Your API key does not have permission to use the specified resource (simulated).',
    },
  },
  too_large: {
    openai: { status: 413, type: request, message: 'Request too large (simulated).' },
    anthropic: {
      status: 413,
      type: 'request_too_large',
      message: 'Request exceeds the maximum allowed number of bytes (simulated).',
    },
  },
  unprocessable: {
    openai: { status: 422, type: request, message: 'Unprocessable entity (simulated).' },
    anthropic: { status: 422, type: request, message: 'Unprocessable entity (simulated)' },
  },
};

/** Errors for credit or quota that is used up and doesn't come back by waiting. */
const spent: Readonly<Record<'cohere' | 'replicate', Spelling>> = {
  cohere: {
    status: 429,
    type: 'too_many_requests',
    message: 'You are using a Trial key, which is limited to 1000 API calls / month (simulated).',
  },
  replicate: {
    status: 402,
    type: 'Insufficient credit',
    message: 'You have insufficient credit to run this model (simulated).',
  },
};

/** Bedrock's error for an exhausted quota. */
const daily: Spelling = {
  status: 429,
  type: request,
  message: 'Too many tokens per day, please wait before trying again (simulated).',
};

/** The error for a model that is not served, in each API's wording. */
export function modelNotFound(dialect: Dialect, model: string): ErrorReply {
  if (dialect === 'anthropic') return { status: 404, type: 'not_found_error', message: `model: ${model}` };
  if (dialect === 'gemini') {
    const message = `models/${model} is not found for API version v1beta, or is not supported for generateContent.`;
    return { status: 404, type: 'not_found_error', message };
  }
  if (dialect === 'cohere') {
    const message = `model '${model}' not found, make sure the correct model ID was used and that you have access to the model.`;
    return { status: 404, type: 'not_found_error', message };
  }
  if (dialect === 'replicate')
    return { status: 404, type: 'Not found', message: `The model ${model} could not be found.` };
  if (dialect === 'bedrock')
    return {
      status: 404,
      type: 'not_found_error',
      message: `Could not resolve the foundation model ${model}.`,
    };
  const message = `The model \`${model}\` does not exist or you do not have access to it.`;
  return { status: 404, type: request, message, code: 'model_not_found' };
}

/** The error for a prompt longer than the context window. Both counts are in tokens. */
export function promptTooLong(dialect: Dialect, inputTokens: number, contextTokens: number): ErrorReply {
  if (dialect === 'anthropic') {
    const message = `prompt is too long: ${inputTokens} tokens > ${contextTokens} maximum`;
    return { status: 400, type: request, message };
  }
  if (dialect === 'gemini') {
    const message = `The input token count (${inputTokens}) exceeds the maximum number of tokens allowed (${contextTokens}).`;
    return { status: 400, type: request, message };
  }
  if (dialect === 'cohere') {
    const message = `too many tokens: total number of tokens in the prompt cannot exceed ${contextTokens} - received ${inputTokens}.`;
    return { status: 400, type: request, message };
  }
  if (dialect === 'bedrock')
    return { status: 400, type: request, message: 'Input is too long for requested model.' };
  const message =
    `This model's maximum context length is ${contextTokens} tokens. However, your messages resulted in ` +
    `${inputTokens} tokens. Please reduce the length of the messages.`;
  return { status: 400, type: request, message, param: 'messages', code: 'context_length_exceeded' };
}

/** The error for a prompt refused by content policy; OpenAI's dialects use Azure's wording. */
function policyRefused(dialect: Dialect): ErrorReply {
  if (dialect === 'anthropic')
    return { status: 400, type: request, message: 'Output blocked by content filtering policy (simulated)' };
  if (dialect === 'gemini') {
    const message =
      'The prompt could not be submitted: it may violate the prohibited use policy (simulated).';
    return { status: 400, type: request, message };
  }
  if (dialect === 'cohere')
    return { status: 498, type: request, message: 'The request contains a deny-listed token (simulated).' };
  if (dialect === 'replicate') {
    // Replicate's models check while they run: the prediction is created, then fails.
    const message = 'The input or output was flagged as sensitive. Please try again (simulated). (E005)';
    return { status: 200, type: request, message };
  }
  const violence = { filtered: true, severity: 'high' };
  return {
    status: 400,
    type: request,
    message:
      "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    param: 'prompt',
    code: 'content_filter',
    inner: { code: 'ResponsibleAIPolicyViolation', content_filter_result: { violence } },
  };
}

/** The error reply for a fault; null for faults that are not error replies with a JSON body. */
export function faultReply(
  fault: FaultName,
  dialect: Dialect,
  scenario: Scenario,
  wallMs: number,
): ErrorReply | null {
  if (fault === 'not_found') return modelNotFound(dialect, 'simulated');
  if (fault === 'content_policy') return policyRefused(dialect);
  if (fault === 'context_window') {
    const contextTokens = scenario.contextTokens || 8192;
    return promptTooLong(dialect, contextTokens + 808, contextTokens);
  }
  if (fault === 'quota_exhausted' && (dialect === 'cohere' || dialect === 'replicate')) return spent[dialect];
  // All other dialects use OpenAI's statuses.
  const plain = table[fault]?.[dialect === 'anthropic' ? dialect : 'openai'];
  const spelling = fault === 'quota_exhausted' && dialect === 'bedrock' ? daily : plain;
  if (spelling === undefined) return null;
  const waitMs = scenario.retryAfterMs ?? (fault === 'rate_limited' ? 1000 : null);
  const waits = fault === 'rate_limited' || fault === 'overloaded';
  return waits && waitMs !== null
    ? { ...spelling, waitMs, headers: waitHeaders(dialect, scenario, waitMs, wallMs) }
    : spelling;
}

/** The error inside a reply that started with 200: an overload. */
export function midwayError(dialect: Dialect): ErrorReply {
  return dialect !== 'anthropic'
    ? { status: 200, type: 'server_error', message: 'The server had an error while answering (simulated).' }
    : { status: 200, type: 'overloaded_error', message: 'Overloaded (simulated)' };
}
