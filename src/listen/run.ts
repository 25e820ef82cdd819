/** Runs the pipeline on an accepted request, and ends the request once its reply is written. */
import type { Exchange } from '../exchange/exchange.ts';
import type { Reply } from '../exchange/reply.ts';
import { forOrigin } from './cors.ts';
import type { Incoming } from './incoming.ts';
import type { NodeOutlet, Outlet, WholeOutlet } from './respond.ts';

/** Writes a reply; throws or rejects if it can't be written. */
export type Send = (reply: Reply, to: NodeOutlet | WholeOutlet) => Promise<void> | void;

/**
 * Creates the runner of a port: a function that never throws or rejects.
 * @param handle the pipeline; if it throws or rejects, the connection is closed without a reply
 */
export function createRunner(
  handle: (exchange: Exchange) => Reply | Promise<Reply>,
  send: Send,
): (incoming: Incoming, to: NodeOutlet | WholeOutlet) => void {
  const answer = (reply: Reply, incoming: Incoming, to: NodeOutlet | WholeOutlet): void => {
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
function giveUp(incoming: Incoming, to: Outlet): void {
  to.destroy();
  incoming.end();
}
