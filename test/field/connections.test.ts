/** Calls never wait unseen for a connection: issue 22, item 16. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { spawnChain } from '../support/chain.ts';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

async function start(
  attempt: ConfigInput['attempt'],
  targets: readonly string[] = ['one'],
  more: ConfigInput = {},
) {
  const [one, two] = await Promise.all([startUpstream(), startUpstream(answers(openaiWire, 'two'))]);
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: {
      one: { dialect: 'openai', baseUrl: one.baseUrl },
      two: { dialect: 'openai', baseUrl: two.baseUrl },
    },
    routes: [{ model: '*', targets: targets.map((provider) => ({ provider })) }],
    attempt,
    ...more,
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all([one.close(), two.close()]);
  });
  const post = (model: string, stream = false) =>
    ask(sidecar.url, openaiWire.path, { body: openaiWire.request('hi', { model, stream }) });
  return { one, sidecar, post };
}

test.each([false, true])('1,000 calls that are admitted are sent at once (stream: %s)', async (stream) => {
  const { one, post } = await start({});
  const replies = Array.from({ length: 1000 }, (_, i) => post(`m${i}`, stream));
  // The last one arrives while all others are still unanswered.
  await one.call(999);
  for (const call of one.calls) answers(openaiWire, 'one')(call);
  for (const reply of await Promise.all(replies)) {
    expect([reply.status, reply.text.includes('one')]).toEqual([200, true]);
    expect(String(reply.headers['server-timing'])).not.toContain('queue');
  }
});

test("a wait for a limit's pace is told as such, and is none of the gateway's own time", async () => {
  const { one, post, sidecar } = await start({}, ['one'], {
    limits: [{ name: 'pace', algorithm: 'leaky_bucket', capacity: 3, refillPerSecond: 2 }],
  });
  one.answer(answers(openaiWire, 'one'));
  const replies = await Promise.all(['a', 'b', 'c'].map((model) => post(model)));
  const waits = replies.map(({ headers }) => /queue;dur=(\d+)/.exec(String(headers['server-timing']))?.[1]);
  const waited = waits.filter((ms) => ms !== undefined).map(Number);
  expect(waited.length).toBeGreaterThan(0);
  const told = sidecar.records().map(({ queuedMs }) => Math.floor(queuedMs));
  expect(told.filter((ms) => ms > 0).sort()).toEqual(waited.sort());
});

test('a lower limit passes calls over to the next target, or refuses them at once, and is counted', async () => {
  const both = await start({ connectionsMax: 1 }, ['one', 'two']);
  const held = both.post('a');
  const call = await both.one.call(0);
  const passed = await both.post('b');
  expect(passed.headers['x-sidegate-target']).toBe('two/b');
  expect(passed.headers['x-sidegate-passed-over']).toBe('one/b=connections');
  const alone = await start({ connectionsMax: 1 });
  const waits = alone.post('a');
  const other = await alone.one.call(0);
  const refused = await alone.post('b');
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
  expect(refused.text).toContain('one/b: connections');
  expect(await alone.sidecar.metrics()).toContain('sidegate_connections_refused_total{provider="one"} 1');
  for (const each of [call, other]) answers(openaiWire, 'one')(each);
  const [first, second] = [await held, await waits];
  expect([first.status, second.status]).toEqual([200, 200]);
  expect(first.headers['x-sidegate-passed-over']).toBeUndefined();
});

test('1,000 clients can connect while the process is busy', async () => {
  const { child, url } = await spawnChain(openaiWire, [[answers(openaiWire, 'one')]]);
  // The kernel alone takes connections of a process that is stopped: as many as the backlog holds.
  child.kill('SIGSTOP');
  onTestFinished(() => void child.kill('SIGCONT'));
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: 1000 }, () => connect(Number(port), hostname));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  child.kill('SIGCONT');
});
