/** Requests that must not run twice: they go on only where nothing has run. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { chainConfig, startChain } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { testModel, wires } from '../support/replies.ts';
import { startTestSidecar } from '../support/sidecar.ts';
import { answers, type Call, refuses, type Script, startUpstream } from '../support/upstream.ts';

describe.each(wires)('$name', (wire) => {
  const good = answers(wire, 'good');
  const tools =
    wire.name === 'openai'
      ? { web_search_options: {} }
      : { tools: [{ type: 'web_search_20250305', name: 'web_search' }] };
  const tooLong = wire.error(400, 'prompt is too long: maximum context length is 5 tokens');

  test.each<[string, Script, object]>([
    ['a limit', refuses(wire.error(429, 'later')), {}],
    ['a wrong key', refuses(wire.error(401, 'no')), {}],
    ['a key that may not', refuses(wire.error(403, 'no')), {}],
    ['no credit', refuses(wire.error(402, 'no')), {}],
    ['too long a prompt', refuses(tooLong), { on: ['context_window'] }],
  ])('a request with server tools goes on after %s, which ran none', async (_, script, edge) => {
    const targets = [{ provider: 'first' }, { provider: 'second', ...edge }];
    const chain = await startChain(wire, [[script], [good]], { routes: [{ model: testModel, targets }] });
    expect((await chain.ask(tools)).status).toBe(200);
    expect([chain.first.calls.length, chain.second.calls.length]).toEqual([1, 1]);
  });

  test('a request with server tools goes on where there is no connection', async () => {
    const gone = await startUpstream();
    await gone.close();
    const upstream = await startUpstream(good);
    const sidecar = await startTestSidecar(chainConfig(wire, [gone.baseUrl, upstream.baseUrl]));
    onTestFinished(async () => {
      await sidecar.stop();
      await upstream.close();
    });
    expect((await ask(sidecar.url, wire.path, { body: wire.request('Hi', tools) })).status).toBe(200);
  });

  test.each<[string, (call: Call) => unknown]>([
    ['a failure', refuses(wire.error(500, 'broken'))],
    ['an overload', refuses(wire.error(529, 'full'))],
    ['a reset', (call) => call.reset()],
    ['an answer cut short', (call) => call.cut()],
    ['silence', () => {}],
  ])('a request with server tools ends with %s, as they may have run', async (_, script) => {
    const attempt = { retriesMax: 2, replyTimeoutMs: 60 };
    const chain = await startChain(wire, [[script], [good]], { attempt });
    expect((await chain.ask(tools)).status).toBeGreaterThanOrEqual(502);
    expect([chain.first.calls.length, chain.second.calls.length]).toEqual([1, 0]);
  });
});
