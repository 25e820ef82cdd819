/** Watches a configuration file, even if an editor renames it or Kubernetes swaps a symbolic link. */
import { type FSWatcher, statSync, unwatchFile, watch, watchFile } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Silence after the last event before a change is reported: saving a file causes several events. */
const quietMs = 100;
/** Longest delay of a report while events keep coming. */
const waitMaxMs = 1000;
/** Polling interval, for changes without events: a file behind a link, a replaced folder, a network mount. */
const pollMs = 5000;

/** A running watch. */
export interface ConfigWatch {
  /** Ends the watch; nothing is reported afterwards. */
  close(): void;
}

/**
 * Calls `onChange` after the file has changed and exists. Watches its folder rather than the file, so that it may be
 * replaced or be missing for a moment. Never keeps the process alive, and never throws.
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
    // If it is missing, its return causes another event.
    if (now === null || (now === seen && !touched)) return;
    seen = now;
    touched = false;
    onChange();
  };
  const schedule = (): void => {
    if (closed) return;
    const nowMs = performance.now();
    if (timer === null) firstMs = nowMs;
    else clearTimeout(timer);
    timer = setTimeout(settle, Math.max(0, Math.min(quietMs, firstMs + waitMaxMs - nowMs)));
    timer.unref();
  };

  const watcher = watchFolder(dirname(path), (file) => {
    // An event with its name counts even if the fingerprint is the same: two writes can have the same timestamp.
    if (file === name) touched = true;
    schedule();
  });
  watchFile(path, { persistent: false, interval: pollMs }, schedule);
  return {
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      watcher?.close();
      unwatchFile(path, schedule);
    },
  };
}

/** Watches the files that were passed last, such as those of secrets, which Kubernetes swaps when they are rotated. */
export function followFiles(onChange: () => void): (paths: readonly string[]) => void {
  const watches = new Map<string, ConfigWatch>();
  return (paths) => {
    for (const [path, watch] of watches) {
      if (paths.includes(path)) continue;
      watch.close();
      watches.delete(path);
    }
    for (const path of paths) if (!watches.has(path)) watches.set(path, watchConfig(path, onChange));
  };
}

/**
 * Wraps `work` so that it runs one at a time. Calls during a run cause exactly one more run. It must not reject.
 */
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

/** Wraps `work` so that it runs at most once in `everyMs`; a call in between causes one more run at its end. */
export function rarely(work: () => void, everyMs: number): () => void {
  let timer: NodeJS.Timeout | null = null;
  let again = false;
  const run = (): void => {
    again = false;
    timer = setTimeout(() => {
      timer = null;
      if (again) run();
    }, everyMs);
    timer.unref();
    work();
  };
  return () => {
    if (timer === null) run();
    else again = true;
  };
}

/** Watches a folder; null: the system provides no events, for example when it is out of watches. Polling remains. */
function watchFolder(folder: string, onEvent: (file: string | null) => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, (_event, file) => onEvent(file));
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}

/** A text that changes with the file at a path, links followed; null: there is no file. */
function fingerprint(path: string): string | null {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
}
