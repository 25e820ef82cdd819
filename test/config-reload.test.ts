/** Reloads come one at a time, however often they are asked for, and none outlives the process. */
import { writeFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { oneAtATime } from '../src/config/reload.ts';
import { spawnSidecar } from './sidecar.ts';

test('work that is asked for while it goes on is done once more', async () => {
  const ends: (() => void)[] = [];
  const ask = oneAtATime(() => new Promise((resolve) => ends.push(resolve)));
  ask();
  for (let i = 0; i < 5; i++) ask();
  expect(ends).toHaveLength(1);
  ends[0]?.();
  await turn();
  expect(ends).toHaveLength(2);
  ends[1]?.();
  await turn();
  expect(ends).toHaveLength(2);
  ask();
  expect(ends).toHaveLength(3);
});

// Each reload opens the simulator anew, which would keep the process alive.
const yaml = (seed: number): string =>
  'listen: { port: 0, drainMs: 0 }\nadmin: { port: 0 }\nauthenticate: { anonymousTenant: all }\n' +
  `providers: { sim: { preset: simulator, simulate: { seed: ${seed} } } }\n` +
  'routes: [{ model: "*", targets: [{ provider: sim }] }]\n';

test('a hundred signals are a few reloads', async () => {
  const sidecar = await spawnSidecar(yaml(1));
  writeFileSync(sidecar.configPath, yaml(2));
  for (let i = 0; i < 100; i++) {
    sidecar.child.kill('SIGHUP');
    if (i % 10 === 0) await turn();
  }
  await sidecar.outputMatching(/configuration reloaded/);
  expect(await sidecar.stop()).toBe(0);
  expect(sidecar.output().match(/configuration reloaded/g)?.length).toBeLessThan(20);
});

test.each([0, 30, 60, 90, 120])('a process that is ended %i ms after a reload began ends', async (ms) => {
  const sidecar = await spawnSidecar(yaml(1));
  writeFileSync(sidecar.configPath, yaml(2));
  sidecar.child.kill('SIGHUP');
  // What is tried is every moment of a reload, not that any of it is over by then.
  await new Promise((resolve) => setTimeout(resolve, ms));
  expect(await sidecar.stop()).toBe(0);
  expect(sidecar.output()).not.toMatch(/"level":(50|60)|refused/);
});
