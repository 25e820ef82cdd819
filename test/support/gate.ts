/** A sidecar before one scripted provider that speaks both dialects; a test may set its clock. */
import type { World } from '../../src/base/world.ts';
import { ask, type Incoming, send } from './client.ts';
import { testModel, type Wire } from './replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from './sidecar.ts';
import { type Script, startUpstream, type Upstream } from './upstream.ts';

/** What a test's call adds to the usual one: fields of the body, and headers. */
export interface Asking {
  readonly more?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The provider, the sidecar, and calls through it. */
export interface Gate {
  readonly sidecar: TestSidecar;
  readonly upstream: Upstream;
  /** Asks with a prompt, and reads the answer to its end. */
  ask(wire: Wire, prompt: string, asking?: Asking): ReturnType<typeof ask>;
  /** Asks for a stream, and gives its beginning. */
  stream(wire: Wire, prompt: string, asking?: Asking): Promise<Incoming>;
  /** Sends a body as it is to a path. */
  post(
    path: string,
    body: string | Buffer,
    headers?: Readonly<Record<string, string>>,
  ): ReturnType<typeof ask>;
  stop(): Promise<void>;
}

/** Model that the Anthropic provider answers. */
const claude = 'test-claude';

/** The model to ask a gate for, so that a provider of the wire's own dialect answers. */
export const ownModel = (wire: Wire): string => (wire.name === 'anthropic' ? claude : testModel);

/** Starts both. Retries wait for nothing unless the configuration says so. */
export async function startGate(
  scripts: readonly Script[],
  input: ConfigInput = {},
  world: Partial<World> = {},
): Promise<Gate> {
  const upstream = await startUpstream(...scripts);
  const { baseUrl } = upstream;
  const sidecar = await startTestSidecar(
    {
      providers: { o: { dialect: 'openai', baseUrl }, a: { dialect: 'anthropic', baseUrl } },
      routes: [
        { model: testModel, targets: [{ provider: 'o' }] },
        { model: claude, targets: [{ provider: 'a', model: testModel }] },
      ],
      ...input,
      attempt: { backoffBaseMs: 0, ...input.attempt },
    },
    world,
  );
  // Each dialect meets a provider of its own.
  const body = (wire: Wire, prompt: string, more: Readonly<Record<string, unknown>>): unknown =>
    wire.request(prompt, input.routes === undefined ? { model: ownModel(wire), ...more } : more);
  return {
    sidecar,
    upstream,
    ask: (wire, prompt, { more = {}, headers = {} } = {}) =>
      ask(sidecar.url, wire.path, { body: body(wire, prompt, more), headers }),
    stream: (wire, prompt, { more = {}, headers = {} } = {}) =>
      send(sidecar.url, wire.path, { body: body(wire, prompt, { ...more, stream: true }), headers }).reply,
    post: (path, body, headers = {}) => ask(sidecar.url, path, { body, headers }),
    async stop() {
      await sidecar.stop();
      await upstream.close();
    },
  };
}
