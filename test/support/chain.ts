/** A sidecar with scripted providers behind it, which most tests of faults start with. */
import { readFile, writeFile } from 'node:fs/promises';
import { onTestFinished } from 'vitest';
import type { World } from '../../src/base/world.ts';
import { ask, type Incoming, type Sent, send } from './client.ts';
import { testModel, type Wire } from './replies.ts';
import {
  type ConfigInput,
  type SidecarProcess,
  spawnSidecar,
  startTestSidecar,
  type TestSidecar,
} from './sidecar.ts';
import { type Script, startUpstream, type Upstream } from './upstream.ts';

/** Names of the providers, in the order they are tried. */
const names = ['first', 'second', 'third'] as const;

/** The label of a provider's target in records and metrics. */
export const labelOf = (index: number): string => `${names[index] ?? `p${index}`}/${testModel}`;

type More = Readonly<Record<string, unknown>>;

/** The providers behind a sidecar, and requests through it. */
interface Providers {
  readonly wire: Wire;
  /** The provider tried first. */
  readonly first: Upstream;
  /** The next one; the first again if there is no other. */
  readonly second: Upstream;
  /** Sends a request; `more` adds fields to its body. */
  send(more?: More, headers?: Readonly<Record<string, string>>): Sent;
  /** Sends a streaming request; resolves when its reply starts. */
  stream(more?: More, headers?: Readonly<Record<string, string>>): Promise<Incoming>;
  /** Sends a request; resolves with the whole reply. */
  ask(more?: More, headers?: Readonly<Record<string, string>>): ReturnType<typeof ask>;
}

/** A sidecar in the test's process, with providers behind it. */
export interface Chain extends Providers, TestSidecar {
  /** State of a target's circuit breaker. */
  breaker(index?: number): Promise<'closed' | 'open' | 'half-open'>;
}

/** A breaker that opens stays open for as long as a busy machine may take. */
export const staysOpen = { cooldownMs: 100_000, cooldownMaxMs: 100_000 };

/** Settings that keep tests quick: nothing is cached, retries are immediate, and one failure opens a breaker. */
export function chainConfig(
  speaks: Pick<Wire, 'name'>,
  baseUrls: readonly string[],
  more: ConfigInput = {},
): ConfigInput {
  const providers = baseUrls.map((baseUrl, index) => [
    names[index] ?? `p${index}`,
    { dialect: speaks.name, baseUrl, apiKey: 'provider-key' },
  ]);
  return {
    cache: { enabled: false },
    providers: Object.fromEntries(providers),
    routes: [{ model: testModel, targets: providers.map(([provider]) => ({ provider: String(provider) })) }],
    ...more,
    attempt: {
      backoffBaseMs: 0,
      retriesMax: 0,
      ...more.attempt,
      breaker: { failures: 1, ...staysOpen, ...more.attempt?.breaker },
    },
  };
}

/**
 * Starts scripted providers and a sidecar in front of them; everything stops when the test ends.
 * @param wire the client's dialect
 * @param speaks the providers' dialect
 */
export async function startChain(
  wire: Wire,
  scripts: readonly (readonly Script[])[],
  more: ConfigInput = {},
  world: Partial<World> = {},
  speaks: Pick<Wire, 'name'> = wire,
): Promise<Chain> {
  const upstreams = await startUpstreams(scripts);
  const sidecar = await startTestSidecar(chainConfig(speaks, urlsOf(upstreams), more), world);
  onTestFinished(() => sidecar.stop());
  return {
    ...sidecar,
    ...providersOf(wire, upstreams, sidecar.url),
    async breaker(index = 0) {
      const state = metricIn(await sidecar.metrics(), 'sidegate_breaker_state', { target: labelOf(index) });
      return state === 0 ? 'closed' : state === 1 ? 'open' : 'half-open';
    },
  };
}

/** The program in its own process, with providers behind it. */
export interface ProcessChain extends Providers, SidecarProcess {
  /** Initial text of its configuration file. */
  readonly configText: string;
  /** Replaces the text of that file. */
  rewrite(text: string): Promise<void>;
  /** Peak resident memory. */
  peakBytes(): Promise<number>;
}

/** Starts scripted providers and the program in front of them; everything stops when the test ends. */
export async function spawnChain(
  wire: Wire,
  scripts: readonly (readonly Script[])[],
  more: ConfigInput = {},
  env: Record<string, string> = {},
): Promise<ProcessChain> {
  const upstreams = await startUpstreams(scripts);
  const config = chainConfig(wire, urlsOf(upstreams), more);
  // JSON is YAML too.
  const configText = JSON.stringify(
    {
      authenticate: { anonymousTenant: 'test' },
      ...config,
      listen: { port: 0, drainMs: 0, ...config.listen },
      admin: { port: 0 },
      // The thread that counts takes seconds to start on a busy machine.
      count: { deadlineMs: 60_000, ...config.count },
    },
    null,
    2,
  );
  const sidecar = await spawnSidecar(configText, env);
  onTestFinished(async () => void (await sidecar.stop()));
  return {
    ...sidecar,
    ...providersOf(wire, upstreams, sidecar.url),
    configText,
    rewrite: (text) => writeFile(sidecar.configPath, text),
    async peakBytes() {
      const status = await readFile(`/proc/${sidecar.child.pid}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) * 1024;
    },
  };
}

async function startUpstreams(scripts: readonly (readonly Script[])[]): Promise<Upstream[]> {
  const upstreams = await Promise.all(scripts.map((own) => startUpstream(...own)));
  // Runs after the sidecar has stopped, since hooks run in reverse order.
  onTestFinished(async () => void (await Promise.all(upstreams.map((upstream) => upstream.close()))));
  return upstreams;
}

const urlsOf = (upstreams: readonly Upstream[]): string[] => upstreams.map(({ baseUrl }) => baseUrl);

function providersOf(wire: Wire, upstreams: readonly Upstream[], url: string): Providers {
  const [first, second = first] = upstreams;
  if (first === undefined || second === undefined) throw new Error('a chain needs a provider');
  // In dialects whose path asks for a stream, the body doesn't.
  const path = (fields: More): string =>
    fields.stream === true ? (wire.streamPath ?? wire.path) : wire.path;
  const body = ({ stream, ...fields }: More): unknown =>
    wire.request(
      'Say hello.',
      stream === undefined || wire.streamPath !== undefined ? fields : { ...fields, stream },
    );
  return {
    wire,
    first,
    second,
    send: (fields = {}, headers = {}) => send(url, path(fields), { body: body(fields), headers }),
    stream: (fields = {}, headers = {}) =>
      send(url, path({ stream: true }), { body: body({ ...fields, stream: true }), headers }).reply,
    ask: (fields = {}, headers = {}) => ask(url, path(fields), { body: body(fields), headers }),
  };
}

/** A metric's value in Prometheus text; null if it is missing. */
export function metricIn(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | null {
  const line = text
    .split('\n')
    .filter((candidate) => candidate.startsWith(`${name} `) || candidate.startsWith(`${name}{`))
    .find((candidate) =>
      Object.entries(labels).every(([key, value]) => candidate.includes(`${key}="${value}"`)),
    );
  return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ')));
}
