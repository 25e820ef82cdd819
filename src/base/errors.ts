/** The error catalogue: every error the gateway itself can answer with. docs/reference/errors.md is generated from it. */

/** Where an error comes from: the caller, the gateway, or the provider. */
export type ErrorSource = 'client' | 'gateway' | 'upstream';

interface Entry {
  readonly status: number;
  readonly source: ErrorSource;
  /** Whether the same request may succeed later, unchanged. */
  readonly retryable: boolean;
  /** `type` in OpenAI's error object. */
  readonly openai: string;
  /** `type` in Anthropic's error object. */
  readonly anthropic: string;
  /** What the user should do; added to every message and listed in docs/reference/errors.md. */
  readonly hint: string;
}

const invalid = { openai: 'invalid_request_error', anthropic: 'invalid_request_error' } as const;
const badRequest = { status: 400, source: 'client', retryable: false, ...invalid } as const;
const missing = { ...badRequest, status: 404, anthropic: 'not_found_error' } as const;
const unauthenticated = {
  status: 401,
  source: 'client',
  retryable: false,
  openai: 'authentication_error',
  anthropic: 'authentication_error',
} as const;
const overloaded = {
  status: 503,
  source: 'gateway',
  retryable: true,
  openai: 'api_error',
  anthropic: 'overloaded_error',
} as const;
const upstream = { openai: 'api_error', anthropic: 'api_error' } as const;
const timedOut = { status: 504, retryable: true, ...upstream } as const;

