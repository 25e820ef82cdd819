/** Calls never wait unseen for a connection: issue 22, item 16. */
import { expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, startUpstream } from '../support/upstream.ts';

async function start(attempt: ConfigInput['attempt'], targets: readonly string[] = ['one']) {
  const [one, two] = await Promise.all([startUpstream(), startUpstream(answers(openaiWire, 'two'))]);
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    providers: {
      one: { dialect: 'openai', baseUrl: one.baseUrl },
      two: { dialect: 'openai', baseUrl: two.baseUrl },
    },
    routes: [{ model: '*', targets: targets.map((provider) => ({ provider })) }],
    attempt,
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all([one.close(), two.close()]);
  });
  const post = (model: string) =>
    ask(sidecar.url, openaiWire.path, { body: { ...openaiWire.request('hi'), model } });
  return { one, sidecar, post };
}

test('all that is admitted is sent at once', async () => {
  const { one, post } = await start({});
  const replies = Array.from({ length: 300 }, (_, i) => post(`m${i}`));
  // The last one arrives while all others are still unanswered.
  await one.call(299);
  for (const call of one.calls) answers(openaiWire, 'one')(call);
  for (const reply of await Promise.all(replies)) expect(reply.status).toBe(200);
});

test('a lower limit passes calls over to the next target, or refuses them at once, and is counted', async () => {
  const both = await start({ connectionsMax: 1 }, ['one', 'two']);
  const held = both.post('a');
  const call = await both.one.call(0);
  expect((await both.post('b')).headers['x-sidegate-target']).toBe('two/b');
  const alone = await start({ connectionsMax: 1 });
  const waits = alone.post('a');
  const other = await alone.one.call(0);
  const refused = await alone.post('b');
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
  expect(refused.text).toContain('one/b: connections');
  expect(await alone.sidecar.metrics()).toContain('sidegate_connections_refused_total{provider="one"} 1');
  for (const each of [call, other]) answers(openaiWire, 'one')(each);
  expect([(await held).status, (await waits).status]).toEqual([200, 200]);
});
