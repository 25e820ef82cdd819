/** The lists that the SDKs' suites and the table of SDKs are made of. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { dialects } from '../../src/dialects/index.ts';
import { presets } from '../../src/dialects/presets.ts';
import { dialectNames } from '../../src/exchange/dialects.ts';
import { cases, clientNames, clients, exceptionOf, exceptions, stagesOf } from './sdk/list.ts';
import { mocked, providersOn, simulators } from './simulators.ts';

test('every suite is there', () => {
  const files = Object.values(clients).map(({ suite }) => `sdk-${suite}.test.ts`);
  expect(files.filter((name) => !existsSync(new URL(name, import.meta.url)))).toEqual([]);
});

test('every dialect whose providers offer chat is tested', () => {
  const tried = [
    ...Object.values(simulators).map((preset) => presets[preset]?.dialect),
    ...Object.values(mocked).map(({ dialect }) => dialect),
  ];
  const chats = dialectNames.filter((name) => dialects[name].chatProvider !== null);
  expect(chats.filter((name) => !tried.includes(name))).toEqual([]);
});

test('every exception occurs', () => {
  const met = new Set(
    clientNames.flatMap((client) =>
      stagesOf(client).flatMap((stage) =>
        providersOn[stage].flatMap((provider) =>
          exceptions.flatMap(({ cases: names }) =>
            names.map((name) =>
              cases[name].some((on) => on === stage) ? exceptionOf(client, provider, stage, name) : undefined,
            ),
          ),
        ),
      ),
    ),
  );
  expect(exceptions.filter((each) => !met.has(each))).toEqual([]);
});