/** Every error by its code. */
export const catalogue = {
  invalid_json: { ...badRequest, hint: 'Send one JSON object, encoded as UTF-8.' },
  invalid_form: {
    ...badRequest,
    hint: 'Send `multipart/form-data` as SDKs and curl write it: plain text fields, files, CRLF at the end of each line.',
  },
  invalid_field: { ...badRequest, hint: 'Correct the named field.' },
  unsupported_field: {
    ...badRequest,
    hint: "Remove the named field, or add a target that speaks your SDK's dialect.",
  },
  thread_not_found: {
    ...missing,
    hint: 'Send the whole conversation with `thread: {"type": "create"}`, as Anthropic\'s SDKs do by themselves, or add a target that speaks their dialect.',
  },
  duplicate_field: {
    ...badRequest,
    hint: 'Send the named field once.',
  },
  invalid_header: {
    ...badRequest,
    hint: 'Correct the named header, and send it once.',
  },
  pii_blocked: {
    ...badRequest,
    hint: 'Remove the personal data, or ask for the policy to be changed.',
  },
  not_capable: {
    ...badRequest,
    hint: 'Use another model, or add a target with this capability to the route.',
  },
  missing_key: {
    ...unauthenticated,
    hint: 'Send a Sidegate key in `Authorization: Bearer`, `x-api-key` or `api-key`.',
  },
  wrong_key: {
    ...unauthenticated,
    hint: 'Check the key against the configuration, or ask the platform team for a new one.',
  },
  key_expired: {
    ...unauthenticated,
    hint: 'Ask the platform team for a new key.',
  },
  key_revoked: {
    ...unauthenticated,
    hint: 'Ask the platform team for a new key.',
  },
  token_malformed: {
    ...unauthenticated,
    hint: 'Send the access token exactly as issued: a signed JWT.',
  },
  token_oversized: {
    ...unauthenticated,
    hint: 'Ask the issuer for fewer claims, or raise `authenticate.tokenMaxBytes`.',
  },
  token_issuer: {
    ...unauthenticated,
    hint: 'Get the token from an issuer listed in `authenticate.oidc`.',
  },
  token_algorithm: {
    ...unauthenticated,
    hint: 'Configure the issuer to sign with an algorithm listed in `authenticate.oidc[].algorithms`.',
  },
  token_unknown_key: {
    ...unauthenticated,
    hint: 'Get a new token: the issuer does not publish the key that signed this one.',
  },
  token_signature: {
    ...unauthenticated,
    hint: 'Send the access token exactly as issued.',
  },
  token_expired: {
    ...unauthenticated,
    hint: 'Get a new token from the issuer.',
  },
  token_not_yet_valid: {
    ...unauthenticated,
    hint: 'Wait, or check the clocks of the issuer and of this machine.',
  },
  token_audience: {
    ...unauthenticated,
    hint: 'Ask the issuer for a token with an audience listed in `authenticate.oidc[].audience`.',
  },
  token_claims: {
    ...unauthenticated,
    hint: 'Configure the issuer to include the named claim, or correct `authenticate.oidc[].claims`.',
  },
  model_forbidden: {
    status: 403,
    source: 'client',
    retryable: false,
    openai: 'permission_error',
    anthropic: 'permission_error',
    hint: 'Use a model this key may use, or ask for it to be allowed.',
  },
  endpoint_forbidden: {
    status: 403,
    source: 'client',
    retryable: false,
    openai: 'permission_error',
    anthropic: 'permission_error',
    hint: 'Use an endpoint this key may use, or ask for it to be allowed.',
  },
  model_unpriced: {
    status: 403,
    source: 'gateway',
    retryable: false,
    openai: 'permission_error',
    anthropic: 'permission_error',
    hint: 'Give the model a price, or set `unpriced: allow` on the limit or budget.',
  },
  host_refused: {
    status: 403,
    source: 'client',
    retryable: false,
    openai: 'permission_error',
    anthropic: 'permission_error',
    hint: 'Call localhost, or add the name to `listen.allowedHosts`.',
  },
  origin_refused: {
    status: 403,
    source: 'client',
    retryable: false,
    openai: 'permission_error',
    anthropic: 'permission_error',
    hint: 'Call from a server, or add the origin to `listen.allowedOrigins`.',
  },
  provider_unclear: {
    ...badRequest,
    hint: "Name one of them in the header `x-sidegate-provider`, or add a provider of the endpoint's dialect that may keep files and other objects of this tenant.",
  },
  passthrough_off: {
    ...missing,
    source: 'gateway',
    hint: 'Set `passthrough: true` on the provider that serves it.',
  },
  object_not_found: {
    ...missing,
    hint: 'Objects at a provider belong to the tenant that made them through Sidegate. What was made otherwise, or is no longer known, is served where `files` of the provider names one tenant only.',
  },
  body_unread: {
    ...badRequest,
    hint: "Set `passthrough: unscrubbed` on the provider, or the tenant's actions under `scrub` to `report` or `off`.",
  },
  not_found: {
    ...missing,
    hint: 'Use one of the endpoints listed in docs/reference/endpoints.md; base URLs end in `/v1` for OpenAI, not for Anthropic.',
  },
  answer_unknown: {
    ...missing,
    hint: 'Send the x-request-id of a reply whose Cache-Status has detail=semantic, once; the latest 10,000 are known.',
  },
  model_not_found: {
    ...missing,
    hint: 'Use a model listed by `GET /v1/models`, or add a route for it.',
  },
  method_not_allowed: {
    status: 405,
    source: 'client',
    retryable: false,
    ...invalid,
    hint: 'Use the method named in the `Allow` header.',
  },
  body_timeout: {
    status: 408,
    source: 'client',
    retryable: true,
    ...invalid,
    hint: 'Send the whole request within `listen.bodyTimeoutMs`.',
  },
  session_over: {
    status: 408,
    source: 'gateway',
    retryable: true,
    ...invalid,
    hint: 'Open another session, or raise the named setting.',
  },
  idempotency_in_flight: {
    status: 409,
    source: 'client',
    retryable: true,
    ...invalid,
    hint: 'Wait for the first request with this key, then repeat it.',
  },
  body_too_large: {
    status: 413,
    source: 'client',
    retryable: false,
    openai: 'invalid_request_error',
    anthropic: 'request_too_large',
    hint: 'Send a smaller body, or raise `listen.bodyMaxBytes` (for uploads, `listen.uploadMaxBytes`).',
  },
  text_unchecked: {
    status: 413,
    source: 'client',
    retryable: false,
    openai: 'invalid_request_error',
    anthropic: 'request_too_large',
    hint: 'Send less new text in one request, or raise `scrub.recogniser.textMaxBytes`, and `timeoutMs` with it.',
  },
  body_too_complex: {
    status: 413,
    source: 'client',
    retryable: false,
    openai: 'invalid_request_error',
    anthropic: 'request_too_large',
    hint: 'Send fewer messages, fields and list items in one request.',
  },
  unsupported_media_type: {
    status: 415,
    source: 'client',
    retryable: false,
    ...invalid,
    hint: 'Send the body as `application/json`, or as `multipart/form-data` where files are accepted, without a content encoding.',
  },
  idempotency_mismatch: {
    status: 422,
    source: 'client',
    retryable: false,
    ...invalid,
    hint: 'Use a new `Idempotency-Key` for a different request.',
  },
  rate_limited: {
    status: 429,
    source: 'gateway',
    retryable: true,
    openai: 'rate_limit_error',
    anthropic: 'rate_limit_error',
    hint: 'Wait for `Retry-After`, or ask for a higher limit.',
  },
  request_too_costly: {
    status: 429,
    source: 'gateway',
    retryable: false,
    openai: 'rate_limit_error',
    anthropic: 'rate_limit_error',
    hint: 'Send a smaller request, or ask for a higher limit: waiting does not help.',
  },
  headers_too_large: {
    status: 431,
    source: 'client',
    retryable: false,
    ...invalid,
    hint: 'Send fewer or shorter headers.',
  },
  internal: {
    status: 500,
    source: 'gateway',
    retryable: true,
    ...upstream,
    hint: 'Report this error with its request id.',
  },
  upstream_failed: {
    status: 502,
    source: 'upstream',
    retryable: true,
    ...upstream,
    hint: 'Try again later; the log line of this request lists each attempt.',
  },
  upstream_credential: {
    status: 502,
    source: 'gateway',
    retryable: false,
    ...upstream,
    hint: "Correct the provider's `apiKey`.",
  },
  stream_cut: {
    status: 502,
    source: 'upstream',
    retryable: true,
    ...upstream,
    hint: 'Repeat the request, or send `x-sidegate-restart: on-cut`.',
  },
  targets_down: {
    status: 503,
    source: 'upstream',
    retryable: true,
    openai: 'api_error',
    anthropic: 'overloaded_error',
    hint: 'Wait for `Retry-After`; add a fallback target on another provider.',
  },
  draining: {
    ...overloaded,
    hint: 'Repeat the request: this process is shutting down.',
  },
  overloaded: {
    ...overloaded,
    hint: 'Send fewer requests at once, or raise `listen.inFlightMax` (for sessions, `listen.sessions.max`).',
  },
  memory_full: {
    ...overloaded,
    hint: "Wait for `Retry-After`; raise `memory.maxMb` or the container's limit, lower `cache.bytesMax`, or add pods.",
  },
  recogniser_down: {
    ...overloaded,
    hint: 'Try again; if it lasts, look after the service at `scrub.recogniser.url`, give it more time (`timeoutMs`), or let requests pass unchecked (`onFailure: pass`).',
  },
  callers_unknown: {
    ...overloaded,
    hint: 'Try again; the log says what the gateway cannot reach: the token issuer or its key store.',
  },
  batch_queue_full: {
    ...overloaded,
    hint: 'Wait for `Retry-After`, or raise `batch.queueMax` or `batch.queueMaxBytes`.',
  },
  batch_deadline: {
    ...overloaded,
    hint: 'Wait for `Retry-After`, or allow more time with `x-sidegate-timeout` (at most `batch.deadlineMs`).',
  },
  batch_expired: {
    ...timedOut,
    source: 'gateway',
    hint: 'Repeat it later, or allow more time with `x-sidegate-timeout` (at most `batch.deadlineMs`).',
  },
  upstream_timeout: {
    ...timedOut,
    source: 'upstream',
    hint: 'Raise the named timeout, or add a fallback target.',
  },
} as const satisfies Record<string, Entry>;

