/**
 * Both ends of a load test in one process: the clients and the model provider, told what to do over IPC.
 *
 * While an order runs it never sleeps. The kernel bills the waking of a sleeper to whoever sends to it, so with sleepy
 * peers the server under test pays for how little they have to do: a cache hit, which leaves the provider idle, would
 * cost several µs more than the same work done among busy peers. Two processes that never sleep would fight for the
 * one core that is left to them; hence one process.
 */
import { type LoadOrder, run } from './client.ts';
import { openUpstream, requestsAnswered } from './upstream.ts';

/** What the parent may ask: a run, or how many requests the provider has answered. */
export type PeersOrder = LoadOrder | 'count';

let running = false;

/** One turn of the event loop after the other, each with a look at the sockets that doesn't wait. */
function stayAwake(): void {
  if (running) setImmediate(stayAwake);
}

process.on('message', async (order: PeersOrder) => {
  if (order === 'count') return void process.send?.({ requests: requestsAnswered() });
  running = true;
  stayAwake();
  const report = await run(order);
  running = false;
  process.send?.(report);
});
process.on('disconnect', () => process.exit());
process.send?.({ port: await openUpstream() });
