/** A sidecar in front of one scripted provider that speaks both dialects; tests may set its clock. */
import type { World } from '../../src/base/world.ts';
import { ask, type Incoming, send } from './client.ts';
import { testModel, type Wire } from './replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from './sidecar.ts';
import { type Script, startUpstream, type Upstream } from './upstream.ts';

/** What a call adds to the default one: fields of the body, and headers. */
export interface Asking {
  readonly more?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The provider, the sidecar, and calls through it. */
export interface Gate {
  readonly sidecar: TestSidecar;
  readonly upstream: Upstream;
  /** Sends a prompt; resolves with the whole reply. */
  ask(wire: Wire, prompt: string, asking?: Asking): ReturnType<typeof ask>;
  /** Sends a prompt for a stream; resolves when its reply starts. */
  stream(wire: Wire, prompt: string, asking?: Asking): Promise<Incoming>;
  /** Sends a raw body to a path. */
  post(
    path: string,
    body: string | Buffer,
    headers?: Readonly<Record<string, string>>,
  ): ReturnType<typeof ask>;
  stop(): Promise<void>;
}

/** Model served by the Anthropic provider. */
const claude = 'test-claude';

/** The model to request from a gate so that a provider of the wire's own dialect answers. */
export const ownModel = (wire: Wire): string => (wire.name === 'anthropic' ? claude : testModel);

/** Starts both. Retries are immediate unless the configuration says otherwise. */
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
  // Each dialect has its own provider.
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
