/** The simulator's auxiliary endpoints: same request, same answer; what they refuse, and their faults. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Simulator } from '../../src/simulate/server.ts';
import { call, simulator } from '../support/simulate-client.ts';

let running: Simulator;
beforeAll(async () => {
  running = await simulator({ models: ['m', 'whisper-1', 'omni-moderation-latest'] });
});
afterAll(() => running.close());

const type = { 'content-type': 'multipart/form-data; boundary=b' };
const field = (name: string, value: string, more = ''): string =>
  `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
const sound = field('file', 'sound', '; filename="a.mp3"');
const formOf = (...fields: string[]): string => `${fields.join('')}--b--\r\n`;

/** A valid request for each endpoint. */
const good: Readonly<Record<string, readonly [body: unknown, headers?: Record<string, string>]>> = {
  '/v1/images/generations': [{ model: 'm', prompt: 'a' }],
  '/v1/images/edits': [
    formOf(field('model', 'm'), field('prompt', 'a'), sound.replace('"file"', '"image"')),
    type,
  ],
  '/v1/images/variations': [formOf(field('model', 'm'), sound.replace('"file"', '"image"')), type],
  '/v1/audio/speech': [{ model: 'm', input: 'a', voice: 'v' }],
  '/v1/audio/transcriptions': [formOf(field('model', 'm'), sound), type],
  '/v1/audio/translations': [formOf(field('model', 'whisper-1'), sound), type],
  '/v1/moderations': [{ input: 'a' }],
  '/v1/rerank': [{ model: 'm', query: 'a', documents: ['b'] }],
};

describe.each(Object.keys(good))('%s', (path) => {
  const [body, headers = {}] = good[path] ?? [{}];
  const ask = (simulate = 'fault=none') =>
    call(running.url + path, body, { ...headers, 'x-simulate': simulate });

  test('answers the same request with the same bytes', async () => {
    const [first, second] = [await ask(), await ask()];
    expect([first.status, first.end]).toEqual([200, 'clean']);
    expect(Buffer.concat(first.chunks)).toEqual(Buffer.concat(second.chunks));
  });

  test('produces faults', async () => {
    const whole = await ask();
    expect((await ask('fault=server_error')).status).toBe(500);
    expect((await ask('fault=rate_limited')).status).toBe(429);
    expect((await ask('fault=reset_before_headers')).end).toBe('reset');
    const cut = await ask('fault=cut_stream');
    expect([cut.status, cut.end]).toEqual([200, 'reset']);
    const broken = await ask('fault=malformed_json');
    expect(Buffer.concat(whole.chunks).indexOf(Buffer.concat(broken.chunks))).toBe(0);
    expect((await ask('fault=missing_usage')).text).not.toContain('"usage"');
  });
});

test.each([
  ['/v1/images/generations', { model: 'm' }, 'prompt'],
  ['/v1/images/generations', { model: 'm', prompt: 'a', quality: 'best' }, 'quality'],
  ['/v1/images/generations', { model: 'm', prompt: 'a', n: 11 }, 'n'],
  ['/v1/audio/speech', { model: 'm', input: 'a' }, 'voice'],
  ['/v1/audio/speech', { model: 'm', input: 5, voice: 'v' }, 'input'],
  ['/v1/moderations', { input: [5] }, 'input'],
  ['/v1/rerank', { model: 'm', query: 'a' }, 'documents'],
])('%s refuses %j', async (path, body, param) => {
  const { status, text } = await call(running.url + path, body);
  expect([status, JSON.parse(text).error.param]).toEqual([400, param]);
});

test.each([
  ['no file', formOf(field('model', 'm')), 400],
  ['no form', '--c', 400],
  ['another model', formOf(field('model', 'x'), sound), 404],
])('a transcript of %s is refused', async (_, body, status) => {
  expect((await call(`${running.url}/v1/audio/transcriptions`, body, type)).status).toBe(status);
});

test('unknown files, and invalid methods and uploads', async () => {
  for (const path of ['/v1/files/file-1', '/v1/files/file-1/content'])
    expect((await call(running.url + path, undefined)).status).toBe(404);
  expect((await call(`${running.url}/v1/files/file-1`, {})).status).toBe(405);
  expect(JSON.parse((await call(`${running.url}/v1/files`, undefined)).text)).toMatchObject({ data: [] });
  const upload = (...fields: string[]) => call(`${running.url}/v1/files`, formOf(...fields), type);
  expect((await upload(field('purpose', 'batch'))).status).toBe(400);
  expect((await upload(sound)).status).toBe(400);
  expect((await upload(sound, field('purpose', 'batch'))).status).toBe(200);
});
