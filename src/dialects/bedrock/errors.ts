/** Bedrock's errors. https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html */
import type { IncomingHttpHeaders } from 'node:http';
import { entryOf, parseObject, textOf } from '../../base/json.ts';
import type { ProviderError } from '../chat-reply.ts';
import { readError as readAnyError } from '../error-text.ts';
import { type FaultKind, type FaultWords, faultKind, type ProviderFault, waitOf } from '../fault.ts';
import { headerOf } from '../headers.ts';

/** The error name in `com.amazon.coral#ThrottlingException:http://…`, or in a plain name. */
const plainName = (text: string): string => text.replace(/^.*#/, '').replace(/:.*$/s, '').trim();

/** Reads an error body. */
export function readError(status: number, body: Buffer): ProviderError {
  const error = readAnyError(status, body);
  const type = textOf(parseObject(body.toString('utf8', 0, 64 * 1024))?.__type);
  return type === null ? error : { ...error, code: plainName(type) };
}

/** Meaning of errors whose status is misleading. */
const kinds: Readonly<Record<string, FaultKind>> = {
  AccessDeniedException: 'forbidden',
  ExpiredToken: 'credential',
  ExpiredTokenException: 'credential',
  IncompleteSignature: 'credential',
  IncompleteSignatureException: 'credential',
  InvalidClientTokenId: 'credential',
  InvalidSignatureException: 'credential',
  MissingAuthenticationToken: 'credential',
  MissingAuthenticationTokenException: 'credential',
  NotAuthorized: 'forbidden',
  OptInRequired: 'forbidden',
  RequestExpired: 'credential',
  SignatureDoesNotMatch: 'credential',
  UnrecognizedClientException: 'credential',
  ThrottlingException: 'rate_limited',
  TooManyRequestsException: 'rate_limited',
  ServiceQuotaExceededException: 'quota',
  InternalServerException: 'server',
  ModelErrorException: 'server',
  // A 429, although the caller is not over a limit.
  ModelNotReadyException: 'server',
  ModelStreamErrorException: 'server',
  ModelTimeoutException: 'server',
  ServiceUnavailableException: 'server',
};

const words: FaultWords = {
  quota: /tokens per day|per day\b/i,
  // The wording depends on the model's maker.
  context:
    /(?:input|prompt) is too long|too many input tokens|maximum context length|exceeds? (?:the )?(?:context|maximum (?:number of )?(?:input )?tokens)|input length and `?max_tokens`? exceed/i,
  policy: /content filtering policy|content filters?\b/i,
};
/** The account has no access to this model, so another credential of it would not help. */
const modelWords = /access to the model|model access is denied|model use case details/i;

/** Interprets an error response. */
export function fault(
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
  wallMs: number,
): ProviderFault {
  const text = body.toString('utf8', 0, 16 * 1024);
  const json = parseObject(text);
  const name = plainName(
    headerOf(headers, 'x-amzn-errortype') ?? textOf(json?.__type) ?? textOf(json?.code) ?? '',
  );
  const named = entryOf(kinds, name);
  let kind = named ?? faultKind(status, text, words);
  if (named === 'forbidden' && modelWords.test(text)) kind = 'rejected';
  else if (named === 'rate_limited' && words.quota.test(text)) kind = 'quota';
  return { kind, retryAfterMs: waitOf(status, kind, headers, text, wallMs) };
}
