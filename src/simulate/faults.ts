/** Every fault the simulator can produce, by name: what it does, and which row of FAULTS.md it exercises. */

/** How a fault is produced: as an error reply, as different content, or by how the bytes are sent. */
export type FaultKind = 'error' | 'content' | 'wire';

interface FaultEntry {
  readonly kind: FaultKind;
  /** Row of FAULTS.md that says what the gateway must then send its client. */
  readonly row: number;
  /** What happens to a stream; `k` is `afterTokens`. */
  readonly stream: string;
  /** What happens to a reply that is not streamed, if different. */
  readonly whole?: string;
}

/** The table of faults. */
export const faults = {
  reset_before_headers: { kind: 'wire', row: 1, stream: 'the connection is reset before the headers' },
  reset_after_headers: {
    kind: 'wire',
    row: 2,
    stream: 'headers and opening events, then a reset before the first content',
    whole: 'headers, then a reset before the body',
  },
  cut_stream: {
    kind: 'wire',
    row: 3,
    stream: 'reset after k content events',
    whole: 'reset after half the body',
  },
  end_early: {
    kind: 'wire',
    row: 4,
    stream: 'clean end after k content events, without finish reason or last event',
    whole: 'clean end after half the body',
  },
  finish_without_done: {
    kind: 'wire',
    row: 4,
    stream: 'complete but for the last event (`[DONE]`, `message_stop`)',
    whole: 'a normal answer',
  },
  no_first_token: {
    kind: 'wire',
    row: 5,
    stream: 'headers and opening events, then silence (`holdMs`)',
    whole: 'silence, no headers',
  },
  stall: {
    kind: 'wire',
    row: 6,
    stream: 'silence after k content events (`holdMs`)',
    whole: 'silence after half the body',
  },
  rate_limited: {
    kind: 'error',
    row: 7,
    stream: '429 with the hints chosen by `retryHint` and `retryAfterMs`',
  },
  quota_exhausted: { kind: 'error', row: 8, stream: '429 for an exhausted quota, without a hint to retry' },
  overloaded: { kind: 'error', row: 9, stream: '503 (OpenAI), 529 `overloaded_error` (Anthropic)' },
  server_error: { kind: 'error', row: 10, stream: '500' },
  error_in_body: { kind: 'error', row: 11, stream: '200 with an error object as the JSON body' },
  error_event: {
    kind: 'wire',
    row: 11,
    stream: "an error in the dialect's streaming form after k content events, then a clean end",
    whole: 'as `error_in_body`',
  },
  raw_json_in_stream: {
    kind: 'wire',
    row: 11,
    stream: 'a bare JSON error, no `data:`, after k content events, then a clean end',
    whole: 'as `error_in_body`',
  },
  malformed_json: {
    kind: 'wire',
    row: 12,
    stream: 'one event with broken JSON after k content events; the rest is as it should be',
    whole: 'broken JSON, complete on the wire',
  },
  malformed_sse: {
    kind: 'wire',
    row: 12,
    stream: 'bytes that are neither SSE nor UTF-8 after k content events, then a clean end',
    whole: 'as `malformed_json`',
  },
  split_everywhere: { kind: 'wire', row: 12, stream: 'a correct answer, each byte in a chunk of its own' },
  truncated_gzip: { kind: 'wire', row: 13, stream: '`content-encoding: gzip`, cut in the middle, clean end' },
  gzip_bomb: { kind: 'wire', row: 13, stream: '`content-encoding: gzip` that unpacks to `sizeMb` of spaces' },
  bad_request: { kind: 'error', row: 26, stream: '400' },
  unauthorized: { kind: 'error', row: 26, stream: '401' },
  forbidden: { kind: 'error', row: 26, stream: '403' },
  not_found: { kind: 'error', row: 26, stream: '404 for the model' },
  too_large: { kind: 'error', row: 26, stream: '413' },
  unprocessable: { kind: 'error', row: 26, stream: '422' },
  context_window: {
    kind: 'error',
    row: 27,
    stream: "400 in the dialect's words for a prompt that is too long",
  },
  content_policy: {
    kind: 'error',
    row: 27,
    stream:
      "400 in the dialect's words for a prompt that content policy refuses; 498 (Cohere), a failed prediction (Replicate)",
  },
  redirect: { kind: 'error', row: 11, stream: '302 to a path that must not be followed' },
  slow_headers: { kind: 'wire', row: 5, stream: 'a normal answer whose headers come after `holdMs` (1 s)' },
  wrong_dialect: { kind: 'content', row: 11, stream: "a complete answer in the other dialect's shape" },
  missing_usage: { kind: 'content', row: 11, stream: 'a complete answer without token usage' },
} as const satisfies Record<string, FaultEntry>;

/** Name of a fault. */
export type FaultName = keyof typeof faults;

/** All names, in the order of the table. */
export const faultNames = Object.keys(faults) as [FaultName, ...FaultName[]];

/** Whether the text names a fault. */
export function isFault(name: string): name is FaultName {
  return Object.hasOwn(faults, name);
}
