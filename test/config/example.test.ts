/**
 * The worked example: tenant `acme` with a bucket of 100 refilled at 10 a second, a cost of one per 500
 * characters of prompt, and a breaker that opens after three failures for 30 s. Once by passed-in time, once as
 * the real program.
 */
import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { ask } from '../support/client.ts';
import { recordsIn } from '../support/log-line.ts';
import { keyed } from '../support/native-reference.ts';
import { type Wire, wires } from '../support/replies.ts';
import { spawnSidecar, startTestSidecar } from '../support/sidecar.ts';
import {
  answers,
  echoes,
  placeholders,
  refuses,
  type Script,
  startUpstream,
  type Upstream,
} from '../support/upstream.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const digestKey = 'key of the digests';
const address = 'alice.liddell@acme.example';

function exampleYaml(wire: Wire, main: Upstream, spare: Upstream): string {
  return `
listen: { port: 0 }
admin: { port: 0 }
authenticate:
  keys:
    - { id: acme-web, sha256: ${sha256('sk-acme')}, tenant: acme }
    - { id: beta-web, sha256: ${sha256('sk-beta')}, tenant: beta }
limits:
  - { name: acme-prompts, match: { tenant: acme }, unit: characters, unitSize: 500, capacity: 100, refillPerSecond: 10 }
scrub: { request: { email: tokenise } }
providers:
  main: { dialect: ${wire.name}, baseUrl: "${main.baseUrl}", apiKey: provider-key }
  spare: { dialect: ${wire.name}, baseUrl: "${spare.baseUrl}", apiKey: provider-key }
routes:
  - { model: alone, targets: [{ provider: main }] }
  - { model: safe, targets: [{ provider: main }, { provider: spare }] }
attempt:
  retriesMax: 0
  breaker: { failures: 3, cooldownMs: 30000 }
observe: { digestKey: ${digestKey} }
`;
}

const keyOf = (tenant: 'acme' | 'beta'): Record<string, string> => ({ authorization: `Bearer sk-${tenant}` });

/** Providers of the example: the main one under the test's hand, the spare one always well. */
async function providers(wire: Wire, ...scripts: Script[]): Promise<readonly [Upstream, Upstream]> {
  const [main, spare] = [
    await startUpstream(...scripts),
    await startUpstream(answers(wire, 'from the spare')),
  ];
  onTestFinished(async () => {
    await main.close();
    await spare.close();
  });
  return [main, spare];
}

const remaining = (headers: Readonly<Record<string, unknown>>): number =>
  Number(/;r=(\d+)/.exec(String(headers.ratelimit))?.[1]);

describe.each(wires)('$name, by passed-in time', (wire) => {
  async function start(...scripts: Script[]) {
    const time = { nowMs: 1_000_000 };
    const [main, spare] = await providers(wire, ...scripts);
    const sidecar = await startTestSidecar(
      { authenticate: {}, ...parse(exampleYaml(wire, main, spare)) },
      { clock: () => time.nowMs },
    );
    onTestFinished(() => sidecar.stop());
    const send = (prompt: string, more: object = {}, headers = keyOf('acme')) =>
      ask(sidecar.url, wire.path, { body: wire.request(prompt, { model: 'alone', ...more }), headers });
    return { time, main, spare, sidecar, send };
  }
  const good = answers(wire, 'fine');
  const broken = refuses(wire.error(500, 'broken'));

  test('one per 500 characters, from a bucket of 100', async () => {
    const { send } = await start(good);
    const levels: number[] = [];
    for (const length of [1, 500, 501, 10_000])
      levels.push(remaining((await send('é'.repeat(length))).headers));
    expect(levels).toEqual([99, 98, 96, 76]);
  });

  test('an empty bucket is 429 with a time, for this tenant alone, and refills at 10 a second', async () => {
    const { send, time, main } = await start(good);
    const half = 'x'.repeat(25_000);
    expect((await send(`${half}1`.slice(1))).status).toBe(200);
    expect((await send(`${half}2`.slice(1))).status).toBe(200);
    const refused = await send(half);
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBe('5');
    expect(refused.headers['retry-after-ms']).toBe('5000');
    expect(wire.errorOf(refused.text)).toMatchObject({ type: 'rate_limit_error', code: 'rate_limited' });
    expect((await send(half, {}, keyOf('beta'))).status).toBe(200);
    time.nowMs += 4_000;
    expect((await send(half)).headers['retry-after-ms']).toBe('1000');
    time.nowMs += 1_000;
    expect((await send(half)).status).toBe(200);
    expect(main.calls).toHaveLength(4);
    // A prompt of more than the bucket can hold never passes, and is told so.
    const never = await send('x'.repeat(50_001));
    expect(wire.errorOf(never.text)?.code).toBe('request_too_costly');
    expect(never.headers['x-should-retry']).toBe('false');
  });

  test('the breaker opens after 3 failures, for 30 s, then half-opens', async () => {
    const { send, time, main } = await start(broken, broken, broken, good);
    for (let i = 0; i < 3; i++) expect((await send(`try ${i}`)).status).toBe(503);
    const open = await send('while it is open');
    expect(open.status).toBe(503);
    expect(open.headers['retry-after']).toBe('30');
    expect(wire.errorOf(open.text)?.message).toContain('main/alone: breaker_open');
    time.nowMs += 29_999;
    expect((await send('a moment before')).status).toBe(503);
    expect(main.calls).toHaveLength(3);
    time.nowMs += 1;
    expect((await send('the probe')).status).toBe(200);
    expect((await send('closed again')).status).toBe(200);
    expect(main.calls).toHaveLength(5);
  });

  test('while it is open a route with a fallback answers from there', async () => {
    const { send, main, spare } = await start(broken);
    for (let i = 0; i < 5; i++) {
      const reply = await send(`try ${i}`, { model: 'safe' });
      expect(reply.text).toContain('from the spare');
      expect(reply.headers['x-sidegate-target']).toBe('spare/safe');
    }
    expect([main.calls.length, spare.calls.length]).toEqual([3, 5]);
  });

  test('an e-mail reaches neither provider nor log, and is back in the reply, streamed or not', async () => {
    const { send, main, sidecar } = await start(
      echoes(wire, (token) => [`I wrote to ${token.slice(0, 4)}`, `${token.slice(4)}.`]),
    );
    const prompt = `Write to ${address}.`;
    expect((await send(prompt)).text).toContain(`I wrote to ${address}.`);
    expect(wire.textOf((await send(prompt, { stream: true })).text)).toBe(`I wrote to ${address}.`);
    expect(main.calls).toHaveLength(2);
    for (const { body } of main.calls) {
      expect(body.toString()).toMatch(/Write to \[EMAIL_[0-9A-Z]{6}\]\./);
      expect(body.toString()).not.toContain('alice');
    }
    expect(sidecar.logText()).not.toContain('alice');
    expect(sidecar.records().map(({ scrubbed }) => scrubbed)).toEqual(['email=1', 'email=1']);
  });

  test('the same idempotency key twice is one upstream call', async () => {
    const { send, main } = await start(good);
    // The cache, which would answer as well, is passed by.
    const headers = { ...keyOf('acme'), 'idempotency-key': '9f0c', 'cache-control': 'no-store' };
    const [first, second] = [await send('once', {}, headers), await send('once', {}, headers)];
    expect(second.text).toBe(first.text);
    expect(second.headers['idempotent-replayed']).toBe('true');
    expect(main.calls).toHaveLength(1);
  });

  test('the record holds a keyed digest of the scrubbed request, before the dialect’s edits', async () => {
    const { send, main, sidecar } = await start(good);
    await send(`Write to ${address}.`);
    await send(`Write to ${address}.`, { stream: true });
    const [whole, stream] = main.calls.map(({ body }) => body.toString());
    const unedited = String(stream).replace('"stream_options":{"include_usage":true},', '');
    const hmac = (text: string): string => keyed(Buffer.from(digestKey), Buffer.from(text));
    expect(sidecar.records().map(({ digest }) => digest)).toEqual([hmac(String(whole)), hmac(unedited)]);
    expect(JSON.parse(unedited)).toEqual(
      wire.request(`Write to ${unedited.match(placeholders)?.[0]}.`, { model: 'alone', stream: true }),
    );
  });
});

