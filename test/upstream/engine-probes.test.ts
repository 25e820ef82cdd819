/** Probes of self-hosted engines: their metrics, their health, and the simulator in their place. */
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type EngineName, engineKinds, engineNames } from '../../src/catalog/engines.ts';
import { startSimulator } from '../../src/simulate/server.ts';
import { simulateSchema } from '../../src/simulate/settings.ts';
import { createEngine, isDown } from '../../src/upstream/engine.ts';
import { readGauges } from '../../src/upstream/metrics-text.ts';
import { startProbe } from '../../src/upstream/probe.ts';
import { engineServer, probe } from '../support/engine.ts';
import { openaiWire } from '../support/replies.ts';
import { startUpstream } from '../support/upstream.ts';

describe("an engine's metrics", () => {
  const read = (text: string, ...names: string[]): Record<string, number> =>
    Object.fromEntries(readGauges(Buffer.from(text), new Set(names)));

  test('are the named gauges, over all their series', () => {
    const text = [
      '# HELP vllm:num_requests_waiting Number of requests waiting.',
      '# TYPE vllm:num_requests_waiting gauge',
      'vllm:num_requests_waiting{engine="0",model_name="a } b"} 3.0',
      'vllm:num_requests_waiting{engine="1",model_name="x"} 4 1700000000000',
      'vllm:num_requests_waiting_total 99',
      'plain 7\r',
      'tabbed\t8',
      'spaced { a="b" } 1e1',
    ].join('\n');
    expect(read(text, 'vllm:num_requests_waiting', 'plain', 'tabbed', 'spaced')).toEqual({
      'vllm:num_requests_waiting': 7,
      plain: 7,
      tabbed: 8,
      spaced: 10,
    });
  });

  test('for a share the largest series is used', () => {
    const names = new Set(['use']);
    expect(readGauges(Buffer.from('use{e="0"} 0.2\nuse{e="1"} 0.9\nuse{e="2"} 0.5'), names, names)).toEqual(
      new Map([['use', 0.9]]),
    );
  });

  test('values that are not numbers, or negative, are skipped', () => {
    expect(read('a NaN\nb +Inf\nc -1\nd\ne{\nf} 1\ng{x="1"}', ...'abcdefg')).toEqual({});
  });

  test('no text makes the reader fail', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.string(), (bytes, text) => {
        readGauges(
          Buffer.concat([Buffer.from('a{'), bytes, Buffer.from(`${text}\na 1`)]),
          new Set(['a', 'b']),
        );
      }),
    );
  });
});

