/**
 * A process that records simulated requests in a ledger until it is killed or done. What each request really used is
 * written to a file before the record is made: the provider's own count, which the ledger is compared with.
 * Arguments: the ledger, the provider's file, the file of commits, the first request's number, how many, and the request
 * with which the process kills itself: some are committed by then, and this one can't be; left out: none.
 */
import { openSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { realWorld } from '../../src/base/world.ts';
import type { Charge } from '../../src/count/usage.ts';
import { createLedger } from '../../src/observe/ledger/ledger.ts';
import { createRecord, noCourse } from '../../src/observe/record.ts';

const [path = '', truthPath = '', commitsPath = '', first = '0', count = '0', lastOne = ''] =
  process.argv.slice(2);
const truth = openSync(truthPath, 'a');
const commits = openSync(commitsPath, 'a');

/** A simple generator of numbers, so that each run of a number of requests is the same. */
let seed = 7 + Number(first);
const random = (below: number): number => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return (seed >>> 8) % below;
};

const ledger = createLedger(
  path,
  { keepDays: 90, maxBytes: 2 ** 40, waitingMax: 1_000_000 },
  { ...realWorld, onProblem: (problem) => void process.stderr.write(`${problem}\n`) },
);

const targets = ['first/small', 'second/large', 'third/small'];
const charge = (target: string): Charge => ({
  target,
  usage: {
    inputTokens: random(5000),
    outputTokens: random(2000),
    cachedInputTokens: random(100),
    cacheWriteTokens: 0,
    known: random(10) > 0,
  },
  costNanoUsd: random(1_000_000_007),
});

for (let i = Number(first); i < Number(first) + Number(count); i++) {
  // One in ten falls back or is hedged, so two calls are billed; one in twenty is refused, so none is.
  const kind = random(20);
  const charges =
    kind === 0 ? [] : kind < 3 ? [targets[random(3)], targets[random(3)]] : [targets[random(3)]];
  const billed = charges.map((target) => charge(target ?? ''));
  const tenant = `tenant-${random(5)}`;
  const id = `req_${i}`;
  for (const { target, usage, costNanoUsd } of billed)
    writeSync(
      truth,
      `${id}\t${tenant}\t${target}\t${usage.inputTokens}\t${usage.outputTokens}\t${costNanoUsd}\n`,
    );
  if (billed.length === 0) writeSync(truth, `${id}\t${tenant}\t\t0\t0\t0\n`);
  const sum = (of: (each: Charge) => number): number => billed.reduce((total, each) => total + of(each), 0);
  const record = createRecord(
    { id, startedMs: 0, endpoint: { name: 'chat' } },
    { ...noCourse, identity: { tenant, team: 'web', user: null, keyId: 'k', tags: [] } as never },
    { status: kind === 0 ? 429 : 200, target: billed.at(-1)?.target ?? '', abandoned: kind === 5 },
    {
      charges: billed,
      usage: {
        inputTokens: sum(({ usage }) => usage.inputTokens),
        outputTokens: sum(({ usage }) => usage.outputTokens),
        cachedInputTokens: sum(({ usage }) => usage.cachedInputTokens),
        cacheWriteTokens: 0,
        known: true,
      },
      costNanoUsd: sum(({ costNanoUsd }) => costNanoUsd ?? 0),
      priced: true,
    },
    1,
  );
  const isLast = lastOne !== '' && i === Number(lastOne);
  if (isLast) {
    while (ledger.state.written === 0) await setImmediate();
    writeSync(commits, `${Number(first) + ledger.state.written}\n`);
  }
  ledger.add(record, Date.now());
  if (isLast) process.kill(process.pid, 'SIGKILL');
  if (i % 50 === 0) {
    writeSync(commits, `${Number(first) + ledger.state.written}\n`);
    await setImmediate();
  }
}
await ledger.close(60_000);
writeSync(commits, `${Number(first) + ledger.state.written}\n`);
