/** The micro benchmarks work: each of their files is found, and each task in it runs. */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadSubjects } from '../../bench/micro/run.ts';

test('every task of every micro benchmark runs', async () => {
  const files = readdirSync('bench/micro').filter((name) => name.endsWith('.bench.ts'));
  const subjects = await loadSubjects();
  expect(subjects).toHaveLength(files.length);
  for (const { subject, tasks } of subjects)
    for (const [task, run] of Object.entries(await tasks())) expect(run, `${subject}: ${task}`).not.toThrow();
});
