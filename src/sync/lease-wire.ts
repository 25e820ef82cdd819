/** Calls of the lease script over one connection: each is answered soon, or given up. */
import { createHash } from 'node:crypto';
import type { LeaseCall } from './lease-call.ts';
import { leaseScript } from './lease-script.ts';
import type { RedisClient } from './redis.ts';
import { within } from './within.ts';

/** An answer that takes longer is none. */
const callTimeoutMs = 900;
/** Calls that Redis has not answered: beyond it none is sent. */
const unansweredMax = 8;
/** A connection with a call that is older is given up. */
const hungMs = 5000;

/** Sends calls, one after the other, and never waits long. */
export interface Wire {
  connected(client: RedisClient): void;
  /** Rejects when it is not answered within `callTimeoutMs`. */
  send(call: LeaseCall): Promise<Buffer>;
  /** Whether too much is unanswered to send more; a connection that hangs is then replaced. */
  hangs(): boolean;
  close(): void;
}

/** @param pod names this sidecar @param clock monotonic ms */
export function createWire(pod: string, clock: () => number): Wire {
  const sha = createHash('sha1').update(leaseScript).digest('hex');
  const unanswered = new Set<{ readonly sentMs: number }>();
  let client: RedisClient | null = null;
  return {
    connected(made) {
      client = made;
    },
    async send(call) {
      const connection = client;
      if (connection === null) throw new Error('not connected');
      const sent = { sentMs: clock() };
      const args = [...call.keys, pod, call.blob];
      unanswered.add(sent);
      const answer = connection
        .callBuffer('EVALSHA', sha, call.keys.length, ...args)
        .catch((cause: Error) => {
          if (!cause.message.startsWith('NOSCRIPT')) throw cause;
          return connection.callBuffer('EVAL', leaseScript, call.keys.length, ...args);
        })
        .finally(() => unanswered.delete(sent));
      answer.catch(() => {});
      return (await within(answer, callTimeoutMs)) as Buffer;
    },
    hangs() {
      const [oldest] = unanswered;
      if (oldest === undefined) return false;
      if (clock() - oldest.sentMs > hungMs) {
        unanswered.clear();
        client?.disconnect(true);
        return true;
      }
      return unanswered.size >= unansweredMax;
    },
    close: () => client?.disconnect(),
  };
}
