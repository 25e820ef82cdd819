/** Wrong calls of commands end with the exit code that the reference names, and say what is meant. */
import { expect, test } from 'vitest';
import { runCommand } from '../support/run-command.ts';

test.each([
  ['', 'sidegate'],
  ['nope', 'There is no command "nope"'],
  ['costs --by nope', '--by nope is not known'],
  ['costs --format xml', '--format must be one of'],
  ['costs --format parquet', '--format parquet needs --requests'],
  ['costs --requests --format parquet', '--format parquet needs --out FILE'],
  ['costs --requests --format table', '--requests can be written as'],
  ['costs --request r --format table', '--request can be written as'],
  ['costs --request r --format parquet --out x', '--request can be written as'],
  ['costs --since yesterday', '--since must be like'],
  ['costs --nope', '--nope'],
  ['cache purge --older-than long', '--older-than must be like'],
  ['cache report --admin nowhere', '--admin must be a URL'],
  ['explain package.json --header nope', '--header must be like'],
  ['explain package.json --header a:b --admin http://127.0.0.1:1', '--header has no effect'],
  ['demo --port x', '--port must be a number'],
])('sidegate %s', async (line, said) => {
  const args = line.split(' ').filter((part) => part !== '');
  const { code, err } = await runCommand(args, { SIDEGATE_ADMIN_TOKEN: 'a-token-for-admins' });
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(said) });
});
