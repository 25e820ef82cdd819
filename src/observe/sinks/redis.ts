/** Records in a Redis stream, one entry each, as JSON in the field `record`. */
import { Redis } from 'ioredis';
import { parseObject } from '../../base/json.ts';
import type { Span } from '../ledger/report.ts';
import type { SinkSettings } from './settings.ts';
import { type Sink, type SinkRow, type SinkSource, sendTimeoutMs } from './sink.ts';

type Settings = NonNullable<SinkSettings['redis']>;

const field = 'record';
/** Entries read at a time. */
const readMax = 1000;

/** Why a client has no connection: its commands only say that they have none. */
const lost = new WeakMap<Redis, Error>();
const reasonOf = (client: Redis, thrown: unknown): unknown => lost.get(client) ?? thrown;

/** Connects on first use; a command fails within the time that sending may take. */
function connect({ url }: Settings): Redis {
  const client = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    connectTimeout: sendTimeoutMs,
    commandTimeout: sendTimeoutMs,
    retryStrategy: () => null,
  });
  // Reported by the command that fails.
  client.on('error', (cause) => lost.set(client, cause));
  return client;
}

/** Opens the stream for writing. */
export async function openRedis(settings: Settings): Promise<Sink> {
  const { key, recordsMax } = settings;
  let client = connect(settings);
  return {
    async send(rows) {
      // A client whose connection was lost is over: none of its commands may be sent again by itself.
      if (client.status === 'end') client = connect(settings);
      const pipeline = client.pipeline();
      for (const row of rows) pipeline.xadd(key, 'MAXLEN', '~', recordsMax, '*', field, JSON.stringify(row));
      const results = await pipeline.exec();
      const [failure] = results?.find(([cause]) => cause !== null) ?? [];
      if (failure === undefined) return;
      // On a connection that hangs, each attempt would wait for the next, and all be added once it goes on.
      const failed = client;
      failed.disconnect();
      client = connect(settings);
      throw reasonOf(failed, failure);
    },
    async close() {
      client.disconnect();
    },
  };
}

/** The record in an entry; null: it is something else, which anybody may add to a stream. */
function recordIn(text: string | undefined): SinkRow | null {
  const row = text === undefined ? null : parseObject(text);
  if (row === null || typeof row.request_id !== 'string') return null;
  return Array.isArray(row.charges) && Array.isArray(row.steps) ? (row as unknown as SinkRow) : null;
}

/** Opens the stream for reading. */
export async function readRedis(settings: Settings): Promise<SinkSource> {
  const client = connect(settings);
  return {
    async *rows(span: Span) {
      let next = '-';
      for (;;) {
        const entries = await client
          .xrange(settings.key, next, '+', 'COUNT', readMax)
          .catch((thrown: unknown) => Promise.reject(reasonOf(client, thrown)));
        for (const [, values] of entries) {
          const row = recordIn(values[values.indexOf(field) + 1]);
          const endedMs = Number(row?.ended_ms);
          if (row !== null && endedMs >= span.fromMs && endedMs < span.toMs) yield row;
        }
        const last = entries.at(-1)?.[0];
        if (last === undefined || entries.length < readMax) return;
        // Exclusive: entries after it.
        next = `(${last}`;
      }
    },
    async close() {
      client.disconnect();
    },
  };
}
