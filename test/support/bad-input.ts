/** Requests with one mistake each, and the error each must get. */
import { gzipSync } from 'node:zlib';
import type { ErrorCode } from '../../src/base/errors.ts';
import type { Sending } from './client.ts';
import { testModel } from './replies.ts';

/** The body limit these requests are made for, in bytes. */
export const bodyMaxBytes = 256 * 1024;

/** One mistake. */
export interface Wrong {
  readonly name: string;
  readonly code: ErrorCode;
  readonly sending?: Sending;
  readonly path?: string;
  /** Replaces the request's body. */
  readonly body?: string | Buffer;
  /** Added to the request's body. */
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Must occur in the error's message. */
  readonly says?: string;
}

const long = 'x'.repeat(300);

/** Bodies that no provider should get. */
const badBodies: readonly Wrong[] = [
  { name: 'malformed JSON', code: 'invalid_json', body: '{"model": "test-model", ', says: 'at byte' },
  { name: 'two documents', code: 'invalid_json', body: '{} {}' },
  { name: 'a comment in JSON', code: 'invalid_json', body: '{"model": "m" /* no */}' },
  { name: 'no body', code: 'invalid_json', body: '', says: 'empty' },
  { name: 'a list for a body', code: 'invalid_json', body: '[]', says: 'not a JSON object' },
  { name: 'a text for a body', code: 'invalid_json', body: '"hello"' },
  {
    name: 'deep nesting',
    code: 'invalid_json',
    body: `{"x":${'['.repeat(9999)}${']'.repeat(9999)}}`,
    says: 'too deep',
  },
  {
    name: 'a byte that is no UTF-8',
    code: 'invalid_json',
    body: Buffer.from('{"model":"\xff"}', 'latin1'),
    says: 'UTF-8',
  },
  {
    name: 'half a UTF-8 character',
    code: 'invalid_json',
    body: Buffer.from('{"model":"\xc3"}', 'latin1'),
    says: 'UTF-8',
  },
  { name: 'a byte order mark', code: 'invalid_json', body: '\ufeff{"model":"test-model"}' },
  { name: 'UTF-16', code: 'invalid_json', body: Buffer.from('{"model":"test-model"}', 'utf16le') },
  { name: 'a model that is a number', code: 'invalid_field', fields: { model: 5 }, says: '"model"' },
  { name: 'messages that are text', code: 'invalid_field', fields: { messages: 'hi' }, says: '"messages"' },
  { name: 'stream that is text', code: 'invalid_field', fields: { stream: 'yes' }, says: '"stream"' },
  {
    name: 'max_tokens that is text',
    code: 'invalid_field',
    fields: { max_tokens: '10' },
    says: '"max_tokens"',
  },
  { name: 'max_tokens below zero', code: 'invalid_field', fields: { max_tokens: -1 } },
  { name: 'half a token', code: 'invalid_field', fields: { max_tokens: 1.5 } },
  { name: 'tools that are no list', code: 'invalid_field', fields: { tools: {} } },
  { name: 'no model', code: 'invalid_field', body: '{"messages":[]}', says: '"model"' },
  { name: 'an empty model', code: 'invalid_field', fields: { model: '' } },
  { name: 'a model of 300 letters', code: 'invalid_field', fields: { model: long } },
  {
    name: 'the model twice',
    code: 'duplicate_field',
    body: `{"model":"a","model":"${testModel}","messages":[]}`,
  },
  {
    name: 'a field twice, once escaped',
    code: 'duplicate_field',
    body: '{"model":"a","mod\\u0065l":"b","messages":[]}',
  },
  {
    name: 'an unknown model',
    code: 'model_not_found',
    fields: { model: 'gpt-nothing' },
    says: 'gpt-nothing',
  },
  { name: 'a model beyond Latin', code: 'model_not_found', fields: { model: '模型-🎉' }, says: '模型-🎉' },
  { name: 'a body over the bound', code: 'body_too_large', body: Buffer.alloc(bodyMaxBytes + 1, ' ') },
  {
    name: 'a packed body',
    code: 'unsupported_media_type',
    body: gzipSync('{}'),
    headers: { 'content-encoding': 'gzip' },
  },
  {
    name: 'a body that is a form',
    code: 'unsupported_media_type',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  },
  {
    name: 'a body that is plain text',
    code: 'unsupported_media_type',
    headers: { 'content-type': 'text/plain' },
  },
];

