/** Targets that don't support a request, on routes with edges and hedges across dialects. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { clients, providers } from '../faults/dialect-rows.ts';
import { ask } from '../support/client.ts';
import { anthropicWire, openaiWire, testModel, type Wire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import {
  answers,
  hangs,
  refuses,
  resets,
  type Script,
  startUpstream,
  type Upstream,
} from '../support/upstream.ts';

type Route = NonNullable<ConfigInput['routes']>[number];
type Target = Omit<NonNullable<Route['targets']>[number], 'provider'>;

interface Place extends Target {
  readonly speaks: Pick<Wire, 'name'>;
  readonly script: Script;
}

/** A route over providers `p0`, `p1`, … */
async function start(
  places: readonly Place[],
  more: ConfigInput = {},
  route: Partial<Route> = {},
): Promise<TestSidecar & { readonly upstreams: readonly Upstream[] }> {
  const upstreams = await Promise.all(places.map(({ script }) => startUpstream(script)));
  const sidecar = await startTestSidecar({
    cache: { enabled: false },
    ...more,
    providers: Object.fromEntries(
      places.map(({ speaks }, index) => [
        `p${index}`,
        { dialect: speaks.name, baseUrl: upstreams[index]?.baseUrl ?? '' },
      ]),
    ),
    routes: [
      {
        model: testModel,
        targets: places.map(({ speaks, script, ...rest }, index) => ({ provider: `p${index}`, ...rest })),
        ...route,
      },
    ],
    attempt: { retriesMax: 0, backoffBaseMs: 0, breaker: { failures: 99 }, ...more.attempt },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });
  return { ...sidecar, upstreams };
}

const openai = openaiWire;
const anthropic = anthropicWire;
const good = (speaks: Wire): Place => ({ speaks, script: answers(speaks, `from ${speaks.name}`) });
const label = (index: number): string => `p${index}/${testModel}`;
/** Anthropic doesn't support several choices. */
const body = openai.request('Hi', { n: 2 });

describe('edges', () => {
  test('an unsupported first target is skipped, whatever the cause of the edge after it', async () => {
    const { url, records } = await start([good(anthropic), { ...good(openai), on: ['outage'] }]);
    const { status, text } = await ask(url, openai.path, { body });
    expect([status, text.includes('from openai')]).toEqual([200, true]);
    expect(records()[0]?.tried).toBe(`${label(0)}: unsupported_field, ${label(1)}: ok`);
  });

  test('the cause that leads to an unsupported target continues along the edges after it', async () => {
    const { url, records } = await start([
      { speaks: openai, script: resets },
      { ...good(anthropic), on: ['outage'] },
      { ...good(openai), on: ['rate_limited'] },
      { ...good(openai), on: ['outage'] },
    ]);
    const { status } = await ask(url, openai.path, { body });
    expect(status).toBe(200);
    expect(records()[0]?.tried).toBe(`${label(0)}: reset, ${label(1)}: unsupported_field, ${label(3)}: ok`);
  });

  test('if no edge after it accepts the failure, that failure is the reply, not the unsupported field', async () => {
    const busy = refuses(openai.error(429, 'Later.'));
    const { url, upstreams } = await start([
      { speaks: openai, script: busy },
      { ...good(anthropic), on: ['rate_limited'] },
      { ...good(openai), on: ['outage'] },
    ]);
    const { status, text } = await ask(url, openai.path, { body });
    expect(status).toBe(429);
    expect(openai.errorOf(text)?.message).toBe('Later.');
    expect(upstreams[2]?.calls).toHaveLength(0);
  });
});

describe('hedges', () => {
  const beside: Partial<Route> = { strategy: 'weighted', hedge: true };
  const hedge: ConfigInput = { attempt: { hedge: { enabled: true, delayMs: 20 } } };

  for (const client of clients) {
    test.each(providers.filter(({ name }) => name !== client.name))(
      `of a ${client.name} client at an alternative that speaks $name: its answer is translated`,
      async (provider) => {
        const { url, records } = await start(
          [
            { speaks: client, script: hangs, weight: 1 },
            { ...good(client), speaks: provider, script: answers(provider, 'Good'), weight: 0 },
          ],
          hedge,
          beside,
        );
        const fields = client.streamPath === undefined ? { stream: true } : {};
        const { status, text } = await ask(url, client.streamPath ?? client.path, {
          body: client.request('Hi', fields),
        });
        expect([status, client.textOf(text)]).toEqual([200, 'Good']);
        expect(records()[0]?.tried).toBe(`${label(0)}: hedge_lost, ${label(1)}: ok`);
      },
    );
  }

  test('an unsupported alternative is not used for hedging: the same target is', async () => {
    let calls = 0;
    const late: Script = (call) => (calls++ === 0 ? hangs(call) : answers(openai, 'again')(call));
    const { url, upstreams, records } = await start(
      [
        { speaks: openai, script: late, weight: 1 },
        { ...good(anthropic), weight: 0 },
      ],
      hedge,
      beside,
    );
    const { status, text } = await ask(url, openai.path, { body });
    expect([status, text.includes('again')]).toEqual([200, true]);
    expect(upstreams[1]?.calls).toHaveLength(0);
    expect(records()[0]?.tried).toBe(`${label(0)}: hedge_lost, ${label(0)}: ok`);
  });
});
