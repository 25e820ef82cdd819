/** Reads the body of a request from Node's server. */
import type { IncomingMessage } from 'node:http';
import { Refusal } from '../base/errors.ts';
import { Gather, releasePiece } from '../base/gather.ts';
import { tooLarge } from './check-head.ts';
import type { Incoming } from './incoming.ts';

/** Calls `done` once with the body or why it isn't read, or never if the client disconnects first. */
export function readBody(
  req: IncomingMessage,
  incoming: Incoming,
  maxBytes: number,
  done: (body: Buffer | Refusal) => void,
): void {
  const declared = req.headers['content-length'];
  const gathered = new Gather(declared === undefined ? maxBytes : Number(declared));
  const give = (refusal: Refusal): void => {
    req.off('data', take);
    gathered.free();
    done(refusal);
  };
  const take = (chunk: Buffer): void => {
    if (gathered.length + chunk.length > maxBytes) return give(tooLarge(maxBytes));
    if (!incoming.hold(chunk.length)) return give(crowded());
    gathered.push(chunk);
    releasePiece(chunk);
  };
  req.on('data', take);
  req.on('end', () => {
    if (incoming.reading) done(gathered.take());
  });
  // A client that leaves gives its memory back at once.
  req.on('close', () => gathered.free());
  // A broken connection also emits `close`; without a listener the error would end the process.
  req.on('error', ignore);
}

/** The refusal of a body for which there is no memory left. */
export const crowded = (): Refusal =>
  new Refusal('overloaded', 'The bodies of other requests take up all memory meant for them.', {
    retryAfterMs: 1000,
  });

const ignore = (): void => {};
