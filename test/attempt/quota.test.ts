/** Upstream limits of providers and targets: checked before a call, settled with what was used. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { ask } from '../support/client.ts';
import { statedUsage, wires } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, refuses, type Script, startUpstream } from '../support/upstream.ts';

type Limits = { requestsPerMinute?: number; tokensPerMinute?: number };

describe.each(wires)('$name', (wire) => {
  const good = answers(wire, 'good');

  async function start(limits: { provider?: Limits; target?: Limits }, script: Script = good) {
    const time = { nowMs: 0 };
    const [own, spare] = await Promise.all([startUpstream(script), startUpstream(good)]);
    const input = ({ provider, target }: typeof limits): ConfigInput => ({
      authenticate: { anonymousTenant: 'test' },
      cache: { enabled: false },
      providers: {
        own: { dialect: wire.name, baseUrl: own.baseUrl, ...(provider && { limits: provider }) },
        spare: { dialect: wire.name, baseUrl: spare.baseUrl },
      },
      routes: [
        {
          model: 'one',
          targets: [{ provider: 'own', ...(target && { limits: target }) }, { provider: 'spare' }],
        },
        { model: 'two', targets: [{ provider: 'own' }, { provider: 'spare' }] },
      ],
      attempt: { retriesMax: 0, breaker: { failures: 1000 } },
    });
    const sidecar = await startTestSidecar(input(limits), { clock: () => time.nowMs });
    onTestFinished(async () => {
      await sidecar.stop();
      await Promise.all([own.close(), spare.close()]);
    });
    /** Which providers answered so many requests. */
    const answered = async (
      count: number,
      model = 'one',
      more: Record<string, unknown> = {},
    ): Promise<string> => {
      let who = '';
      for (let i = 0; i < count; i++) {
        const { headers } = await ask(sidecar.url, wire.path, {
          body: { ...wire.request('hi', more), model },
        });
        who += String(headers['x-sidegate-target'])[0];
      }
      return who;
    };
    const reload = (next: typeof limits): Promise<unknown> =>
      sidecar.sidecar.reload(configSchema.parse(input(next)));
    return { time, sidecar, answered, reload };
  }

  test('requests of a target: the next target is tried while there is no room', async () => {
    const { time, sidecar, answered } = await start({ target: { requestsPerMinute: 3 } });
    expect(await answered(5)).toBe('ooo' + 'ss');
    expect(sidecar.records().at(-1)?.tried).toBe('own/one: own_limit, spare/one: ok');
    expect(await answered(2, 'two')).toBe('oo');
    time.nowMs = 20_000;
    expect(await answered(2)).toBe('os');
  });

  test('requests of a provider are limited across all of its targets', async () => {
    const { answered } = await start({
      provider: { requestsPerMinute: 3 },
      target: { requestsPerMinute: 2 },
    });
    expect(await answered(3)).toBe('oos');
    expect(await answered(2, 'two')).toBe('os');
  });

  test('what a target refuses takes nothing from its provider', async () => {
    const { answered } = await start({
      provider: { requestsPerMinute: 3 },
      target: { requestsPerMinute: 1 },
    });
    expect(await answered(4)).toBe('osss');
    expect(await answered(3, 'two')).toBe('oos');
  });

  test('tokens: reserved by estimate, settled with what the reply states', async () => {
    const used = statedUsage.inputTokens + statedUsage.outputTokens;
    const { answered } = await start({ target: { tokensPerMinute: 4 * used } });
    // The reserve of 1024 tokens for the reply is capped at what the bucket holds, and given back.
    expect(await answered(2, 'one', { max_tokens: 2 * used })).toBe('oo');
    expect(await answered(1, 'one', { max_tokens: 4 * used })).toBe('s');
    expect(await answered(1, 'one', { max_tokens: used })).toBe('o');
  });

  test('tokens of failed calls are returned', async () => {
    const { answered } = await start({ target: { tokensPerMinute: 5000 } }, refuses(wire.error(500, 'x')));
    expect(await answered(3)).toBe('sss');
  });

  test('without another target, retry-after says when there is room', async () => {
    const { sidecar, time } = await start({ provider: { requestsPerMinute: 1 } });
    time.nowMs = 1;
    await sidecar.sidecar.reload(
      configSchema.parse({
        authenticate: { anonymousTenant: 'test' },
        cache: { enabled: false },
        providers: {
          own: { dialect: wire.name, baseUrl: 'http://127.0.0.1:9/v1', limits: { requestsPerMinute: 1 } },
        },
        routes: [{ model: 'one', targets: [{ provider: 'own' }] }],
      }),
    );
    const post = () => ask(sidecar.url, wire.path, { body: { ...wire.request('hi'), model: 'one' } });
    await post();
    const { status, headers, text } = await post();
    expect([status, headers['retry-after-ms']]).toEqual([503, '60000']);
    expect(wire.errorOf(text)?.message).toContain('own/one: own_limit');
  });

  test('a reload that doesn’t change them keeps what was taken', async () => {
    const { answered, reload } = await start({ target: { requestsPerMinute: 2 } });
    expect(await answered(2)).toBe('oo');
    await reload({ target: { requestsPerMinute: 2 } });
    expect(await answered(1)).toBe('s');
    await reload({});
    expect(await answered(5)).toBe('ooooo');
  });

  test('one that changes them keeps what was taken of those that stay', async () => {
    const { answered, reload } = await start({ target: { requestsPerMinute: 2 } });
    expect(await answered(2)).toBe('oo');
    await reload({ target: { requestsPerMinute: 3 } });
    expect(await answered(2)).toBe('os');
    await reload({ target: { requestsPerMinute: 3, tokensPerMinute: 1_000_000 } });
    expect(await answered(1)).toBe('s');
    await reload({ target: { requestsPerMinute: 1, tokensPerMinute: 1_000_000 } });
    expect(await answered(1)).toBe('s');
    await reload({ target: { tokensPerMinute: 1_000_000 } });
    expect(await answered(5)).toBe('ooooo');
  });
});
