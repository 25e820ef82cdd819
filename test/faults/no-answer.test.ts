/** Providers that say no, and chains in which nobody answers. */
import { describe, expect, test } from 'vitest';
import { chainConfig, labelOf, metricIn, startChain } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { wires } from '../support/replies.ts';
import { askBySdk, streamBySdk } from '../support/sdk.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { silenceMs, standingTime } from '../support/time.ts';
import { answers, refuses, resets, startUpstream } from '../support/upstream.ts';

/** A base URL where nobody listens. */
async function deadUrl(): Promise<string> {
  const upstream = await startUpstream();
  await upstream.close();
  return upstream.baseUrl;
}

const patient = { breaker: { failures: 1000 } };

describe.each(wires)('$name', (wire) => {
  test('row 25: one 503 that names all that was tried, in time', async () => {
    const broken = wire.error(500, 'Internal error');
    const time = standingTime();
    const chain = await startChain(
      wire,
      [[time.silent], [refuses(broken)], [resets]],
      { attempt: { firstTokenTimeoutMs: silenceMs, replyTimeoutMs: silenceMs, retriesMax: 1, ...patient } },
      time.world,
    );
    for (const stream of [true, false]) {
      // The deadline never comes: nothing may wait for it.
      const { status, headers, text } = await chain.ask({ stream }, { 'x-sidegate-timeout': '10000' });
      expect(status).toBe(503);
      expect(headers['x-should-retry']).toBe('false');
      expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1);
      expect(Number(headers['retry-after-ms'])).toBeGreaterThanOrEqual(1);
      const error = wire.errorOf(text);
      expect(error).toMatchObject({
        code: 'targets_down',
        type: wire.name === 'openai' ? 'api_error' : 'overloaded_error',
      });
      const late = stream ? 'first_token_timeout' : 'reply_timeout';
      const tried = [`${labelOf(0)}: ${late}`, `${labelOf(1)}: status 500`, `${labelOf(2)}: reset`];
      for (const step of tried) expect(error?.message).toContain(step);
    }
    const [first] = chain.records();
    expect(first).toMatchObject({ status: 503, error: 'targets_down', attempts: 5 });
  });

  test('row 25: nobody listens at any address', async () => {
    const urls = [await deadUrl(), await deadUrl()];
    const sidecar = await startTestSidecar(chainConfig(wire, urls, { attempt: patient }));
    const { status, text } = await ask(sidecar.url, wire.path, { body: wire.request('Hi') });
    await sidecar.stop();
    expect(status).toBe(503);
    expect(wire.errorOf(text)?.message).toContain(
      `Tried ${labelOf(0)}: connect ECONNREFUSED, ${labelOf(1)}: connect ECONNREFUSED.`,
    );
  });

  test('row 25: no retry storm: breakers open, and then nobody is called', async () => {
    const attempt = { retriesMax: 1, breaker: { failures: 3, cooldownMs: 60_000 } };
    const chain = await startChain(wire, [[resets], [refuses(wire.error(503, 'Busy'))]], { attempt });
    const statuses = new Set<number>();
    for (let i = 0; i < 20; i++) statuses.add((await chain.ask()).status);
    expect([...statuses]).toEqual([503]);
    expect(chain.first.calls).toHaveLength(3);
    expect(chain.second.calls).toHaveLength(3);
    const last = await chain.ask();
    expect(wire.errorOf(last.text)?.message).toContain(
      `${labelOf(0)}: breaker_open, ${labelOf(1)}: breaker_open`,
    );
    const waitMs = Number(last.headers['retry-after-ms']);
    expect(waitMs).toBeGreaterThan(30_000);
    expect(waitMs).toBeLessThanOrEqual(60_000);
    expect(chain.records().at(-1)).toMatchObject({ attempts: 0, error: 'targets_down' });
    const calls = { target: labelOf(0), outcome: 'reset' };
    expect(metricIn(await chain.metrics(), 'sidegate_upstream_calls_total', calls)).toBe(3);
  });

  test('row 25: many at once do not multiply: at most one call each, besides the retry', async () => {
    const attempt = { retriesMax: 1, breaker: { failures: 5, cooldownMs: 60_000 } };
    const chain = await startChain(wire, [[refuses(wire.error(500, 'Broken'))]], { attempt });
    const replies = await Promise.all(Array.from({ length: 30 }, () => chain.ask()));
    expect(replies.every(({ status }) => status === 503)).toBe(true);
    expect(chain.first.calls.length).toBeLessThanOrEqual(60);
    const before = chain.first.calls.length;
    await chain.ask();
    expect(chain.first.calls).toHaveLength(before);
  });

  test("row 25: the SDK's own retries stay out of it", async () => {
    const chain = await startChain(wire, [[refuses(wire.error(500, 'Broken'))]], { attempt: patient });
    const { error } = await askBySdk(wire, chain.url, { retriesMax: 2 });
    expect(error).toMatchObject({ status: 503 });
    expect((await streamBySdk(wire, chain.url, { retriesMax: 2 })).error).toMatchObject({ status: 503 });
    expect(chain.records()).toHaveLength(2);
    expect(chain.first.calls).toHaveLength(2);
  });

  for (const status of [400, 404, 413, 422]) {
    test(`row 26: a ${status} is passed on as it is, without retry, fallback or a breaker's failure`, async () => {
      const refusal = wire.error(status, 'This is your own doing: “quoted” \u00e9');
      const chain = await startChain(wire, [[refuses(refusal)], [answers(wire, 'Never')]], {
        attempt: { retriesMax: 2 },
      });
      for (const stream of [false, true]) {
        const reply = await chain.ask({ stream });
        expect(reply.status).toBe(status);
        expect(reply.text).toBe(refusal.body);
        expect(reply.headers['content-type']).toBe(refusal.headers['content-type']);
        expect(reply.headers['x-request-id']).toMatch(/^req_/);
        expect(reply.headers['x-sidegate-target']).toBe(labelOf(0));
      }
      expect(chain.first.calls).toHaveLength(2);
      expect(chain.second.calls).toHaveLength(0);
      expect(await chain.breaker()).toBe('closed');
      expect(chain.records()[0]).toMatchObject({
        status,
        error: '',
        attempts: 1,
        inputTokens: 0,
        outputTokens: 0,
      });
    });
  }

  test("row 26: the SDK sees the provider's own error", async () => {
    const refusal = wire.error(400, 'max_tokens is too large');
    const chain = await startChain(wire, [[refuses(refusal)]]);
    const { error } = await askBySdk(wire, chain.url, { retriesMax: 2 });
    expect(error).toMatchObject({ status: 400 });
    expect(error?.message).toContain('max_tokens is too large');
    expect(chain.first.calls).toHaveLength(1);
  });

  for (const status of [401, 403]) {
    const refusal = wire.error(status, 'Incorrect API key provided: provider-key.');

    test(`row 26: a ${status} on the gateway's credential lets it rest, and the next target answers`, async () => {
      const chain = await startChain(wire, [[refuses(refusal)], [answers(wire, 'Good')]], {
        attempt: { retriesMax: 2 },
      });
      for (let i = 0; i < 3; i++) expect((await chain.ask()).text).toContain('Good');
      expect(chain.first.calls).toHaveLength(1);
      expect(await chain.breaker()).toBe('closed');
      expect(chain.records()[0]?.tried).toBe(`${labelOf(0)}: credential, ${labelOf(1)}: ok`);
      const lines = chain
        .logText()
        .split('\n')
        .filter((line) => line.includes('"provider":"first"'));
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 50, provider: 'first', status });
    });

    test(`row 26: a ${status} with no other target is a 502 that says so, without the key`, async () => {
      const chain = await startChain(wire, [[refuses(refusal)]]);
      for (let i = 0; i < 2; i++) {
        const reply = await chain.ask();
        expect(reply.status).toBe(502);
        expect(wire.errorOf(reply.text)).toMatchObject({ code: 'upstream_credential' });
        expect(reply.headers['x-should-retry']).toBe('false');
        expect(reply.text).toContain(labelOf(0));
        expect(reply.text).not.toContain('provider-key');
      }
      expect(chain.first.calls).toHaveLength(1);
      expect(chain.logText()).not.toContain('provider-key');
      expect(await chain.metrics()).not.toContain('provider-key');
    });

    test(`row 26: a ${status} on the client's own credential is passed on, and nothing rests`, async () => {
      const own = await startUpstream(refuses(refusal));
      const settings = chainConfig(wire, [own.baseUrl]);
      const sidecar = await startTestSidecar({
        ...settings,
        providers: { first: { dialect: wire.name, baseUrl: own.baseUrl, credential: 'client' } },
      });
      for (let i = 0; i < 2; i++) {
        const headers = { authorization: 'Bearer own-key' };
        const reply = await ask(sidecar.url, wire.path, { body: wire.request('Hi'), headers });
        expect(reply).toMatchObject({ status, text: refusal.body });
      }
      await sidecar.stop();
      await own.close();
      expect(own.calls).toHaveLength(2);
      const [call] = own.calls;
      expect(wire.name === 'openai' ? call?.headers.authorization : call?.headers['x-api-key']).toBe(
        wire.name === 'openai' ? 'Bearer own-key' : 'own-key',
      );
      expect(sidecar.logText()).not.toContain('own-key');
    });
  }
});
