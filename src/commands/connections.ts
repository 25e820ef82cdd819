/** Tries what a configuration connects to: `sidegate check --connect`. */
import { silent } from '../base/telemetry.ts';
import { realWorld } from '../base/world.ts';
import { askForVector } from '../cache/embedder.ts';
import type { Config } from '../config/schema.ts';
import { createUpstreams } from '../upstream/upstreams.ts';

/** What became of one connection. */
export interface Tried {
  /** Path of its settings. */
  readonly path: string;
  readonly ok: boolean;
  readonly says: string;
}

/** Longer than any deadline of a request: the first call opens the connection, or loads a model. */
const timeoutMs = 10_000;

/** Tries each; those that aren't configured are left out. */
export async function tryConnections(config: Config): Promise<Tried[]> {
  const settings = config.cache.semantic.embedder;
  if (settings === undefined) return [];
  const path = 'cache.semantic.embedder';
  const upstreams = createUpstreams(realWorld, silent);
  const beganMs = realWorld.clock();
  try {
    const providers = await upstreams.update(config);
    await askForVector(providers.get(settings.provider), settings, 'Does this work?', beganMs, timeoutMs);
    const tookMs = Math.round(realWorld.clock() - beganMs);
    return [{ path, ok: true, says: `gives vectors of ${settings.dimensions} numbers (${tookMs} ms)` }];
  } catch (cause) {
    return [{ path, ok: false, says: cause instanceof Error ? cause.message : String(cause) }];
  } finally {
    await upstreams.close();
  }
}
