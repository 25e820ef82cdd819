/** Bounds that are divided among the workers of a sidecar: memory, connections, sessions, what is at work at once. */
import type { Config } from '../config/schema.ts';

/** A worker's part of a configuration. Limits, budgets and the cache aren't divided, as all workers share them. */
export function shareOf(config: Config): Config {
  const { workers, listen, batch, attempt } = config;
  if (workers === 1) return config;
  const part = (whole: number): number => Math.ceil(whole / workers);
  const { connectionsMax } = attempt;
  return {
    ...config,
    listen: {
      ...listen,
      connectionsMax: part(listen.connectionsMax),
      inFlightMax: part(listen.inFlightMax),
      bodiesMaxBytes: part(listen.bodiesMaxBytes),
      repliesMaxBytes: part(listen.repliesMaxBytes),
      sessions: { ...listen.sessions, max: part(listen.sessions.max) },
    },
    batch: {
      ...batch,
      queueMax: part(batch.queueMax),
      queueMaxBytes: part(batch.queueMaxBytes),
      concurrencyMax: part(batch.concurrencyMax),
    },
    attempt: connectionsMax === undefined ? attempt : { ...attempt, connectionsMax: part(connectionsMax) },
  };
}
