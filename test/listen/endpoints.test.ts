/** Which endpoint a path and a query mean, for any path and any query. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Endpoint, endpoints } from '../../src/exchange/endpoint.ts';
import { dialectOf, endpointAt, type Head } from '../../src/listen/endpoints.ts';
import { queryOf } from '../../src/listen/query.ts';

const head = (method: string, url: string, headers: Head['headers'] = {}): Head => ({
  method,
  url,
  headers,
  fault: null,
});
const found = (method: string, url: string, headers: Head['headers'] = {}): Endpoint | undefined => {
  const asked = head(method, url, headers);
  return endpointAt(asked, dialectOf(asked));
};

const prefixes = endpoints
  .filter(({ kind, path }) => (kind === 'passthrough' || kind === 'files') && !path.startsWith('/openai/'))
  .map(({ path }) => path.replace('/**', '').replace('{model}', 'm').replace('{verb}', 'predict'));

describe('a path', () => {
  const piece = fc.oneof(
    fc.constantFrom('..', '.', '', '%2e%2e', '%2F', '..;', 'a%00', '\\', '@', ':', '~', 'batch_1', 'cancel'),
    fc.string({ maxLength: 12 }),
    fc.webSegment(),
  );
  const url = fc
    .tuple(
      fc.constantFrom(...prefixes),
      fc.array(piece, { maxLength: 4 }),
      fc.constantFrom('', ':cancel', '/'),
    )
    .map(([prefix, pieces, end]) => [prefix, ...pieces].join('/') + end);
  const version = fc.constantFrom({}, { 'anthropic-version': '2023-06-01' }, { 'x-goog-api-client': 'x' });

  test('that is passed on stays below what its endpoint names, however it is resolved', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'PATCH'),
        url,
        version,
        (method, path, headers) => {
          const endpoint = found(method, path, headers);
          if (endpoint?.kind !== 'passthrough' && endpoint?.kind !== 'files') return;
          const up = `/base${endpoint.upstreamPath}`;
          const resolved = new URL(up, 'http://provider');
          expect(resolved.pathname + resolved.search + resolved.hash).toBe(up);
          expect(decodeURIComponent(resolved.pathname)).toBe(up);
          const { object, unowned } = endpoint;
          if (unowned === true) expect(object?.endsWith(endpoint.upstreamPath)).toBe(true);
          if (unowned === true) return;
          const [, first = ''] = endpoint.path.replace(/^(?:\/upload)?\/v\d(?:beta)?/, '').split(/[/:]/);
          expect(up.startsWith(`/base/${first}`)).toBe(true);
          expect(up).not.toMatch(/\/\/|\/\.{1,2}(?:[/:]|$)|[\\;%?#\s]/);
          if (object !== null) expect(up).toContain(`/${object}`);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['GET', '/v1/batches', 'batches', null],
    ['GET', '/v1/batches/b_1', 'batches', 'b_1'],
    ['POST', '/v1/batches/b_1/cancel', 'batches', 'b_1'],
    ['POST', '/v1/responses', 'responses', null],
    ['POST', '/v1/responses/compact', 'stored_responses', null],
    ['POST', '/v1/responses/resp_1/cancel', 'stored_responses', 'resp_1'],
    ['POST', '/v1/chat/completions', 'chat', null],
    ['GET', '/v1/chat/completions', 'stored_chats', null],
    ['PUT', '/v1/chat/completions', 'chat', null],
    ['GET', '/v1/files/file-1', 'files', 'file-1'],
    ['GET', '/v1/files/file-1/content', 'files', 'file-1'],
    ['POST', '/v1/messages/count_tokens', 'count_tokens', null],
    ['POST', '/v1/messages/batches', 'message_batches', null],
    ['POST', '/v1beta/models/m:generateContent', 'generate', null],
    ['POST', '/v1beta/models/m:predict', 'gemini_models', null],
    ['GET', '/v1beta/models/m/operations/op_1', 'gemini_models', 'operations/op_1'],
    ['GET', '/v1beta/models/m', 'models', null],
    ['POST', '/v1beta/batches/b_1:cancel', 'gemini_batches', 'batches/b_1'],
    ['POST', '/upload/v1beta/files', 'gemini_files', null],
    ['POST', '/upload/v1/files', 'gemini_files', null],
    ['GET', '/v1/batchesX', 'rest', '/v1/batchesX'],
    ['GET', '/v1/organization/projects', 'rest', '/v1/organization/projects'],
    ['GET', '/v1/batches//x', undefined, undefined],
    ['POST', '/openai/responses', 'responses', null],
    ['GET', '/openai/v1/responses/resp_1', 'stored_responses', 'resp_1'],
    ['GET', '/openai/files/file-1/content', 'files', 'file-1'],
    ['GET', '/openai/organization/projects', 'rest', '/v1/organization/projects'],
    ['GET', '/openai/v1/batches//x', undefined, undefined],
    ['POST', '/openai/v1/messages', undefined, undefined],
    ['POST', '/openai/deployments/m/responses', undefined, undefined],
    ['POST', '/openai/deployments/chat/completions', 'completions', null],
    ['POST', '/openai/deployments/vendor/m/audio/speech', 'speech', null],
  ])('%s %s is %s of %s', (method, url, name, object) => {
    const endpoint = found(method, url);
    expect([endpoint?.name, endpoint?.object]).toEqual([name, object]);
  });

  test("names Azure's deployment, whatever headers of other SDKs come with it", () => {
    const path = '/openai/deployments/a%2Fb%20c/chat/completions?api-version=1';
    expect(found('POST', path, { 'anthropic-version': '2023-06-01', 'x-goog-api-key': 'k' })).toMatchObject({
      name: 'chat',
      dialect: 'openai',
      upstreamPath: '/chat/completions',
      deployment: 'a/b c',
    });
    expect(found('POST', '/v1/chat/completions')?.deployment).toBeUndefined();
  });

  test('of the same name is told apart by the headers of SDKs', () => {
    expect(found('GET', '/v1/files')?.name).toBe('files');
    expect(found('GET', '/v1/files', { 'anthropic-version': '2023-06-01' })?.name).toBe('anthropic_files');
    expect(found('GET', '/v1/files', { 'x-goog-api-key': 'k' })?.name).toBe('gemini_files');
    // A key in Google's header is a key for any endpoint.
    expect(found('POST', '/v1/chat/completions', { 'x-goog-api-key': 'k' })?.name).toBe('chat');
  });
});

test('a query is passed on without credentials, and as a URL may hold it', () => {
  const name = fc.oneof(
    fc.constantFrom(
      'key',
      'KEY',
      '%6bey',
      '$key',
      'api_key',
      'access_token',
      'beta',
      'alt',
      'limit',
      'include[]',
    ),
    fc.string({ maxLength: 8 }),
  );
  const part = fc.tuple(name, fc.string({ maxLength: 8 })).map(([left, right]) => `${left}=${right}`);
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 6 }),
      fc.constantFrom('openai', 'gemini' as const),
      (parts, dialect) => {
        const query = queryOf(`/v1/x?${parts.join('&')}`, dialect);
        expect(query).toMatch(/^[\x21-\x7e]*$/);
        expect(query).not.toContain('#');
        for (const [given] of new URLSearchParams(query))
          expect(given.toLowerCase().trim()).not.toMatch(/^\$?(?:key|api[_-]?key|access_token|oauth_token)$/);
      },
    ),
    { numRuns: 3000 },
  );
  expect(queryOf('/v1/x?a=1&b=%20x&a=2', 'openai')).toBe('a=1&b=%20x&a=2');
  expect(queryOf('/v1/x', 'openai')).toBe('');
  expect(queryOf('/openai/x?limit=2&Api-Version=2024-10-21', 'openai')).toBe('limit=2');
  expect(queryOf('/v1/x?api-version=2024-10-21', 'openai')).toBe('api-version=2024-10-21');
});