test.each(wires)('the real program does all of it ($name)', async (wire) => {
  const [main, spare] = await providers(
    wire,
    echoes(wire, (token) => [`I wrote to ${token.slice(0, 4)}`, `${token.slice(4)}.`]),
  );
  const sidecar = await spawnSidecar(exampleYaml(wire, main, spare));
  onTestFinished(async () => {
    await sidecar.stop();
  });
  const send = (prompt: string, more: object = {}, headers: Record<string, string> = keyOf('acme')) =>
    ask(sidecar.url, wire.path, { body: wire.request(prompt, { model: 'alone', ...more }), headers });

  // Scrubbed and restored, one call for one key.
  const headers = { ...keyOf('acme'), 'idempotency-key': 'k-1' };
  const first = await send(`Write to ${address}.`, {}, headers);
  expect(first.text).toContain(`I wrote to ${address}.`);
  expect((await send(`Write to ${address}.`, {}, headers)).text).toBe(first.text);
  expect(wire.textOf((await send(`Write to ${address}.`, { stream: true })).text)).toBe(
    `I wrote to ${address}.`,
  );
  expect(main.calls).toHaveLength(2);
  expect(main.calls.map(({ body }) => body.toString()).join()).not.toContain('alice');

  // The breaker: 503 alone, the fallback where there is one.
  main.answer(refuses(wire.error(500, 'broken')));
  for (let i = 0; i < 4; i++) expect((await send(`try ${i}`)).status).toBe(503);
  expect(main.calls).toHaveLength(5);
  const open = await send('while it is open');
  expect(Number(open.headers['retry-after'])).toBeGreaterThan(25);
  expect(Number(open.headers['retry-after'])).toBeLessThanOrEqual(30);
  for (let i = 0; i < 4; i++)
    expect((await send(`try ${i}`, { model: 'safe' })).text).toContain('from the spare');
  expect(main.calls).toHaveLength(8);

  // The bucket: 11 are gone, so there are 80 once but not twice, whatever real time has refilled meanwhile.
  const whole = 'x'.repeat(40_000);
  expect((await send(whole, { model: 'safe' })).status).toBe(200);
  const refused = await send(`y${whole.slice(1)}`, { model: 'safe' });
  expect(refused.status).toBe(429);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(2);
  expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(8);
  expect((await send(whole, { model: 'safe' }, keyOf('beta'))).status).toBe(200);

  // The log: every request, the digest of what left, and nothing of the prompt.
  expect(await sidecar.stop()).toBe(0);
  const records = recordsIn(sidecar.output());
  expect(records).toHaveLength(15);
  expect(records[0]).toMatchObject({ tenant: 'acme', keyId: 'acme-web', scrubbed: 'email=1', status: 200 });
  const hmac = keyed(Buffer.from(digestKey), main.calls[0]?.body ?? Buffer.alloc(0));
  expect(records[0]?.digest).toBe(hmac);
  expect(records[1]).toMatchObject({ replayed: true, attempts: 0, digest: hmac });
  expect(sidecar.output()).not.toMatch(/alice|sk-acme|provider-key|xxxx/);
});