describe('probes', () => {
  function watch(kind: EngineName, baseUrl: string, timeoutMs = 60_000) {
    const engine = createEngine(kind, { ...probe, timeoutMs });
    const changes: boolean[] = [];
    const running = startProbe(engine, baseUrl, ['authorization', 'Bearer k'], {
      clock: () => 1234,
      random: () => 0.5,
      reach: { proxy: null, tls: undefined },
      onChange: (down) => void changes.push(down),
    });
    onTestFinished(() => running.stop());
    return { engine, changes, look: running.now };
  }

  test.each(engineNames)('%s: its health, and its numbers where it has some', async (kind) => {
    const { healthPath, metrics } = engineKinds[kind];
    const text = Object.values(metrics?.names ?? {})
      .flatMap((names, index) =>
        names.slice(0, 1).map((name: string) => `${name}{m="a"} ${(index + 1) / 4}\n`),
      )
      .join('');
    const server = await engineServer({ [healthPath]: 200, ...(metrics && { [metrics.path]: text }) });
    const { engine, look } = watch(kind, server.baseUrl);
    await look();
    expect(isDown(engine)).toBe(false);
    expect(engine.seenMs).toBe(metrics === null ? Number.NEGATIVE_INFINITY : 1234);
    const cacheUse = metrics === null || metrics.names.cacheUse.length === 0 ? 0 : 0.75;
    expect(engine).toMatchObject(
      metrics === null ? { waiting: 0 } : { waiting: 0.25, running: 0.5, cacheUse },
    );
    expect(new Set(server.calls.map(({ path }) => path))).toEqual(
      new Set(metrics === null ? [healthPath] : [healthPath, metrics.path]),
    );
    expect(server.calls[0]?.headers.authorization).toBe('Bearer k');
  });

  test('paths start at the root of the server, not at /v1', async () => {
    const server = await engineServer({ '/llama/health': 200 });
    const { look } = watch('vllm', server.baseUrl.replace('/v1', '/llama/v1/'));
    await look();
    expect(server.calls[0]?.path).toBe('/llama/health');
  });

  test('the older name of vLLM’s cache metric is read too', async () => {
    const text = 'vllm:num_requests_waiting 1\nvllm:num_requests_running 2\nvllm:gpu_cache_usage_perc 0.5\n';
    const server = await engineServer({ '/health': 200, '/metrics': text });
    const { engine, look } = watch('vllm', server.baseUrl);
    await look();
    expect(engine).toMatchObject({ waiting: 1, running: 2, cacheUse: 0.5 });
  });

  test('a page without the gauges changes nothing', async () => {
    const server = await engineServer({ '/health': 200, '/metrics': 'vllm:num_requests_waiting 1\n<html>' });
    const { engine, look } = watch('vllm', server.baseUrl);
    await look();
    expect(engine.seenMs).toBe(Number.NEGATIVE_INFINITY);
    expect(isDown(engine)).toBe(false);
  });

  test('two failures take it down, one answer brings it back; each change is reported once', async () => {
    const pages: Record<string, number | string> = { '/health': 503 };
    const server = await engineServer(pages);
    const { engine, changes, look } = watch('vllm', server.baseUrl);
    for (let i = 0; i < 4; i++) await look();
    expect(isDown(engine)).toBe(true);
    pages['/health'] = 404;
    await look();
    await look();
    expect(isDown(engine)).toBe(false);
    expect(changes).toEqual([true, false]);
  });

  test('silence, a reset, no server and an endless page do no harm beyond a failure', async () => {
    const silent = await engineServer({ '/health': 0 });
    const none = await engineServer({});
    await none.close();
    const reset = await startUpstream((call) => call.reset());
    const endless = await startUpstream(async (call) => {
      call.head(200);
      await call.flood(Buffer.alloc(64 * 1024, 'a'), 200);
    });
    onTestFinished(async () => {
      await reset.close();
      await endless.close();
    });
    for (const { baseUrl } of [silent, none, reset, endless]) {
      const { engine, look } = watch('vllm', baseUrl, 100);
      await look();
      await look();
      expect(isDown(engine)).toBe(true);
      expect(engine.seenMs).toBe(Number.NEGATIVE_INFINITY);
    }
  });
});

describe('the simulator', () => {
  async function simulated(engine: object, ttftMs = 0): Promise<string> {
    const running = await startSimulator(simulateSchema.parse({ engine, ttftMs }), '127.0.0.1', 0);
    onTestFinished(() => running.close());
    return running.url;
  }
  const page = async (url: string): Promise<string> => (await fetch(url)).text();

  test.each(engineNames)('%s: has the paths and names of its kind', async (kind) => {
    const url = await simulated({ kind, running: 3, waiting: 2, cacheUse: 0.5 });
    const engine = createEngine(kind, probe);
    const watched = startProbe(engine, `${url}/v1`, [], {
      clock: () => 1,
      random: () => 0,
      reach: { proxy: null, tls: undefined },
      onChange: () => {},
    });
    onTestFinished(() => watched.stop());
    await watched.now();
    expect(engine.failures).toBe(0);
    const { metrics } = engineKinds[kind];
    const cacheUse = metrics === null || metrics.names.cacheUse.length === 0 ? 0 : 0.5;
    if (metrics !== null) expect(engine).toMatchObject({ running: 3, waiting: 2, cacheUse });
  });

  test('its metrics follow its load', async () => {
    const url = await simulated({ slots: 2 }, 60_000);
    const calls = new AbortController();
    for (let i = 0; i < 3; i++)
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        body: JSON.stringify(openaiWire.request('Hi')),
        signal: calls.signal,
      }).catch(() => {});
    const numbers = async () =>
      Object.fromEntries(
        (await page(`${url}/metrics`))
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith('#'))
          .map((line) => [line.slice(0, line.indexOf('{')), Number(line.split(' ')[1])]),
      );
    while ((await numbers())['vllm:num_requests_waiting'] !== 1) await new Promise(setImmediate);
    expect(await numbers()).toEqual({
      'vllm:num_requests_waiting': 1,
      'vllm:num_requests_running': 2,
      'vllm:kv_cache_usage_perc': 1,
    });
    calls.abort();
    while ((await numbers())['vllm:num_requests_running'] !== 0) await new Promise(setImmediate);
  });

  test('can be set to unhealthy', async () => {
    const url = await simulated({ healthy: false });
    expect((await fetch(`${url}/health`)).status).toBe(503);
  });
});
