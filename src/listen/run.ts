/** Runs the pipeline on an accepted request, and ends the request once its reply is written. */
import type { Exchange } from '../exchange/exchange.ts';
import type { Reply } from '../exchange/reply.ts';
import { forOrigin } from './cors.ts';
import type { Incoming } from './incoming.ts';
import type { Outlet } from './respond.ts';

/** Writes a reply; throws or rejects if it can't be written. */
export type Send<To> = (reply: Reply, to: To) => Promise<void> | void;

/**
 * Creates the runner of a port: a function that never throws or rejects.
 * @param handle the pipeline; if it throws or rejects, the connection is closed without a reply
 */
export function createRunner<To extends Pick<Outlet, 'destroy'>>(
  handle: (exchange: Exchange) => Reply | Promise<Reply>,
  send: Send<To>,
): (incoming: Incoming, to: To) => void {
  const answer = (reply: Reply, incoming: Incoming, to: To): void => {
    try {
      const sent = send(forOrigin(reply, incoming.headers), to);
      if (!(sent instanceof Promise)) return incoming.end();
      sent.then(
        () => incoming.end(),
        () => giveUp(incoming, to),
      );
    } catch {
      giveUp(incoming, to);
    }
  };

  return (incoming, to) => {
    try {
      const reply = handle(incoming);
      if (!(reply instanceof Promise)) return answer(reply, incoming, to);
      reply.then(
        (late) => answer(late, incoming, to),
        () => giveUp(incoming, to),
      );
    } catch {
      giveUp(incoming, to);
    }
  };
}

/** Closes the connection of a request whose reply can't be made or written; the process goes on. */
function giveUp(incoming: Incoming, to: Pick<Outlet, 'destroy'>): void {
  to.destroy();
  incoming.end();
}
