/** What takes every record: the last requests, sums and the ledger. */
import type { Log } from '../base/log.ts';
import type { World } from '../base/world.ts';
import type { Config } from '../config/schema.ts';
import { createLedger, type Ledger } from '../observe/ledger/ledger.ts';
import { createRecent, type Recent } from '../observe/recent.ts';
import { createSpend, type Spend } from '../observe/spend.ts';
import type { Follower } from '../observe/telemetry.ts';

/** The open followers. */
export interface Followers {
  readonly recent: Recent;
  readonly spend: Spend;
  /** Null: none is kept. */
  readonly ledger: Ledger | null;
  readonly all: readonly Follower[];
  /** Writes and exports what waits, each for at most `waitMs`. */
  close(waitMs: number): Promise<void>;
}

/** Opens them. */
export function openFollowers({ observe }: Config, log: Log, world: World): Followers {
  const recent = createRecent(observe.recent);
  const spend = createSpend();
  const ledger = openLedger(observe.ledger, world, log);
  return {
    recent,
    spend,
    ledger,
    all: [recent, spend, ledger].filter((each) => each !== null),
    async close(waitMs) {
      await ledger?.close(waitMs);
    },
  };
}

/** The ledger of a configuration; null: it names no file. */
function openLedger(
  { path, ...settings }: Config['observe']['ledger'],
  world: World,
  log: Log,
): Ledger | null {
  if (path === undefined) return null;
  return createLedger(path, settings, {
    ...world,
    onProblem: (problem) =>
      problem === null
        ? log.info({ path }, 'the ledger can be written again')
        : log.error({ path, reason: problem }, 'the ledger cannot be written; its rows wait in memory'),
  });
}
