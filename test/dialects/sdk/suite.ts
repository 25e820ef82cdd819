/** Tries an SDK's clients before every provider: the cases of `list.ts`, and that what is excepted really fails. */
import { LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { ConfigInput, TestSidecar } from '../../support/sidecar.ts';
import { startTestSidecar } from '../../support/sidecar.ts';
import { type MockedName, mocked, modelOf, providersOn, type Simulated, simulators } from '../simulators.ts';
import { askedBy, caseOf } from './cases.ts';
import type { SdkClient } from './client.ts';
import {
  type ClientName,
  type ClientOf,
  caseNames,
  cases,
  exceptionOf,
  type Suite,
  stagesOf,
} from './list.ts';

/** Makes a client that calls this gateway. */
export type Connect = (url: string) => SdkClient;

function simulatedProviders(): ConfigInput['providers'] {
  const names = Object.keys(simulators) as Simulated[];
  return Object.fromEntries(names.map((name) => [`simulator-${name}`, { preset: simulators[name] }]));
}

function mockedProviders(url: string): ConfigInput['providers'] {
  const names = Object.keys(mocked) as MockedName[];
  const rows = names.map((name) => {
    const { basePath, ...rest } = mocked[name];
    return [`mock-${name}`, { ...rest, baseUrl: url + basePath, apiKey: 'provider-key' }] as const;
  });
  return Object.fromEntries(rows);
}

function addFixtures(mock: LLMock): void {
  for (const name of caseNames) {
    for (const { match, response, opts } of caseOf[name].fixtures) mock.on(match, response, opts);
  }
}

/** All that an SDK is tried before: one mock, one gateway, a route to every provider. */
async function start(): Promise<{ sidecar: TestSidecar; stop(): Promise<void> }> {
  const mock = new LLMock({ port: 0, chunkSize: 4 });
  addFixtures(mock);
  await mock.start();
  const providers = { ...simulatedProviders(), ...mockedProviders(mock.url) };
  const sidecar = await startTestSidecar({
    providers,
    routes: Object.keys(providers).map((provider) => {
      const model = modelOf[provider];
      return { model: provider, targets: [model === undefined ? { provider } : { provider, model }] };
    }),
    cache: { enabled: false },
    attempt: { backoffBaseMs: 0, retriesMax: 0, breaker: { failures: 1000 } },
  });
  return {
    sidecar,
    async stop() {
      await sidecar.stop();
      await mock.stop();
    },
  };
}

/** @param connects one for each client that the list gives to this suite */
export function tryAll<S extends Suite>(connects: Readonly<Record<ClientOf<S>, Connect>>): void {
  let running: Awaited<ReturnType<typeof start>>;
  const ready = new Map<string, SdkClient>();
  beforeAll(async () => {
    running = await start();
    for (const [name, connect] of Object.entries<Connect>(connects))
      ready.set(name, connect(running.sidecar.url));
  });
  afterAll(() => running.stop());

  const run = async (client: ClientName, model: string, name: (typeof caseNames)[number]): Promise<void> => {
    const connected = ready.get(client);
    if (connected === undefined) throw new Error(`${client} is not connected`);
    const each = caseOf[name];
    await each.run(connected, askedBy(each, model));
  };

  for (const client of Object.keys(connects) as ClientName[]) {
    for (const stage of stagesOf(client)) {
      describe.each(providersOn[stage])(`${client} to %s, ${stage}`, (provider) => {
        for (const name of caseNames.filter((each) => cases[each].some((on) => on === stage))) {
          const excepted = exceptionOf(client, provider, stage, name);
          const trying = excepted === undefined ? test : test.fails;
          trying(name, () => run(client, `${stage}-${provider}`, name));
        }
      });
    }
  }
}