/** Heads that are refused whatever the body. */
const badHeads: readonly Wrong[] = [
  { name: 'no key', code: 'missing_key', headers: { authorization: [] } },
  { name: 'a wrong key', code: 'wrong_key', headers: { authorization: 'Bearer sk-wrong' } },
  {
    name: 'a wrong key in x-api-key',
    code: 'wrong_key',
    headers: { authorization: [], 'x-api-key': 'sk-wrong' },
  },
  {
    name: 'a key of 5,000 letters',
    code: 'wrong_key',
    headers: { authorization: `Bearer ${'x'.repeat(5000)}` },
  },
  {
    name: 'two different keys',
    code: 'invalid_header',
    headers: { 'x-api-key': 'sk-other' },
    says: 'x-api-key',
  },
  { name: 'a key for other models', code: 'model_forbidden', headers: { authorization: 'Bearer sk-narrow' } },
  {
    name: 'a wrong method',
    code: 'method_not_allowed',
    sending: { method: 'PUT' },
    says: 'PUT is not served here, but POST.',
  },
  {
    name: 'a number that no limit can be',
    code: 'invalid_field',
    fields: { max_tokens: -1 },
    says: "a value of the wrong type, or one that it can't have",
  },
  {
    name: 'a tag with a space',
    code: 'invalid_header',
    headers: { 'x-sidegate-tags': 'a b' },
    says: 'at most 16 names of 1–128 letters, digits or . _ : @ / + -, separated by commas',
  },
  { name: 'PATCH', code: 'method_not_allowed', sending: { method: 'PATCH' }, body: '' },
  { name: 'a wrong path', code: 'not_found', path: '/v1/nothing', says: '/v1/nothing' },
  { name: 'a path without /v1', code: 'not_found', path: '/chat/completions' },
  { name: 'the root', code: 'not_found', path: '/', says: '"/"' },
  {
    name: 'a timeout in words',
    code: 'invalid_header',
    headers: { 'x-sidegate-timeout': 'soon' },
    says: 'x-sidegate-timeout',
  },
  {
    name: 'an expectation of its own',
    code: 'invalid_header',
    headers: { expect: 'x' },
    says: '100-continue',
  },
  { name: 'a timeout of nothing', code: 'invalid_header', headers: { 'x-sidegate-timeout': '0' } },
  { name: 'a timeout below zero', code: 'invalid_header', headers: { 'x-sidegate-timeout': '-5' } },
  {
    name: 'a user with spaces',
    code: 'invalid_header',
    headers: { 'x-sidegate-user': 'a b' },
    says: 'x-sidegate-user',
  },
  { name: 'a user of 300 letters', code: 'invalid_header', headers: { 'x-sidegate-user': long } },
  {
    name: 'tags with spaces',
    code: 'invalid_header',
    headers: { 'x-sidegate-tags': 'a,b c' },
    says: 'x-sidegate-tags',
  },
  { name: 'an idempotency key with spaces', code: 'invalid_header', headers: { 'idempotency-key': 'a b' } },
  { name: 'an idempotency key of 300 letters', code: 'invalid_header', headers: { 'idempotency-key': long } },
  { name: 'an unknown host', code: 'host_refused', headers: { host: 'evil.test' }, says: 'evil.test' },
  { name: 'a host that only ends well', code: 'host_refused', headers: { host: 'localhost.evil.test' } },
  { name: 'a foreign origin', code: 'origin_refused', headers: { origin: 'https://evil.test' } },
  { name: 'the origin null', code: 'origin_refused', headers: { origin: 'null' } },
  {
    name: 'an origin that only begins well',
    code: 'origin_refused',
    headers: { origin: 'https://app.test.evil.test' },
  },
  { name: 'a page of another site', code: 'origin_refused', headers: { 'sec-fetch-site': 'cross-site' } },
  {
    name: 'a preflight',
    code: 'origin_refused',
    sending: { method: 'OPTIONS' },
    headers: { origin: 'https://evil.test' },
  },
  ...[
    'authorization',
    'x-api-key',
    'content-type',
    'idempotency-key',
    'x-sidegate-user',
    'x-sidegate-timeout',
    'cache-control',
  ].map(
    (name): Wrong => ({
      name: `${name} twice`,
      code: 'invalid_header',
      headers: { [name]: ['one', 'two'] },
      says: name,
    }),
  ),
];

/** All of them. Each is sent with a valid key unless it sets its own. */
export const badInput: readonly Wrong[] = [...badBodies, ...badHeads];
