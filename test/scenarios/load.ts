/** Open-loop load: requests go out when they are due, whatever became of those before. */
import { setTimeout as wait } from 'node:timers/promises';

/** Sends at a rate until it is stopped. */
export interface Load {
  /** Ends the sending, and resolves when every request has its end. */
  stop(): Promise<void>;
  /** Requests sent so far. */
  readonly sent: number;
}

/** @param send one request; must not reject */
export function startLoad(perSecond: number, send: (index: number) => Promise<void>): Load {
  const startMs = performance.now();
  const open = new Set<Promise<void>>();
  let sent = 0;
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      const due = Math.floor(((performance.now() - startMs) / 1000) * perSecond);
      for (; sent < due; sent++) {
        const one = send(sent).finally(() => open.delete(one));
        open.add(one);
      }
      await wait(1000 / perSecond);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await done;
      await Promise.all(open);
    },
    get sent() {
      return sent;
    },
  };
}

/** Watches for this process' own stalls, for which neither gateway nor provider is to blame. */
export function watchStalls(): { stalledSince(startMs: number): boolean; stop(): void } {
  const everyMs = 10;
  const stallMs = 50;
  let lastMs = performance.now();
  let stalledMs = Number.NEGATIVE_INFINITY;
  const look = (): void => {
    const nowMs = performance.now();
    if (nowMs - lastMs > everyMs + stallMs) stalledMs = nowMs;
    lastMs = nowMs;
  };
  const timer = setInterval(look, everyMs);
  return {
    stalledSince(startMs) {
      look();
      return stalledMs >= startMs;
    },
    stop: () => clearInterval(timer),
  };
}

/** Rows as a table for people. */
export function tableOf(rows: readonly Readonly<Record<string, string | number>>[]): string {
  const names = Object.keys(rows[0] ?? {});
  const widths = names.map((name) =>
    Math.max(name.length, ...rows.map((row) => String(row[name] ?? '').length)),
  );
  const line = (cells: readonly (string | number)[]): string =>
    cells.map((cell, i) => String(cell).padStart(widths[i] ?? 0)).join('  ');
  return [line(names), ...rows.map((row) => line(names.map((name) => row[name] ?? '')))].join('\n');
}
