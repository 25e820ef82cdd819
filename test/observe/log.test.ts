/** The log's end, and where it can't be written: the process lives on, and ends when it is to end. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

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
