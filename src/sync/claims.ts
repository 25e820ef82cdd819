/** Idempotency keys over Redis: `SET NX` with a deadline, then the reply in its place. */
import { createHash, randomBytes } from 'node:crypto';
import type { Telemetry } from '../base/telemetry.ts';
import type { Claimed, SharedClaims } from '../exchange/claims.ts';
import { askTimeoutMs } from '../exchange/lease.ts';
import type { StoredReply } from '../exchange/reply.ts';
import { schemaVersion } from './lease-call.ts';
import { type RedisClient, redisClient } from './redis.ts';
import { type ReplyHead, readReplyHead, replyHead } from './reply-wire.ts';
import type { SyncConfig } from './settings.ts';
import { within } from './within.ts';

/** Calls that Redis has not answered: beyond it none is sent. */
const unansweredMax = 1000;
/** Once an answer was late, none is asked for this long. */
const pauseMs = 1000;
const tokenBytes = 12;
/** Replaces or removes a claim, if it is still this pod's. */
const finishScript = `local is = redis.call('GET', KEYS[1])
if is ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/** Claims for longer what nobody else has claimed. */
const renewScript = `local is = redis.call('GET', KEYS[1])
if is and is ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

/** Claims over a connection of their own. */
export interface ClaimSync extends SharedClaims {
  /** Adopts settings: connects elsewhere, or not at all. @param wanted whether keys are shared */
  update(sync: SyncConfig, wanted: boolean): void;
  close(): void;
}

/** What claims need. */
export interface ClaimSyncDeps {
  /** Monotonic ms. */
  readonly clock: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly telemetry: Pick<Telemetry, 'claim'>;
}

/** Creates them, not connected yet. */
export function createClaims({ clock, random, telemetry }: ClaimSyncDeps): ClaimSync {
  let settings = '';
  let prefix = '';
  let shards = 1;
  let client: RedisClient | null = null;
  let unanswered = 0;
  let pauseUntilMs = Number.NEGATIVE_INFINITY;

  const close = (): void => {
    client?.disconnect();
    client = null;
  };
  const connect = async (sync: SyncConfig & { readonly redis: string }, of: string): Promise<void> => {
    const made = await redisClient(sync, random);
    if (of !== settings) return made.disconnect();
    client = made;
    // What is wrong with Redis is said by the leases.
    made.on('error', () => {});
    await made.connect().catch(() => {});
  };
  /** Keys of callers are nobody's business in Redis. */
  const nameOf = (key: string): string => {
    const digest = createHash('sha256').update(key).digest();
    return `${prefix}:${schemaVersion}:{${digest.readUInt16BE(0) % shards}}:i:${digest.toString('base64url')}`;
  };
  const call = async (name: string, ...args: (string | Buffer)[]): Promise<unknown> => {
    if (client === null) throw new Error('not connected');
    unanswered += 1;
    const answer = client.callBuffer(name, ...args).finally(() => {
      unanswered -= 1;
    });
    return answer;
  };
  /** Puts something in a claim's place if it is still there. @param then empty: nothing */
  const finishAt = (name: string, claim: string, then: string | Buffer, ttlMs: number): void => {
    call('EVAL', finishScript, '1', name, claim, then, String(ttlMs)).catch(() => {});
  };
  const ask = async (key: string, fingerprint: string, forMs: number): Promise<Claimed> => {
    const token = randomBytes(tokenBytes).toString('base64url');
    const wanted = runningText(token, fingerprint);
    const name = nameOf(key);
    const args = [name, wanted, 'NX', 'GET', 'PX', String(lastingMs(forMs))];
    const answer = call('SET', ...args);
    let late = false;
    // Who went on alone has no claim to finish: others would wait for it until it ends by itself.
    const giveBack = (found: unknown): unknown => late && found === null && finishAt(name, wanted, '', 0);
    answer.then(giveBack, () => {});
    const found = await within(answer, askTimeoutMs).catch((cause: unknown) => {
      late = true;
      throw cause;
    });
    return found === null ? { kind: 'mine', token } : (readClaim(found) ?? { kind: 'alone' });
  };

  return {
    async claim(key, fingerprint, forMs) {
      let told: Claimed = { kind: 'alone' };
      if (clock() >= pauseUntilMs && unanswered < unansweredMax) {
        told = await ask(key, fingerprint, forMs).catch((): Claimed => {
          pauseUntilMs = clock() + pauseMs;
          return told;
        });
      }
      telemetry.claim(told.kind);
      return told;
    },
    renew(key, token, fingerprint, forMs) {
      if (unanswered >= unansweredMax) return;
      const mine = runningText(token, fingerprint);
      call('EVAL', renewScript, '1', nameOf(key), mine, String(lastingMs(forMs))).catch(() => {});
    },
    finish(key, token, fingerprint, reply, ttlMs) {
      if (unanswered >= unansweredMax) return;
      const mine = runningText(token, fingerprint);
      const then = reply === null ? '' : storedBytes(fingerprint, reply);
      finishAt(nameOf(key), mine, then, ttlMs);
    },
    update(sync, wanted) {
      const { redis } = sync;
      const next = wanted && redis !== undefined ? JSON.stringify(sync) : '';
      if (next === settings) return;
      settings = next;
      close();
      prefix = sync.prefix;
      shards = sync.mode === 'cluster' ? sync.shards : 1;
      if (next !== '' && redis !== undefined) void connect({ ...sync, redis }, next).catch(() => {});
    },
    close() {
      settings = '';
      close();
    },
  };
}

/** As Redis takes it. */
const lastingMs = (ms: number): number => Math.max(1, Math.ceil(ms));

const runningText = (token: string, fingerprint: string): string => `r${token} ${fingerprint}`;

function storedBytes(fingerprint: string, reply: StoredReply): Buffer {
  return Buffer.concat([
    Buffer.from(`s${JSON.stringify({ fingerprint, ...replyHead(reply) })}\n`),
    reply.body,
  ]);
}

/** What another pod has written; null: nobody of ours has. */
function readClaim(found: unknown): Claimed | null {
  if (!Buffer.isBuffer(found)) return null;
  const end = found.indexOf('\n');
  const text = found.toString('utf8', 1, end < 0 ? undefined : end);
  if (found[0] === 0x72) {
    const at = text.indexOf(' ');
    return at < 0 ? null : { kind: 'running', fingerprint: text.slice(at + 1) };
  }
  if (found[0] !== 0x73 || end < 0) return null;
  try {
    const { fingerprint, ...given }: Partial<ReplyHead & { fingerprint: string }> = JSON.parse(text);
    const head = readReplyHead(given);
    if (head === null || typeof fingerprint !== 'string') return null;
    return { kind: 'stored', fingerprint, reply: { ...head, body: found.subarray(end + 1) } };
  } catch {
    return null;
  }
}
