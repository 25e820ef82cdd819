/** Carries the cache over a restart, by a file. Neither a missing nor a damaged one keeps the process from starting or ending. */

import type { Telemetry } from '../base/telemetry.ts';
import type { World } from '../base/world.ts';
import type { Cache } from '../cache/cache.ts';
import type { CacheSettings } from '../cache/settings.ts';
import { takeSnapshot, writeSnapshot } from '../cache/snapshot.ts';

/** Bytes of a snapshot besides entries: what is known of places, and frames. */
const besidesMax = 64 * 1024 * 1024;

/** What it works with. */
export interface Carried {
  readonly cache: Cache;
  readonly telemetry: Pick<Telemetry, 'cacheSnapshot'>;
  readonly world: Pick<World, 'clock' | 'wallClock'>;
  /** Told what a snapshot begins with, which other workers must know before they find its replies in the store of all. */
  readonly onHead: (head: Buffer) => Promise<void>;
}

const reason = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** Adopts what an earlier process kept, beside the requests that come meanwhile. Never rejects. */
export async function restoreCache(
  { snapshot: path, bytesMax, semantic }: CacheSettings,
  { cache, telemetry, world, onHead }: Carried,
): Promise<void> {
  if (path === undefined) return;
  try {
    const parts = await takeSnapshot(path, bytesMax + semantic.bytesMax + besidesMax);
    if (parts === null) return;
    for await (const part of parts) {
      cache.fill(part, world.clock(), world.wallClock());
      if (part.kind === 'head') await onHead(part.bytes);
    }
    telemetry.cacheSnapshot('restored', String(cache.size));
  } catch (cause) {
    telemetry.cacheSnapshot('refused', reason(cause));
  }
}

/** Keeps the cache for the next process; it is empty then. Never rejects. */
export async function keepCache(
  { snapshot: path }: CacheSettings,
  { cache, telemetry, world }: Carried,
): Promise<void> {
  if (path === undefined) return;
  await writeSnapshot(path, cache.drain(world.clock(), world.wallClock())).catch((cause: unknown) => {
    telemetry.cacheSnapshot('unsaved', reason(cause));
  });
}
