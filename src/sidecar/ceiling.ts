/** The ceiling of the process's memory: how much it may take, how much of that it takes, and what it may hold at most. */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { Config } from '../config/schema.ts';

const bytesPerMb = 1_000_000;

/** The container that the process runs in, as the kernel accounts for it. */
export interface Container {
  readonly limitBytes: number;
  /**
   * Memory it takes that can't be given back, in bytes: that of all its processes, buffers of sockets included, without
   * the files that are only cached. Null: it can't be read.
   */
  usedBytes(): number | null;
}

/** What the container may take; null: it has no limit, or one beyond the machine's memory. */
export function containerLimit(constrainedBytes: number, machineBytes: number): number | null {
  return constrainedBytes > 0 && constrainedBytes <= machineBytes ? constrainedBytes : null;
}

/** How control groups account for memory, version 2 and 1: the group's path, and the names of files and cached files. */
const accounts = [
  { group: /^0::(.*)$/m, folder: '', used: 'memory.current', cached: /^inactive_file (\d+)$/m },
  {
    group: /^\d+:(?:.*,)?memory(?:,.*)?:(.*)$/m,
    folder: '/memory',
    used: 'memory.usage_in_bytes',
    cached: /^total_inactive_file (\d+)$/m,
  },
] as const;

/** Where the kernel tells of control groups. */
const kernelFiles = { groups: '/proc/self/cgroup', folder: '/sys/fs/cgroup' };

const readText = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
};

/** Finds the container; null: there is none with a limit. */
export function findContainer(
  constrainedBytes: number = process.constrainedMemory(),
  machineBytes: number = totalmem(),
  files: typeof kernelFiles = kernelFiles,
): Container | null {
  const limitBytes = containerLimit(constrainedBytes, machineBytes);
  if (limitBytes === null) return null;
  const groups = readText(files.groups) ?? '';
  const places = accounts.flatMap(({ group, folder, used, cached }) => {
    const own = group.exec(groups)?.[1] ?? '';
    // A container may see its own group as the outermost one, under the path that it has outside.
    return [own, ''].map((path) => ({ at: `${files.folder}${folder}${path}`, used, cached }));
  });
  const place = places.find(({ at, used }) => readText(`${at}/${used}`) !== null);
  return {
    limitBytes,
    usedBytes() {
      const used = place && readText(`${place.at}/${place.used}`);
      if (place === undefined || used == null) return null;
      const stat = readText(`${place.at}/memory.stat`) ?? '';
      return Number(used) - Number(place.cached.exec(stat)?.[1] ?? 0);
    },
  };
}

/** `memory.maxMb` in bytes; null: unset. */
const maxBytesOf = ({ maxMb }: Config['memory']): number | null =>
  maxMb === undefined ? null : maxMb * bytesPerMb;

/**
 * The share of its memory that the process takes; 0: it may take any. Of two limits, the one that is nearer counts.
 * @param rssBytes resident memory of the process
 */
export function takenShare(memory: Config['memory'], container: Container | null, rssBytes: number): number {
  const maxBytes = maxBytesOf(memory);
  const own = maxBytes === null ? 0 : rssBytes / maxBytes;
  return container === null ? own : Math.max(own, (container.usedBytes() ?? rssBytes) / container.limitBytes);
}

/** Bodies, replies on their way, replies for repeats and the batch queue may each take this share of the ceiling. */
const heldShare = 1 / 8;

/**
 * The configuration with bounds that fit under the ceiling: what is held for requests can't be dropped when memory runs
 * short, as the cache can.
 */
export function underCeiling(config: Config, container: Container | null): Config {
  const ceiling = Math.min(maxBytesOf(config.memory) ?? Infinity, container?.limitBytes ?? Infinity);
  const most = (bytes: number): number => Math.min(bytes, Math.floor(ceiling * heldShare));
  const { listen, replay, batch } = config;
  return {
    ...config,
    listen: {
      ...listen,
      bodiesMaxBytes: most(listen.bodiesMaxBytes),
      repliesMaxBytes: most(listen.repliesMaxBytes),
    },
    replay: { ...replay, bytesMax: most(replay.bytesMax) },
    batch: { ...batch, queueMaxBytes: most(batch.queueMaxBytes) },
  };
}
