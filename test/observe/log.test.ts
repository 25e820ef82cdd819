/** The log's end, and where it can't be written: the process lives on, and ends when it is to end. Its memory, too. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createLog } from '../../src/observe/log.ts';
import { eventually } from '../support/until.ts';

const program = `
  import { createLog } from './src/observe/log.ts';
  const sink = createLog('info', process.argv[1]);
  sink.log.info('first');
  sink.flush();
  setTimeout(async () => {
    sink.log.info('second');
    await sink.close();
    process.stdout.write('closed');
  }, 100);
`;

test('a full disk neither ends the process nor keeps it from ending', async () => {
  const told = await new Promise<string>((resolve) => {
    const args = ['--input-type=module', '--eval', program, '/dev/full'];
    execFile(process.execPath, args, { timeout: 60_000 }, (error, stdout) =>
      resolve(error === null ? stdout : `${stdout} ${error.message}`),
    );
  });
  expect(told).toBe('closed');
});

const lines = 20_000;
const burst = `
  import { createLog } from './src/observe/log.ts';
  const sink = createLog('info', 1);
  for (let i = 0; i < ${lines}; i++) {
    sink.log.info({ i, filler: 'x'.repeat(100) }, 'line');
    if (i % 100 === 0) await new Promise(setImmediate);
  }
  process.stderr.write('closing');
  await sink.close();
`;

test('closing writes every line in its order, also to a reader that is slow', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', burst], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  // By then the pipe is full: one write is in flight, and more bytes wait behind it.
  await once(child.stderr, 'data');
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  expect(await exited).toEqual([0, null]);
  const numbers = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).i);
  expect(numbers).toEqual(Array.from({ length: lines }, (_, i) => i));
});

test('lines are gathered in no memory but the log\u2019s own', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-log-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'log');
  const linesIn = async (): Promise<string[]> => (await readFile(path, 'utf8')).trimEnd().split('\n');
  const sink = createLog('info', path);
  // As another worker's lines come: in a slab that Node shares between small buffers, as large as the log's. It is full of
  // others before and behind them.
  const told = '{"other":true}\n';
  const others = Array.from({ length: 5000 }, () => Buffer.from(told));
  for (const lines of others.slice(2000, 2100)) sink.pass(lines);
  await eventually(async () => expect(await linesIn()).toHaveLength(100));
  for (let round = 1; round <= 20; round++) {
    for (let i = 0; i < 1000; i++) sink.log.info({ i }, 'line');
    sink.flush();
    await eventually(async () => expect(await linesIn()).toHaveLength(100 + round * 1000));
  }
  await sink.close();
  expect(others.filter((lines) => lines.toString() !== told)).toEqual([]);
  const written = (await linesIn()).map((line) => JSON.parse(line).i);
  expect(written.slice(0, 100)).toEqual(Array.from({ length: 100 }, () => undefined));
  expect(written.slice(100)).toEqual(Array.from({ length: 20_000 }, (_, i) => i % 1000));
});

const flooded = `
  import { createLog } from './src/observe/log.ts';
  const sink = createLog('info', process.argv[1]);
  for (let i = 0; i < 200_000; i++) {
    sink.log.info({ i, filler: 'x'.repeat(300) }, 'line');
    if (i % 100 === 0) await new Promise(setImmediate);
  }
  process.stdout.write(String(process.memoryUsage().arrayBuffers));
  process.exit();
`;

test('what can\u2019t be written takes no more memory than the bound', async () => {
  const args = ['--input-type=module', '--eval', flooded, '/dev/full'];
  const [bytes] = await new Promise<[number]>((resolve, reject) => {
    execFile(process.execPath, args, { timeout: 120_000 }, (error, stdout) =>
      error === null ? resolve([Number(stdout)]) : reject(error),
    );
  });
  // 16 MiB wait; 70 MB were written.
  expect(bytes).toBeLessThan(24 * 1024 * 1024);
});
