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
  const unpoll = poll(path, schedule);
  return {
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      watcher?.close();
      unpoll();
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
 * Wraps `work` so that it runs one at a time. Calls during a run cause exactly one more run.
 * @param failed is told why a run rejected; later ones come all the same
 */
export function oneAtATime(work: () => Promise<void>, failed: (cause: unknown) => void): () => void {
  let asked = false;
  let running = false;
  const run = async (): Promise<void> => {
    running = true;
    while (asked) {
      asked = false;
      await work().catch(failed);
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

/** Looks at a file again and again; returns what ends it. A path that can be none, such as one with a NUL, isn't. */
function poll(path: string, onChange: () => void): () => void {
  try {
    watchFile(path, { persistent: false, interval: pollMs }, onChange);
    return () => unwatchFile(path, onChange);
  } catch {
    return () => {};
  }
}

/** A text that changes with the file at a path, links followed; null: there is none, or it can't be looked at. */
function fingerprint(path: string): string | null {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch {
    // No right to search its folder, links that form a circle, a disk that fails.
    return null;
  }
}
