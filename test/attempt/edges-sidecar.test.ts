/** Edges of a fallback chain, from `on:` in YAML to the target that answers: the whole program, on real sockets. */
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type FallbackCause, fallbackCauses } from '../../src/upstream/target.ts';
import { ask } from '../support/client.ts';
import { type Wire, wires } from '../support/replies.ts';
import { type SidecarProcess, spawnSidecar } from '../support/sidecar.ts';
import {
  answers,
  hangs,
  refuses,
  resets,
  type Script,
  startUpstream,
  type Upstream,
} from '../support/upstream.ts';

const json = { 'content-type': 'application/json' };

/** Real time of the program's own process; one that answers at once has to do so on a busy machine. */
const replyTimeoutMs = 1500;

/** What the first provider does, by cause. */
const failuresOf = (wire: Wire): Record<FallbackCause, Script> => {
  const refused = (type: string, code: string, message: string): Script => {
    const body =
      wire.name === 'openai'
        ? { error: { message, type, code } }
        : { type: 'error', error: { type, message } };
    return (call) => call.whole(400, json, JSON.stringify(body));
  };
  return {
    timeout: hangs,
    server: refuses(wire.error(500, 'Broken')),
    rate_limited: refuses(wire.error(429, 'Slow down')),
    outage: resets,
    context_window: refused(
      'invalid_request_error',
      'context_length_exceeded',
      'prompt is too long: 9 tokens > 8 maximum',
    ),
    content_policy: refused(
      'invalid_request_error',
      'content_filter',
      'Output blocked by content filtering policy',
    ),
    breaker_open: refuses(wire.error(503, 'Busy')),
  };
};

/** An edge for failures that open breakers accepts an open breaker too. */
const alsoTake = (other: FallbackCause, cause: FallbackCause): boolean =>
  cause === 'breaker_open' && (other === 'server' || other === 'timeout' || other === 'outage');

/** A separate provider for each cause, so that no provider's breaker interferes. */
const configText = (wire: Wire, bad: Upstream, good: Upstream): string => {
  const provider = (name: string, { baseUrl }: Upstream): string =>
    `  ${name}: { dialect: ${wire.name}, baseUrl: "${baseUrl}", apiKey: provider-key }`;
  const route = (cause: FallbackCause): string => {
    const others = fallbackCauses.filter((other) => other !== cause && !alsoTake(other, cause));
    return `  - model: ${cause}
    targets:
      - { provider: bad_${cause}, model: first-${cause} }
      - { provider: good, model: wrong, on: [${others.join(', ')}] }
      - { provider: good, model: right, on: [${cause}] }
  - model: ${cause}-nowhere
    targets:
      - { provider: bad_${cause}_nowhere, model: first-${cause} }
      - { provider: good, model: wrong, on: [${others.join(', ')}] }
  - model: ${cause}-nested
    targets:
      - { provider: bad_${cause}_nested, model: first-${cause} }
      - { route: ${cause}-inner, on: [${others.join(', ')}] }
      - { provider: good, model: right, on: [${cause}] }
  - model: ${cause}-inner
    targets:
      - { provider: good, model: wrong }
      - { provider: good, model: wrong-too }`;
  };
  return `
listen: { port: 0, drainMs: 0 }
admin: { port: 0 }
authenticate: { anonymousTenant: test }
cache: { enabled: false }
attempt:
  retriesMax: 0
  replyTimeoutMs: ${replyTimeoutMs}
  breaker: { failures: 1, cooldownMs: 60000 }
providers:
${provider('good', good)}
${fallbackCauses
  .flatMap((cause) => ['', '_nowhere', '_nested'].map((more) => provider(`bad_${cause}${more}`, bad)))
  .join('\n')}
routes:
${fallbackCauses.map(route).join('\n')}
`;
};

describe.each(wires)('$name', (wire) => {
  let sidecar: SidecarProcess;
  let good: Upstream;

  beforeAll(async () => {
    const failures = failuresOf(wire);
    const bad = await startUpstream((call) => {
      const cause = fallbackCauses.find((each) => call.json.model === `first-${each}`);
      return cause === undefined ? call.reset() : failures[cause](call);
    });
    good = await startUpstream(answers(wire, 'Good'));
    sidecar = await spawnSidecar(configText(wire, bad, good));
    return async () => {
      await sidecar.stop();
      await Promise.all([bad.close(), good.close()]);
    };
  });

  /** Asks a model; gives the status and the models that the good provider was asked for. */
  const asked = async (model: string): Promise<{ status: number; text: string; models: unknown[] }> => {
    const before = good.calls.length;
    const { status, text } = await ask(sidecar.url, wire.path, { body: wire.request('Hi', { model }) });
    return { status, text, models: good.calls.slice(before).map((call) => call.json.model) };
  };

  /** The breaker opens by a failure of its own, which no edge but that for `server` takes. */
  const prepare = async (cause: FallbackCause, model: string): Promise<void> => {
    if (cause === 'breaker_open') await asked(model);
  };

  test.each(fallbackCauses)(
    '%s leads where `on` names it, and over targets whose `on` does not',
    async (cause) => {
      await prepare(cause, cause);
      expect(await asked(cause)).toMatchObject({ status: 200, models: ['right'] });
    },
  );

  test.each(fallbackCauses)('%s ends the request where no `on` names it', async (cause) => {
    await prepare(cause, `${cause}-nowhere`);
    const { status, text, models } = await asked(`${cause}-nowhere`);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(models).toEqual([]);
    // Row 27, and row 26's rule for refusals of the request: the provider's own word.
    if (cause === 'context_window') expect(text).toContain('prompt is too long');
    if (cause === 'content_policy') expect(text).toContain('content filtering');
  });

  test.each(fallbackCauses)(
    '%s passes over a nested chain whose edge does not name it, all of it',
    async (cause) => {
      await prepare(cause, `${cause}-nested`);
      expect(await asked(`${cause}-nested`)).toMatchObject({ status: 200, models: ['right'] });
    },
  );

  test('row 27: by estimate alone, from `catalog` to the larger window, before a call', async () => {
    const [small, large] = [
      await startUpstream(answers(wire, 'small')),
      await startUpstream(answers(wire, 'large')),
    ];
    const own = await spawnSidecar(`
listen: { port: 0, drainMs: 0 }
admin: { port: 0 }
authenticate: { anonymousTenant: test }
cache: { enabled: false }
catalog: { models: [{ model: tiny, contextTokens: 20 }, { model: huge, contextTokens: 1000000 }] }
providers:
  small: { dialect: ${wire.name}, baseUrl: "${small.baseUrl}", apiKey: k }
  large: { dialect: ${wire.name}, baseUrl: "${large.baseUrl}", apiKey: k }
routes:
  - model: any
    targets:
      - { provider: small, model: tiny }
      - { provider: large, model: huge, on: [context_window] }
`);
    onTestFinished(async () => {
      await own.stop();
      await Promise.all([small.close(), large.close()]);
    });
    const body = wire.request('word '.repeat(500), { model: 'any' });
    const { status, text } = await ask(own.url, wire.path, { body });
    expect([status, text.includes('large')]).toEqual([200, true]);
    expect([small.calls.length, large.calls.length]).toEqual([0, 1]);
  });
});
