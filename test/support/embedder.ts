/** A sidecar whose cache asks a scripted provider for vectors, in front of another provider that answers. */
import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'vitest';
import type { World } from '../../src/base/world.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import { dimensions, embed } from '../../src/native/search.ts';
import { metricIn } from './chain.ts';
import { ask } from './client.ts';
import { openaiWire as wire } from './replies.ts';
import { type ConfigInput, startTestSidecar, type TestSidecar } from './sidecar.ts';
import { answers, type Call, type Script, startUpstream, type Upstream } from './upstream.ts';

type Semantic = NonNullable<NonNullable<ConfigInput['cache']>['semantic']>;

/** Settings of an embedder. */
export type EmbedderInput = Partial<NonNullable<Semantic['embedder']>>;

/** `Cache-Status` of a question that was found in other words, and of one that wasn't. */
export const similar = /^sidegate; hit; detail=semantic; similarity=0\.\d{3}$/;
export const miss = 'sidegate; fwd=uri-miss';

/** The vector that the native core itself makes of a text. */
export function ownVector(text: string): number[] {
  const vector = new Float32Array(dimensions);
  embed(text, vector);
  return [...vector];
}

/** The text that an embedder was asked about. */
export const askedAbout = (call: Call): string => (call.json.input as string[])[0] ?? '';

/** Gives what is made of each text as its vector, in OpenAI's form. */
export const gives =
  (vectorOf: (text: string) => unknown): Script =>
  (call) => {
    const data = [{ index: 0, embedding: vectorOf(askedAbout(call)) }];
    call.whole(200, { 'content-type': 'application/json' }, JSON.stringify({ data }));
  };

/** Gives the native core's own vectors. */
export const likeOwn = gives(ownVector);

/** What a test may set besides the embedder. */
export interface Setting {
  readonly of?: EmbedderInput;
  readonly semantic?: Semantic;
  readonly more?: ConfigInput;
  readonly world?: Partial<World>;
}

/** Until something is so, however busy the machine is. */
export async function until(is: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await is())) await wait(10);
}

/** The embedder, the provider, and the sidecar. */
export interface Embedding {
  readonly embedder: Upstream;
  readonly sidecar: TestSidecar;
  /** `Cache-Status` of a question; every question is answered. */
  status(text: string, headers?: Readonly<Record<string, string>>, of?: TestSidecar): Promise<unknown>;
  /** How often a question's vector came to this. */
  counted(result: string): Promise<number>;
  /** Until so many vectors came. */
  embedded(count: number): Promise<void>;
  /** How often the log has a text. */
  lines(text: string): number;
  /** A configuration with other settings, for another pod or a reload. */
  config(setting: Setting): ConfigInput;
  reload(setting: Setting): Promise<void>;
  stop(): Promise<void>;
}

/** @param script how the embedder answers */
export async function startEmbedding(script: Script, setting: Setting = {}): Promise<Embedding> {
  const embedder = await startUpstream(script);
  const provider = await startUpstream(answers(wire, 'Under Settings.'));
  const config = ({ of = {}, semantic = {}, more = {} }: Setting): ConfigInput => ({
    authenticate: { anonymousTenant: 'test' },
    providers: {
      own: { dialect: 'openai', baseUrl: provider.baseUrl },
      vectors: { dialect: 'openai', baseUrl: embedder.baseUrl, apiKey: 'k' },
    },
    routes: [{ model: 'any', targets: [{ provider: 'own' }] }],
    ...more,
    cache: {
      ...more.cache,
      semantic: {
        mode: 'on',
        embedder: { provider: 'vectors', model: 'minilm', dimensions, timeoutMs: 10_000, ...of },
        ...semantic,
      },
    },
  });
  const parsed = (each: Setting): Config =>
    configSchema.parse({ listen: { port: 0 }, admin: { port: 0 }, ...config(each) });
  const sidecar = await startTestSidecar(config(setting), setting.world);
  const counted = async (result: string): Promise<number> =>
    metricIn(await sidecar.metrics(), 'sidegate_cache_embeddings_total', { result }) ?? 0;
  return {
    embedder,
    sidecar,
    async status(text, headers = {}, of = sidecar) {
      const body = { ...wire.request(text), model: 'any' };
      const reply = await ask(of.url, wire.path, { body, headers });
      expect(reply.status).toBe(200);
      return reply.headers['cache-status'];
    },
    counted,
    embedded: (count) => until(async () => (await counted('embedded')) === count),
    lines: (text) => sidecar.logText().split(text).length - 1,
    config,
    reload: (each) => sidecar.sidecar.reload(parsed(each)),
    async stop() {
      await sidecar.stop();
      await Promise.all([embedder.close(), provider.close()]);
    },
  };
}
