/**
 * The connection to peers: messages over a Redis channel, out of band. No request waits for it: a message that can't be
 * sent at once is dropped, and changes of Redis's reachability are reported.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Message } from './message.ts';
import { answerTimeoutMs, type RedisClient, redisClient } from './redis.ts';
import type { SyncConfig } from './settings.ts';
import { within } from './within.ts';

/** Callbacks of a connection to peers. */
export interface PeersEvents {
  onMessage(message: Message): void;
  /**
   * Redis is reachable or not: called once this is known, and at each change. `why`: a short reason, never a
   * credential.
   */
  onState(up: boolean, why: string): void;
  /** A message could not be sent. */
  onDropped(): void;
}

/** An open connection to peers. */
export interface Peers {
  /** Sends a message if Redis answers and not too many are pending; otherwise drops it. */
  publish(text: string): void;
  close(): void;
}

/** Rejects when a command takes longer than a hung Redis may go unnoticed. */
function answered<T>(answer: Promise<T>): Promise<T> {
  answer.catch(() => {});
  return within(answer, answerTimeoutMs);
}

/** Most messages sent to Redis and not confirmed yet. */
const pendingMax = 1000;
/** Longer messages are ignored. */
const messageMaxLength = 2048;
/** How often connections are tried while Redis answers, and while it does not. */
const pingEveryMs = { up: 8000, down: 1000 };

/**
 * Connects in the background, and again whenever the connection is lost.
 * @param random 0 ≤ x < 1; spreads the reconnections of peers
 */
export function connectPeers(
  sync: SyncConfig & { readonly redis: string },
  channel: string,
  random: () => number,
  events: PeersEvents,
): Peers {
  let clients: { readonly out: RedisClient; readonly into: RedisClient } | null = null;
  let closed = false;
  let up: boolean | null = null;
  let pending = 0;
  let timer: NodeJS.Timeout | null = null;

  const state = (next: boolean, why: string): void => {
    if (closed || next === up) return;
    up = next;
    events.onState(next, why);
  };

  const connect = async (): Promise<void> => {
    const [out, into, { readMessage }] = await Promise.all([
      redisClient(sync, random),
      redisClient(sync, random),
      // Loaded only if configured: it takes megabytes.
      import('./message.ts'),
    ]);
    if (closed) return;
    clients = { out, into };
    for (const client of [out, into]) {
      client.on('error', () => {});
      client.on('close', () => state(false, 'the connection is lost'));
    }
    into.on('ready', () => {
      // A connection that can't subscribe is useless: reconnect.
      into.subscribe(channel).catch(() => {
        if (!closed) into.disconnect(true);
      });
    });
    into.on('message', (_, text: string) => {
      const message = closed || text.length > messageMaxLength ? null : readMessage(text);
      if (message !== null) events.onMessage(message);
    });
    const connected = Promise.allSettled([out.connect(), into.connect()]);
    await Promise.race([connected, wait(2 * answerTimeoutMs, undefined, { ref: false })]);
    await beat();
  };

  /** Pings both connections, again and again. */
  const beat = async (): Promise<void> => {
    if (clients === null || closed) return;
    const { out, into } = clients;
    const answers = await Promise.allSettled([answered(out.ping()), answered(into.ping())]);
    const alive = answers.every(({ status }) => status === 'fulfilled');
    state(alive, alive ? '' : 'it does not answer');
    for (const [index, client] of [out, into].entries()) {
      // Reconnect a hung connection: the other end may have vanished without closing it.
      if (answers[index]?.status === 'rejected' && client.status === 'ready') client.disconnect(true);
    }
    if (!closed) timer = setTimeout(() => void beat(), alive ? pingEveryMs.up : pingEveryMs.down).unref();
  };

  // Whatever fails here must not end the process.
  void connect().catch(() => state(false, 'it cannot be used'));

  return {
    publish(text) {
      if (clients === null || up !== true || pending >= pendingMax) return events.onDropped();
      pending += 1;
      answered(clients.out.publish(channel, text))
        .catch(() => events.onDropped())
        .finally(() => {
          pending -= 1;
        });
    },
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      clients?.out.disconnect();
      clients?.into.disconnect();
    },
  };
}
