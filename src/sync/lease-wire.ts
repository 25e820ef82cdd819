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

/** Sends calls, one after the other, and never waits long. */
export interface Wire {
  connected(client: RedisClient): void;
  /** Rejects when it is not answered within `callTimeoutMs`. */
  send(call: LeaseCall): Promise<Buffer>;
  /** Whether too much is unanswered to send more. */
  hangs(): boolean;
  close(): void;
}

/** @param pod names this sidecar */
export function createWire(pod: string): Wire {
  const sha = createHash('sha1').update(leaseScript).digest('hex');
  let unanswered = 0;
  let client: RedisClient | null = null;
  return {
    connected(made) {
      client = made;
    },
    async send(call) {
      const connection = client;
      if (connection === null) throw new Error('not connected');
      const args = [...call.keys, pod, call.blob];
      unanswered += 1;
      const answer = connection
        .callBuffer('EVALSHA', sha, call.keys.length, ...args)
        .catch((cause: Error) => {
          if (!cause.message.startsWith('NOSCRIPT')) throw cause;
          return connection.callBuffer('EVAL', leaseScript, call.keys.length, ...args);
        })
        .finally(() => {
          unanswered -= 1;
        });
      answer.catch(() => {});
      return (await within(answer, callTimeoutMs)) as Buffer;
    },
    hangs: () => unanswered >= unansweredMax,
    close: () => client?.disconnect(),
  };
}
