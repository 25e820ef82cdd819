/** A packed stream for a slow client: no more of it is taken from its provider than the client has room for. */
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { call } from '../../src/attempt/call.ts';
import type { CallResult, Terms } from '../../src/attempt/result.ts';
import { Cancellation } from '../../src/base/cancellation.ts';
import { nativeReading } from '../../src/dialects/native-reading.ts';
import type { ReplyHandler, Sending } from '../../src/upstream/sending.ts';
import type { Provider } from '../../src/upstream/target.ts';
import { eventually } from '../support/until.ts';

const KiB = 1024;

/** Events whose text says each word eight times: they are packed to an eighth. */
function events(count: number): Buffer {
  const event = (): string => {
    const content = randomBytes(768).toString('base64').repeat(8);
    return `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
  };
  return Buffer.from(Array.from({ length: count }, event).join(''));
}

test('what waits packed for a slow client does not grow with what it reads', async () => {
  const packed = gzipSync(events(3000));
  let handler: ReplyHandler | null = null;
  let paused = false;
  /** Of 16 KiB, that were unpacked since the client took some. */
  let pieces = 0;
  const sending: Sending = {
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      // As a socket does: it may be told to go on long after the client took something.
      setImmediate(send);
    },
    abort() {},
  };
  let sent = 0;
  const send = (): void => {
    while (!paused && sent < packed.length) {
      const end = Math.min(packed.length, sent + 64 * KiB);
      to.onResponseData(sending, packed.subarray(sent, end));
      sent = end;
    }
  };
  const terms = {
    wantsStream: true,
    choices: 1,
    hurried: false,
    bounds: {
      firstTokenTimeoutMs: 60_000,
      replyTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      replyMaxBytes: 64 * KiB * KiB,
      eventMaxBytes: KiB * KiB,
    },
    remainingMs: 60_000,
    cancellation: new Cancellation(),
    clock: () => performance.now(),
    room: {
      holdReply() {
        pieces += 1;
        return true;
      },
    },
    onResult() {},
    onDied() {},
    onDefect(cause: unknown) {
      throw cause;
    },
  } as unknown as Terms;
  const pool = {
    dispatch(_: unknown, taker: ReplyHandler) {
      handler = taker;
    },
  };
  const request = {
    path: '/',
    headers: [],
    body: Buffer.from('{}'),
    reading: nativeReading('openai', false),
  };
  const result: Promise<CallResult> = call(
    { pool } as unknown as Provider,
    request as never,
    [],
    false,
    terms,
  );
  const to = handler as unknown as ReplyHandler;
  to.onRequestStart(sending);
  to.onResponseStart(sending, 200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
  send();
  const answer = await result;
  if (answer.kind !== 'stream') throw new Error(answer.kind);
  let taken = 0;
  while (taken < 3 * KiB * KiB) {
    // It reads slowly: by then as much waits for it as may.
    await eventually(() => expect(pieces).toBeGreaterThanOrEqual(4));
    pieces = 0;
    await new Promise<void>((resolve) =>
      answer.stream.next((chunk) => {
        taken += chunk?.length ?? 0;
        resolve();
      }),
    );
  }
  // An eighth of what the client has, and what may wait.
  expect(sent).toBeLessThan(KiB * KiB);
  answer.stream.stop();
});
