/** Watches a configuration file, through editors that rename it and Kubernetes, which swaps a link. */
import { type FSWatcher, statSync, unwatchFile, watch, watchFile } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Silence after the last event before the change is told: a save is several events. */
const quietMs = 100;
/** Longest wait while events go on. */
const waitMaxMs = 1000;
/** Second look, for what events miss: a file behind a link, a folder that was replaced, a network mount. */
const pollMs = 5000;

/** A watch; `close` ends it, and nothing is told afterwards. */
export interface ConfigWatch {
  close(): void;
}

/**
 * Calls `onChange` after the file has changed and can be found. Its folder is watched, not the file, so that
 * it may be replaced or be missing for a moment. Never keeps the process alive, and never throws.
 */
export function watchConfig(path: string, onChange: () => void): ConfigWatch {
  const name = basename(path);
  let seen = fingerprint(path);
  let touched = false;
  let timer: NodeJS.Timeout | null = null;
  let firstMs = 0;
  let closed = false;

  const settle = (): void => {
    timer = null;
    const now = fingerprint(path);
    // Missing: its return is an event too.
    if (now === null || (now === seen && !touched)) return;
    seen = now;
    touched = false;
    onChange();
  };
  const stir = (): void => {
    if (closed) return;
    const nowMs = performance.now();
    if (timer === null) firstMs = nowMs;
    else clearTimeout(timer);
    timer = setTimeout(settle, Math.max(0, Math.min(quietMs, firstMs + waitMaxMs - nowMs)));
    timer.unref();
  };

  const watcher = watchFolder(dirname(path), (file) => {
    // Its own name counts even if the fingerprint is the same: two writes can share a tick of the clock.
    if (file === name) touched = true;
    stir();
  });
  watchFile(path, { persistent: false, interval: pollMs }, stir);
  return {
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      watcher?.close();
      unwatchFile(path, stir);
    },
  };
}

/** Watches one file after the other: whichever was named last, none after null. */
export function followFile(onChange: () => void): (path: string | null) => void {
  let followed: string | null = null;
  let watch: ConfigWatch | null = null;
  return (path) => {
    if (path === followed) return;
    watch?.close();
    watch = path === null ? null : watchConfig(path, onChange);
    followed = path;
  };
}

/** Calls `work` when it is asked to, one at a time: however often that is meanwhile, once more. It must not reject. */
export function oneAtATime(work: () => Promise<void>): () => void {
  let asked = false;
  let running = false;
  const run = async (): Promise<void> => {
    running = true;
    while (asked) {
      asked = false;
      await work();
    }
    running = false;
  };
  return () => {
    asked = true;
    if (!running) void run();
  };
}

/** Events of a folder; null where the system gives none, as when it has no watch left: polling remains. */
function watchFolder(folder: string, onEvent: (file: string | null) => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, (_event, file) => onEvent(file));
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}

/** What changes with the file behind a path, links followed; null: not there. */
function fingerprint(path: string): string | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
}
