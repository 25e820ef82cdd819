/** Who may talk to the data port: `Host`, `Origin`, and headers that decide something. */
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { createGuard } from '../../src/listen/guard.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

const settings = (listen: Partial<Config['listen']> = {}): Config['listen'] =>
  configSchema.parse({ listen }).listen;
const verdict = (headers: IncomingHttpHeaders, listen: Partial<Config['listen']> = {}): string =>
  createGuard(settings(listen))(headers)?.code ?? 'served';

describe('Host', () => {
  test.each(['localhost', 'LocalHost:4100', '127.0.0.1', '127.0.0.1:4100', '[::1]:4100', '[::1]'])(
    '%s is served',
    (host) => {
      expect(verdict({ host })).toBe('served');
    },
  );

  test.each([
    '',
    'evil.example',
    'localhost.evil.example',
    'evil.example:4100',
    '127.0.0.1.evil.example',
    '127.0.0.2',
  ])('%j is refused', (host) => {
    expect(verdict({ host })).toBe('host_refused');
  });

  test.each(['localhost:4100:80', 'localhost:evil', '::1', 'a b', 'localhost/x', '[::1', 'me@localhost'])(
    '%j is no host',
    (host) => {
      expect(verdict({ host })).toBe('invalid_header');
    },
  );

  test('a missing Host is refused', () => {
    expect(verdict({})).toBe('invalid_header');
  });

  test('configured host names are accepted, and so is the address listened on', () => {
    expect(verdict({ host: 'gate.internal:80' }, { allowedHosts: ['Gate.internal'] })).toBe('served');
    expect(verdict({ host: '10.0.0.7:4100' }, { host: '10.0.0.7' })).toBe('served');
    expect(verdict({ host: '0.0.0.0:4100' }, { host: '0.0.0.0' })).toBe('host_refused');
  });
});

describe('Origin', () => {
  const host = 'localhost:4100';

  test('a page may only call from a configured origin', () => {
    expect(verdict({ host, origin: 'https://app.example' })).toBe('origin_refused');
    expect(verdict({ host, origin: 'http://localhost:3000' })).toBe('origin_refused');
    expect(verdict({ host, origin: 'null' })).toBe('origin_refused');
    expect(
      verdict({ host, origin: 'https://app.example' }, { allowedOrigins: ['https://app.example'] }),
    ).toBe('served');
  });

  test('a cross-site request without an origin is refused as well', () => {
    expect(verdict({ host, 'sec-fetch-site': 'cross-site' })).toBe('origin_refused');
    expect(verdict({ host, 'sec-fetch-site': 'none' })).toBe('served');
  });
});

describe('on the wire', () => {
  let sidecar: TestSidecar;
  beforeAll(async () => {
    sidecar = await startTestSidecar({});
  });
  afterAll(() => sidecar.stop());

  /** Sends header lines exactly as they are; gives status and body. */
  const raw = (lines: readonly string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(sidecar.url).port), '127.0.0.1');
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.on('close', () => resolve(answer));
      socket.on('error', reject);
      socket.write(
        [
          'POST /v1/chat/completions HTTP/1.1',
          ...lines,
          'connection: close',
          'content-length: 2',
          '',
          '{}',
        ].join('\r\n'),
      );
    });

  test('a foreign Host gets a 403 that says what to do', async () => {
    const answer = await raw(['host: evil.example']);
    expect(answer).toMatch(/^HTTP\/1.1 403 /);
    expect(answer).toContain('listen.allowedHosts');
  });

  test('no answer carries a CORS header, and a preflight is refused', async () => {
    const { promise, resolve } = Promise.withResolvers<{ status: number; names: string[] }>();
    request(
      `${sidecar.url}/v1/models`,
      { method: 'OPTIONS', headers: { origin: 'https://x.example' } },
      (res) => {
        res.resume();
        resolve({ status: res.statusCode ?? 0, names: Object.keys(res.headers) });
      },
    ).end();
    const { status, names } = await promise;
    expect(status).toBe(403);
    expect(names.filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  test.each([
    ['authorization', 'Bearer a', 'Bearer b'],
    ['x-api-key', 'a', 'b'],
    ['idempotency-key', 'a', 'a'],
    ['x-sidegate-user', 'a', 'b'],
    ['content-type', 'application/json', 'text/plain'],
    ['cache-control', 'no-store', 'max-age=0'],
  ])('%s sent twice is refused by name', async (name, first, second) => {
    const answer = await raw(['host: localhost', `${name}: ${first}`, `${name.toUpperCase()}: ${second}`]);
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain(`The header ${name} is sent twice.`);
  });

  test('a header that decides nothing may be sent twice', async () => {
    const answer = await raw(['host: localhost', 'x-other: a', 'x-other: b', 'accept: a', 'accept: b']);
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).not.toContain('twice');
  });
});