/** A code of the catalogue, as sent in error bodies. */
export type ErrorCode = keyof typeof catalogue;

/** A stage's decision not to serve a request: a value, never thrown; `refusalReply` writes it for the client. */
export class Refusal {
  readonly code: ErrorCode;
  /** What happened, in one sentence without the hint; never contains text of a prompt, key or reply. */
  readonly message: string;
  /** The request field or header at fault, if there is one. */
  readonly param: string | null;
  /** Ms after which a retry may succeed; sent as `Retry-After` and `retry-after-ms`. Null: unknown. */
  readonly retryAfterMs: number | null;
  /** Additional headers of the reply, as flat name, value pairs. */
  readonly headers: readonly string[];

  constructor(
    code: ErrorCode,
    message: string,
    more: { param?: string; retryAfterMs?: number; headers?: readonly string[] } = {},
  ) {
    this.code = code;
    this.message = message;
    this.param = more.param ?? null;
    this.retryAfterMs = more.retryAfterMs ?? null;
    this.headers = more.headers ?? [];
  }

  /** The entry of this refusal's code. */
  get entry(): Entry {
    return catalogue[this.code];
  }

  /** The text a user reads: what happened and what to do. */
  get text(): string {
    return `${this.message} ${this.entry.hint}`;
  }
}
