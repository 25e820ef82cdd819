/** Row 23: the event loop stands still for two seconds, for real, in the program's own process. */
import { describe, expect, test } from 'vitest';
import { type ProcessChain, spawnChain } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import type { Script } from '../support/upstream.ts';

const preload = { NODE_OPTIONS: `--import=${new URL('../support/stall.ts', import.meta.url).href}` };

/** Every upstream timer ends within the stall of 2 s, and leaves a busy machine time to begin it. */
const timerMs = 1800;
const timers = {
  firstTokenTimeoutMs: timerMs,
  idleTimeoutMs: timerMs,
  replyTimeoutMs: timerMs,
  connectTimeoutMs: timerMs,
};

const start = (wire: Wire, more: ConfigInput = {}, scripts: Script[] = []): Promise<ProcessChain> =>
  spawnChain(wire, [scripts], { attempt: timers, ...more }, preload);

/** Makes the program stand still; resolves once it does. */
async function stall(chain: ProcessChain): Promise<void> {
  chain.child.kill('SIGUSR2');
  await chain.outputMatching(/stall begins/);
}

describe.each(wires)('$name', (wire) => {
  test('row 23: what a provider sends in time meanwhile is no timeout: idle, first token and whole reply', async () => {
    const chain = await start(wire);
    const coming = chain.stream();
    const flowing = await chain.first.call(0);
    flowing.streamHead();
    flowing.write(wire.opening + wire.text('Hello'));
    const reply = await coming;
    await reply.sees('Hello');
    const waiting = chain.stream();
    const first = await chain.first.call(1);
    const whole = chain.send();
    const wholeCall = await chain.first.call(2);
    await stall(chain);

    flowing.write(wire.text(' again'));
    first.streamHead();
    first.write(wire.opening + wire.text('In time'));
    wholeCall.whole(200, { 'content-type': 'application/json' }, wire.whole('In time'));
    await chain.outputMatching(/stall ends/);

    await reply.sees(' again');
    flowing.end(wire.finish() + wire.end);
    expect(wire.textOf(await reply.all())).toBe('Hello again');
    const second = await waiting;
    first.end(wire.finish() + wire.end);
    expect(wire.textOf(await second.all())).toBe('In time');
    expect(await (await whole.reply).all()).toContain('In time');
    expect(chain.first.calls).toHaveLength(3);
    const metrics = await (await fetch(`${chain.adminUrl}/metrics`)).text();
    expect(metrics).not.toMatch(/sidegate_upstream_calls_total\{[^}]*outcome="\w*(timeout|deadline)/);
  });

  test('row 23: a provider that goes on being silent is still given up', async () => {
    const chain = await start(wire);
    const sent = chain.send({ stream: true });
    await chain.first.call(0);
    await stall(chain);
    const reply = await sent.reply;
    expect(reply.status).toBe(504);
    expect(wire.errorOf(await reply.all())).toMatchObject({ code: 'upstream_timeout' });
  });

  test('row 23: afterwards load is shed, not queued without end', async () => {
    // The provider may hold what it has for as long as it likes.
    const chain = await start(wire, { listen: { inFlightMax: 4 }, attempt: {} });
    await stall(chain);
    const sent = Array.from({ length: 40 }, () => chain.send());
    await chain.outputMatching(/stall ends/);
    // While four are held by the provider, all others have their answer.
    await new Promise<void>((resolve) => {
      let left = 36;
      for (const { reply } of sent) void reply.then(() => --left === 0 && resolve());
    });
    await chain.first.call(3);
    expect(chain.first.calls).toHaveLength(4);
    for (const call of chain.first.calls) {
      call.whole(200, { 'content-type': 'application/json' }, wire.whole('Served'));
    }
    const replies = await Promise.all(sent.map(({ reply }) => reply));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(4);
    const shed = replies.filter(({ status }) => status === 503);
    expect(shed).toHaveLength(36);
    for (const reply of shed) {
      expect(wire.errorOf(await reply.all())).toMatchObject({ code: 'overloaded' });
      expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1);
      expect(reply.headers['x-request-id']).toMatch(/^req_/);
    }
    // Room again at once: nothing that was refused is still held.
    const again = chain.send();
    (await chain.first.call(4)).whole(200, { 'content-type': 'application/json' }, wire.whole('Fresh'));
    expect((await again.reply).status).toBe(200);
    expect((await ask(chain.adminUrl, '/readyz', { method: 'GET' })).status).toBe(200);
  });
});
