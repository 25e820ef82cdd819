/** What takes every record: the last requests, sums, the ledger, and OpenTelemetry where it is configured. */
import type { Aside } from '../base/aside.ts';
import type { Log } from '../base/log.ts';
import { say } from '../base/log-lines.ts';
import type { World } from '../base/world.ts';
import type { Config } from '../config/schema.ts';
import { keepStreams, type StreamKeeping } from '../observe/content.ts';
import { createLedger, type Ledger } from '../observe/ledger/ledger.ts';
import type { Segment } from '../observe/ledger/segment.ts';
import { createLedgerShare } from '../observe/ledger/share.ts';
import type { CalledAt } from '../observe/otlp/conventions.ts';
import type { Otlp } from '../observe/otlp/otlp.ts';
import { createRecent, type Recent } from '../observe/recent.ts';
import type { SinkState } from '../observe/sink-state.ts';
import type { Sinks } from '../observe/sinks/sinks.ts';
import { createSpend, type Spend } from '../observe/spend.ts';
import type { TargetNames } from '../observe/target-names.ts';
import type { Follower } from '../observe/telemetry.ts';

/** The open followers. */
export interface Followers {
  readonly recent: Recent;
  readonly spend: Spend;
  /** Null: none is kept. */
  readonly ledger: Ledger | null;
  /** Null: nothing is exported of what requests and replies say. */
  readonly content: StreamKeeping | null;
  /** By name: how sinks besides the ledger are doing. */
  sinks(): (readonly [string, SinkState])[];
  readonly all: readonly Follower[];
  /** Writes and exports what waits, each for at most `waitMs`. */
  close(waitMs: number): Promise<void>;
}

/** What they need besides the configuration. */
interface FollowersDeps {
  /** Reads what large requests say. */
  readonly aside: Aside;
  readonly names: TargetNames;
  /** Where a target is called; null: unknown. */
  at(target: string): CalledAt | null;
}

/** Opens them. */
export async function openFollowers(
  { observe }: Config,
  log: Log,
  world: World,
  { aside, names, at }: FollowersDeps,
): Promise<Followers> {
  const recent = createRecent(observe.recent);
  const spend = createSpend(names.of);
  const sinks = await openSinks(observe, log, world);
  const ledger = openLedger(observe.ledger, world, log, (another) => sinks?.wake(another));
  const otlp = await openOtlp(observe.otlp, log, world, aside, at);
  return {
    recent,
    spend,
    ledger,
    content: contentOf(observe, otlp),
    sinks: () => [...(sinks?.states() ?? []), ...(otlp === null ? [] : [['otlp', otlp.state] as const])],
    all: [recent, spend, ledger, otlp].filter((each) => each !== null),
    async close(waitMs) {
      // Sinks get what the ledger holds.
      const kept = async (): Promise<void> => {
        await ledger?.close(waitMs);
        await sinks?.close(waitMs);
      };
      await Promise.all([kept(), otlp?.close(waitMs)]);
    },
  };
}

/** Keeps what streams say where spans have it; null: they don't. */
function contentOf({ otlp: { signals, contentMaxBytes } }: Config['observe'], otlp: Otlp | null) {
  return otlp !== null && contentMaxBytes > 0 && signals.includes('traces') ? keepStreams() : null;
}

/** Opens those of a worker beside the first one, which has the ledger's file and sends it to sinks. */
export async function joinFollowers(
  { observe }: Config,
  log: Log,
  world: World,
  { aside, names, at }: FollowersDeps,
  { sendSegment }: { readonly sendSegment: (segment: Segment) => void },
): Promise<Followers> {
  const recent = createRecent(observe.recent);
  const spend = createSpend(names.of);
  const share = observe.ledger.path === undefined ? null : createLedgerShare(sendSegment);
  const otlp = await openOtlp(observe.otlp, log, world, aside, at);
  return {
    recent,
    spend,
    ledger: null,
    content: contentOf(observe, otlp),
    sinks: () => [],
    all: [recent, spend, share, otlp].filter((each) => each !== null),
    async close(waitMs) {
      share?.close();
      await otlp?.close(waitMs);
    },
  };
}

/** The ledger of a configuration; null: it names no file. */
function openLedger(
  { path, ...settings }: Config['observe']['ledger'],
  world: World,
  log: Log,
  onWritten: (another: boolean) => void,
): Ledger | null {
  if (path === undefined) return null;
  return createLedger(path, settings, {
    ...world,
    onWritten,
    onProblem: (problem) =>
      say(
        log,
        problem === null ? 'ledgerUp' : 'ledgerDown',
        problem === null ? { path } : { path, reason: problem },
      ),
  });
}

/** The sinks of a configuration; null: it has none. */
async function openSinks(
  { ledger: { path }, sinks: settings }: Config['observe'],
  log: Log,
  world: World,
): Promise<Sinks | null> {
  const { instance: _, ...kinds } = settings;
  if (path === undefined || Object.values(kinds).every((each) => each === undefined)) return null;
  // Loaded only if needed, as most sidecars share nothing.
  const { openSinks: open } = await import('../observe/sinks/sinks.ts');
  return open(path, settings, { ...world, onProblem: (sink, problem) => saySink(log, sink, problem) });
}

/** The exporter of a configuration; null: it names no receiver. */
async function openOtlp(
  settings: Config['observe']['otlp'],
  log: Log,
  world: World,
  aside: Aside,
  at: (target: string) => CalledAt | null,
): Promise<Otlp | null> {
  const { endpoint } = settings;
  if (endpoint === undefined) return null;
  // Loaded only if needed, since the SDK takes several MB.
  const { openOtlp: open } = await import('../observe/otlp/otlp.ts');
  return open(
    { ...settings, endpoint },
    {
      at,
      aside,
      wallClock: world.wallClock,
      onProblem: (problem) => saySink(log, 'otlp', problem),
    },
  );
}

/** Says that a sink can't be reached (with the reason), or can be again (null). */
function saySink(log: Log, sink: string, problem: string | null): void {
  if (problem === null) say(log, 'sinkUp', { sink });
  else say(log, 'sinkDown', { sink, reason: problem });
}
