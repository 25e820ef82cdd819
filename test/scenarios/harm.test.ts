/**
 * A caller that tries to harm others, 1,000 times in each way: other tenants are answered by the same target at the first
 * try, every time. Issue 22, Shows 2. Latencies are printed; what is asserted are counts, as a busy machine has no others.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, send } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { answers, type Call, startUpstream, type Upstream } from '../support/upstream.ts';

const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
const json = { 'content-type': 'application/json' };
const good = answers(openaiWire, 'Good');
const refuse =
  (status: number, error: object) =>
  (call: Call): void =>
    call.whole(status, json, JSON.stringify({ error }));

/** What the provider does for each model that the harmful caller asks for. */
const harms: Readonly<Record<string, (call: Call) => unknown>> = {
  'a prompt that is refused': refuse(403, {
    message: 'Input flagged by moderation',
    code: 'content_policy_violation',
    metadata: { flagged_input: 'x', reasons: ['violence'] },
  }),
  'a request that is invalid': refuse(400, { message: 'bad', type: 'invalid_request_error', code: 'bad' }),
  'a model that is forbidden': refuse(403, {
    message: 'Project does not have access to model',
    code: 'model_not_found',
  }),
  'models that are refused without a word': refuse(403, {}),
  'a model that the account can not pay': refuse(402, { message: 'Insufficient balance' }),
  'a model that is limited': refuse(429, { message: 'Rate limit reached. Please try again in 20s.' }),
  'a model that always fails': refuse(500, { message: 'boom' }),
  'a model that breaks off': (call) => call.reset(),
  'calls that are abandoned': () => {},
};

const times = 1000;
const atOnce = 20;
const rows = [
  '| what | the caller got | others were answered | others before, p50 / p99 | others beside it |',
  '| --- | --- | --- | --- | --- |',
];
let upstream: Upstream;
let sidecar: TestSidecar;

beforeAll(async () => {
  upstream = await startUpstream((call) => {
    const [harm = ''] = String(call.json.model).split('/');
    return (harms[harm.replaceAll('-', ' ')] ?? good)(call);
  });
  sidecar = await startTestSidecar({
    cache: { enabled: false },
    authenticate: {
      anonymousTenant: undefined,
      keys: [
        { id: 'bad', sha256: sha256('bad-key'), tenant: 'bad' },
        { id: 'good', sha256: sha256('good-key'), tenant: 'good' },
      ],
    },
    providers: { p: { preset: 'openrouter', baseUrl: upstream.baseUrl, apiKey: 'k' } },
    routes: [{ model: '*', targets: [{ provider: 'p' }] }],
    limits: [{ name: 'each', per: ['tenant'], capacity: 100_000, refillPerSecond: 1000 }],
    attempt: { backoffBaseMs: 0 },
  });
});
afterAll(async () => {
  process.stdout.write(`${rows.join('\n')}\n`);
  await sidecar.stop();
  await upstream.close();
});

const middle = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;

/** One request of the other tenant: its latency, and whether all was as usual. */
async function other(): Promise<{ ms: number; usual: boolean }> {
  const began = performance.now();
  const { status, headers } = await ask(sidecar.url, openaiWire.path, {
    body: openaiWire.request('hi', { model: 'usual' }),
    headers: { authorization: 'Bearer good-key' },
  });
  return {
    ms: performance.now() - began,
    usual:
      status === 200 && headers['x-sidegate-target'] === 'p/usual' && headers['x-sidegate-attempts'] === '1',
  };
}

test.each(Object.keys(harms))(`%s, ${times} times`, async (what) => {
  const model = what.replaceAll(' ', '-');
  const wordless = what === 'models that are refused without a word';
  const before = await Promise.all(Array.from({ length: 5 }, () => other()));
  expect(before.every(({ usual }) => usual)).toBe(true);
  const alone: number[] = [];
  for (let i = 0; i < times / atOnce; i++) alone.push((await other()).ms);
  const beside: { ms: number; usual: boolean }[] = [];
  const statuses = new Map<number, number>();
  for (let i = 0; i < times / atOnce; i++) {
    await Promise.all(
      Array.from({ length: atOnce }, async (_, at) => {
        const sent = send(sidecar.url, openaiWire.path, {
          // Of those that are refused without a word, each time another one.
          body: openaiWire.request('hi', { model: wordless ? `${model}/${i * atOnce + at}` : model }),
          headers: { authorization: 'Bearer bad-key' },
        });
        if (harms[what] === harms['calls that are abandoned']) {
          setImmediate(sent.hangUp);
          return sent.reply.catch(() => {});
        }
        const reply = await sent.reply;
        await reply.all();
        statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1);
      }),
    );
    beside.push(await other());
  }
  const unusual = beside.filter(({ usual }) => !usual).length;
  const ms = beside.map((each) => each.ms);
  const text = (values: readonly number[]): string =>
    `${middle(values, 0.5).toFixed(1)} / ${middle(values, 0.99).toFixed(1)} ms`;
  const got = [...statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
  rows.push(
    `| ${what} | ${got || 'hung up'} | ${beside.length - unusual} of ${beside.length} | ${text(alone)} | ${text(ms)} |`,
  );
  expect(unusual).toBe(0);
});
