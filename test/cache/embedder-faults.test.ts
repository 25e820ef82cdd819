/** An embedder that fails, is slow or can't be believed: each question is a miss, none waits longer than it may. */
import { afterEach, expect, test } from 'vitest';
import {
  type Embedding,
  gives,
  likeOwn,
  miss,
  ownVector,
  type Setting,
  similar,
  startEmbedding,
} from '../support/embedder.ts';
import { hangs, resets, type Script, startUpstream } from '../support/upstream.ts';

const question = 'How can I change my shipping address?';
const reworded = 'How do I update my delivery address?';
const json = { 'content-type': 'application/json' };
const letters = [...'abcdefghijklm'];

let it: Embedding;
afterEach(() => it.stop());
const start = async (script: Script, setting: Setting = {}): Promise<void> => {
  it = await startEmbedding(script, setting);
};

const good = ownVector(question);
const says =
  (body: string): Script =>
  (call) =>
    call.whole(200, json, body);
const numbers = (list: readonly unknown[]): Script => says(`{"data":[{"embedding":[${list.join()}]}]}`);
const packed = (list: readonly number[]): string =>
  Buffer.from(Float32Array.from(list).buffer).toString('base64');

test.each([
  ['an error', 'failed', (call) => call.whole(500, json, '{"error":{"message":"no"}}')],
  ['a refused key', 'failed', (call) => call.whole(401, json, '{}')],
  ['a limit', 'failed', (call) => call.whole(429, { ...json, 'retry-after': '3600' }, '{}')],
  ['another place', 'failed', (call) => call.whole(302, { location: 'http://127.0.0.1:1/' }, '')],
  ['nothing', 'failed', (call) => call.whole(204, {}, '')],
  ['a reset', 'failed', resets],
  [
    'a reply cut short',
    'failed',
    (call) => {
      call.head(200, { ...json, 'content-length': '1000' });
      call.write('{"data":[');
      call.cut();
    },
  ],
  [
    'no HTTP',
    'failed',
    (call) => {
      call.raw('hello\r\n\r\n');
      call.cut();
    },
  ],
  [
    'a huge reply',
    'failed',
    async (call) => {
      call.head(200, json);
      await call.flood(Buffer.alloc(64 * 1024, ' '), 1000);
    },
  ],
  ['a page', 'invalid', says('<html>')],
  ['a list', 'invalid', says('[1]')],
  ['no vector', 'invalid', says('{"data":[]}')],
  [
    'two vectors',
    'invalid',
    says(JSON.stringify({ data: [{ embedding: good }, { index: 1, embedding: good }] })),
  ],
  ['too few numbers', 'invalid', gives(() => good.slice(1))],
  ['too many numbers', 'invalid', gives(() => [...good, 1])],
  ['zeros', 'invalid', gives(() => good.map(() => 0))],
  ['NaN', 'invalid', numbers(['NaN', ...good.slice(1)])],
  ['infinity', 'invalid', numbers(['1e999', ...good.slice(1)])],
  ['null', 'invalid', numbers(['null', ...good.slice(1)])],
  ['texts', 'invalid', gives(() => good.map(String))],
  ['nested numbers', 'invalid', gives(() => [good])],
  ['NaN in Base64', 'invalid', gives(() => packed(good.with(3, Number.NaN)))],
  ['too few numbers in Base64', 'invalid', gives(() => packed(good.slice(1)))],
] as [string, string, Script][])('%s is a miss', async (_, result, script) => {
  await start(script);
  expect(await it.status(question)).toBe(miss);
  expect(await it.status(reworded)).toBe(miss);
  expect(await it.status(question)).toBe('sidegate; hit');
  expect(await it.counted(result)).toBe(2);
  expect(await it.counted('embedded')).toBe(0);
});

const drips: Script = (call) => {
  call.head(200, json);
  call.write('{"data":');
};

test.each([
  ['is silent', hangs],
  ['never ends', drips],
])('one that %s costs no more than the deadline, and is given up', async (_, script) => {
  await start(script, { of: { timeoutMs: 40 } });
  expect(await it.status(question)).toBe(miss);
  expect(await it.status(reworded)).toBe(miss);
  expect(await it.counted('late')).toBe(2);
  await Promise.all(it.embedder.calls.map((call) => call.closed));
});

test('one that is not there is a miss', async () => {
  await start(likeOwn);
  await it.embedder.close();
  expect(await it.status(question)).toBe(miss);
  expect(await it.status(reworded)).toBe(miss);
  expect(await it.counted('failed')).toBe(2);
  it = { ...it, embedder: await startUpstream(), stop: it.sidecar.stop };
});

test('after five failures it is left alone, which is said once, and asked again until it is back', async () => {
  let nowMs = 1000;
  const fails: Script = (call) => call.whole(500, json, '{}');
  await start(fails, { world: { clock: () => nowMs } });
  for (const letter of letters) expect(await it.status(`How do I change setting ${letter}?`)).toBe(miss);
  expect(it.embedder.calls).toHaveLength(5);
  expect([await it.counted('failed'), await it.counted('resting')]).toEqual([5, letters.length - 5]);
  const down = "the semantic cache's embedder fails";
  expect(it.lines(down)).toBe(1);
  expect(it.lines('it answered with status 500')).toBe(1);
  nowMs += 1500;
  await it.status('How do I pay?');
  await it.status('How do I pay by card?');
  expect(it.embedder.calls).toHaveLength(6);
  it.embedder.answer(likeOwn);
  nowMs += 4000;
  expect(await it.status(question)).toBe(miss);
  await it.embedded(1);
  expect(await it.status(reworded)).toMatch(similar);
  expect([it.lines(down), it.lines("the semantic cache's embedder answers again")]).toEqual([1, 1]);
});

test('so many calls go out at once, four times as many wait, and the rest go without', async () => {
  await start(() => {}, { of: { callsMax: 2 }, semantic: { threshold: 1 } });
  const asked = letters.map((letter) => it.status(`How do I change setting ${letter}?`));
  while ((await it.counted('full')) < letters.length - 10);
  expect(it.embedder.calls).toHaveLength(2);
  for (let i = 0; i < 10; i++) {
    const call = await it.embedder.call(i);
    expect(it.embedder.calls.length).toBeLessThanOrEqual(i + 2);
    likeOwn(call);
  }
  expect(await Promise.all(asked)).toEqual(letters.map(() => miss));
  expect(await it.counted('embedded')).toBe(10);
});

test('those that wait for their turn too long go without', async () => {
  await start(hangs, { of: { callsMax: 1, timeoutMs: 50 } });
  const asked = letters.slice(0, 3).map((letter) => it.status(`How do I change setting ${letter}?`));
  expect(await Promise.all(asked)).toEqual([miss, miss, miss]);
  expect(await it.counted('late')).toBe(3);
});

test('no more connections than all calls to its provider may have', async () => {
  await start(() => {}, { of: { callsMax: 8 }, more: { attempt: { connectionsMax: 1 } } });
  const first = it.status(question);
  const call = await it.embedder.call(0);
  expect(await it.status(reworded)).toBe(miss);
  expect(await it.counted('full')).toBe(1);
  likeOwn(call);
  expect(await first).toBe(miss);
});
