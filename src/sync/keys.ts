/**
 * Stored keys over Redis: keys made or revoked in one pod hold in all. The leases tell when there is something new, so
 * that nothing is asked in vain; what other processes write to this pod's store is looked for.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { Telemetry } from '../base/telemetry.ts';
import type { KeyBook, KeyRow } from '../exchange/shared-keys.ts';
import { keysVersionName, schemaVersion } from './lease-call.ts';
import { type RedisClient, redisClient } from './redis.ts';
import type { SyncConfig } from './settings.ts';
import { within } from './within.ts';

/** How often this pod's store is looked at for keys that other processes have made or revoked. */
const lookEveryMs = 50;
const answerTimeoutMs = 900;
/** Keys of one call, each way. */
const rowsMax = 200;

const keysScript = `-- Takes keys that a pod made or revoked, and gives those it doesn't know.
-- KEYS: all keys by id, their order, the version of the last, what tells this Redis from one that was lost.
-- ARGV: the version that the pod knows, the Redis it is from, a name for a new Redis, then ids and keys in turn.
local born = redis.call('GET', KEYS[4])
local last = tonumber(redis.call('GET', KEYS[3]) or 0) or 0
-- What a pod has seen here and is here no more was lost, as with a master: it is another Redis then.
if not born or (born == ARGV[2] and tonumber(ARGV[1]) > last) then
  born = ARGV[3]
  redis.call('SET', KEYS[4], born)
end
-- Versions are times: one of a Redis that was lost must not come again, or pods that have it would ask for nothing.
local time = redis.call('TIME')
local wall = time[1] * 1000 + math.floor(time[2] / 1000)
local known = (born == ARGV[2]) and tonumber(ARGV[1]) or 0
for i = 4, #ARGV, 2 do
  local id, text = ARGV[i], ARGV[i + 1]
  local old = redis.call('HGET', KEYS[1], id)
  if old then
    local was, is = cjson.decode(old), cjson.decode(text)
    if was.digest == is.digest and is.revokedMs ~= cjson.null and was.revokedMs == cjson.null then
      was.revokedMs = is.revokedMs
      text = cjson.encode(was)
      old = nil
    end
  end
  if not old then
    last = math.max(last + 1, wall)
    redis.call('SET', KEYS[3], string.format('%.0f', last))
    redis.call('ZADD', KEYS[2], string.format('%.0f', last), id)
    redis.call('HSET', KEYS[1], id, text)
  end
end
local found = redis.call('ZRANGEBYSCORE', KEYS[2], string.format('(%.0f', known), '+inf', 'WITHSCORES', 'LIMIT', 0, ${rowsMax})
local out = { born, string.format('%.0f', known) }
for i = 1, #found, 2 do
  out[2] = found[i + 1]
  out[#out + 1] = redis.call('HGET', KEYS[1], found[i])
end
return out
`;

/** Keeps this pod's store and Redis alike. */
export interface KeySync {
  /** Adopts settings: connects elsewhere, or not at all. */
  update(sync: SyncConfig): void;
  /** Redis has this version of the keys. */
  told(version: number): void;
  close(): void;
}

/** What it needs. */
export interface KeySyncDeps {
  readonly book: KeyBook;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly telemetry: Pick<Telemetry, 'keysShared'>;
}

/** Creates it, not connected yet. */
export function createKeySync({ book, random, telemetry }: KeySyncDeps): KeySync {
  const sha = createHash('sha1').update(keysScript).digest('hex');
  let settings = '';
  let names: string[] = [];
  let client: RedisClient | null = null;
  let timer: NodeJS.Timeout | null = null;
  let busy = false;
  let again = false;

  const call = (redis: RedisClient, args: string[]): Promise<unknown> =>
    redis.call('EVALSHA', sha, '4', ...names, ...args).catch((cause: Error) => {
      if (!cause.message.startsWith('NOSCRIPT')) throw cause;
      return redis.call('EVAL', keysScript, '4', ...names, ...args);
    });

  /** One exchange; true: there may be more. */
  const exchange = async (redis: RedisClient): Promise<boolean> => {
    const { born, version } = book.place;
    const rows = book.unsent(rowsMax);
    const texts = rows.flatMap((row) => [row.id, JSON.stringify(row)]);
    const answer = call(redis, [String(version), born, randomUUID(), ...texts]);
    answer.catch(() => {});
    const [bornNow, versionNow, ...found] = (await within(answer, answerTimeoutMs)) as string[];
    if (bornNow === undefined || !Number.isSafeInteger(Number(versionNow))) throw new Error('not an answer');
    if (rows.length > 0) book.sent(rows);
    if (bornNow !== born && born !== '') book.resend();
    const adopted = found.flatMap((text) => readRow(text) ?? []);
    if (adopted.length > 0 || bornNow !== born || Number(versionNow) !== version)
      book.adopt(adopted, { born: bornNow, version: Number(versionNow) });
    telemetry.keysShared(rows.length, adopted.length);
    return rows.length === rowsMax || found.length === rowsMax || (bornNow !== born && born !== '');
  };

  const sync = (): void => {
    const redis = client;
    if (redis === null) return;
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    again = false;
    // A failure changes nothing: what is to be sent stays so, and the leases say what is wrong with Redis.
    exchange(redis)
      .catch(() => false)
      .then((more) => {
        busy = false;
        if (more || again) sync();
      });
  };
  const look = (): void => {
    try {
      if (!busy && book.unsent(1).length > 0) sync();
    } catch {
      // The store is busy: it is looked at again soon.
    }
  };
  const connect = async (to: SyncConfig & { readonly redis: string }, of: string): Promise<void> => {
    const made = await redisClient(to, random);
    if (of !== settings) return made.disconnect();
    client = made;
    made.on('error', () => {});
    await made.connect().catch(() => {});
  };
  const disconnect = (): void => {
    if (timer !== null) clearInterval(timer);
    timer = null;
    client?.disconnect();
    client = null;
  };

  return {
    update(next) {
      const { redis } = next;
      const text = redis === undefined ? '' : JSON.stringify(next);
      if (text === settings) return;
      settings = text;
      disconnect();
      if (redis === undefined) return;
      names = ['rows', 'order', '', 'born'].map((part) =>
        part === '' ? keysVersionName(next.prefix, 0) : `${next.prefix}:${schemaVersion}:{0}:keys:${part}`,
      );
      void connect({ ...next, redis }, text).catch(() => {});
      timer = setInterval(look, lookEveryMs).unref();
    },
    told(version) {
      if (version !== book.place.version) sync();
    },
    close() {
      settings = '';
      disconnect();
    },
  };
}

/** A key that another pod has told of; null: it is none. */
function readRow(text: string): KeyRow | null {
  try {
    const { id, digest, body, createdMs, revokedMs }: Partial<KeyRow> = JSON.parse(text);
    const texts = typeof id === 'string' && typeof body === 'string' && /^[0-9a-f]{64}$/.test(digest ?? '');
    if (!texts || !Number.isFinite(createdMs) || !(revokedMs === null || Number.isFinite(revokedMs)))
      return null;
    JSON.parse(body);
    return {
      id,
      body,
      digest: digest as string,
      createdMs: createdMs as number,
      revokedMs: revokedMs ?? null,
    };
  } catch {
    return null;
  }
}
