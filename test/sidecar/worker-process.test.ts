/** The program with two workers, in a process of its own: how it ends. */
import { expect, test } from 'vitest';
import { spawnChain } from '../support/chain.ts';
import { connectTo, meet } from '../support/crew.ts';
import { openaiWire } from '../support/replies.ts';
import { until } from '../support/until.ts';
import { answers } from '../support/upstream.ts';

const good = answers(openaiWire, 'Hello.');

test('SIGTERM lets requests of both workers finish, and the log has all of them', async () => {
  const chain = await spawnChain(openaiWire, [[good, good, () => {}]], {
    workers: 2,
    listen: { drainMs: 60_000 },
  });
  const pair = { first: connectTo(chain.url, 1), second: connectTo(chain.url, 1) };
  await meet(pair);
  const sent = [pair.first(), pair.second()];
  const calls = [await chain.first.call(2), await chain.first.call(3)];
  chain.child.kill('SIGTERM');
  await until(async () => (await fetch(`${chain.adminUrl}/readyz`)).status === 503);
  for (const call of calls) good(call);
  expect((await Promise.all(sent)).map(({ status }) => status)).toEqual([200, 200]);
  expect(await chain.exitCode).toBe(0);
  const served = chain.output().match(/"endpoint":/g);
  expect(served).toHaveLength(4);
});

test('where the memory is full, garbage of all workers is collected', async () => {
  const script = new URL('../support/worker-garbage.ts', import.meta.url).href;
  const chain = await spawnChain(
    openaiWire,
    [[]],
    { workers: 2, memory: { maxMb: 64 } },
    {
      NODE_OPTIONS: `--import=${script}`,
    },
  );
  await chain.outputMatching(/A worker has collected its garbage/);
});

test('a worker that ends by a defect ends the process, which says why', async () => {
  const script = new URL('../support/worker-defect.ts', import.meta.url).href;
  const chain = await spawnChain(
    openaiWire,
    [[good, good, () => {}]],
    { workers: 2 },
    {
      NODE_OPTIONS: `--import=${script}`,
    },
  );
  const pair = { first: connectTo(chain.url, 1), second: connectTo(chain.url, 1) };
  await meet(pair);
  const held = pair.first().catch((cause: Error) => cause);
  await chain.first.call(2);
  // One of the next two connections is the second worker's, and its second one.
  const more = [1, 2].map(() => connectTo(chain.url, 1)({ path: '/v1/nowhere' }).catch(() => null));
  expect(await chain.exitCode).toBe(1);
  expect(chain.output()).toContain('A defect of this test.');
  expect(await held).toBeInstanceOf(Error);
  await Promise.all(more);
});
