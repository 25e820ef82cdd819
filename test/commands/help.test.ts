/** A command explains itself however it is asked, and takes no option without effect. */
import { expect, test } from 'vitest';
import { help } from '../../src/cli.ts';
import { usage as cacheHelp } from '../../src/commands/cache.ts';
import { help as costsHelp } from '../../src/commands/costs.ts';
import { help as keysHelp } from '../../src/commands/keys.ts';
import { runCommand } from '../support/run-command.ts';

test.each([
  [['costs', '--help'], costsHelp],
  [['help', 'costs'], costsHelp],
  [['keys', '--help'], keysHelp],
  [['keys', 'create', '--help'], keysHelp],
  [['help', 'keys'], keysHelp],
  [['cache', '--help'], cacheHelp],
  [['cache', 'purge', '--help'], cacheHelp],
  [['run', '--help'], help],
  [['help', 'run'], help],
  [['help'], help],
  [['--help'], help],
])('%j', async (args, text) => {
  expect(await runCommand(args)).toEqual({ code: 0, out: text, err: '' });
});

test('help for what is no command', async () => {
  const { code, err } = await runCommand(['help', 'kyes']);
  expect([code, err.split('\n')[0]]).toEqual([2, 'There is no command "kyes".']);
});

test.each([
  ['--tenant', 'shop'],
  ['--route', 'gpt-4o'],
  ['--tag', 'a'],
  ['--older-than', '2h'],
])('a report of the cache takes no %s, which chooses what is purged', async (...option) => {
  const { code, err } = await runCommand(['cache', 'report', ...option], { SIDEGATE_ADMIN_TOKEN: 'x' });
  expect([code, err]).toEqual([
    2,
    `sidegate: ${option[0]} is for \`cache purge\`: a report shows everything.\n`,
  ]);
});
