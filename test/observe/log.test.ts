/** The log where it can't be written: the process lives on, and ends when it is to end. */
import { execFile } from 'node:child_process';
import { expect, test } from 'vitest';

const program = `
  import { createLog } from './src/observe/log.ts';
  const sink = createLog('info', process.argv[1]);
  sink.log.info('first');
  sink.flush();
  setTimeout(() => {
    sink.log.info('second');
    sink.close();
    process.stdout.write('closed');
  }, 100);
`;

test('a full disk neither ends the process nor keeps it from ending', async () => {
  const told = await new Promise<string>((resolve) => {
    const args = ['--input-type=module', '--eval', program, '/dev/full'];
    execFile(process.execPath, args, { timeout: 20_000 }, (error, stdout) =>
      resolve(error === null ? stdout : `${stdout} ${error.message}`),
    );
  });
  expect(told).toBe('closed');
});
