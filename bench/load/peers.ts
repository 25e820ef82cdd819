/**
 * Both ends of a load test in one process, the clients and the model provider, controlled over IPC.
 *
 * While an order runs, this process never sleeps. The kernel charges the cost of waking a process to the one that sends
 * to it, so idle peers would inflate the CPU time of the server under test: a cache hit, which leaves the provider
 * idle, would cost several µs more than with busy peers. Two processes that never sleep would compete for the only core
 * left to them; hence one process.
 */
import { type LoadOrder, run } from './client.ts';
import { usualStreams } from './facts.ts';
import { openUpstream, requestsAnswered, setPace } from './upstream.ts';

/** An order from the parent: a run, or `count` for the number of requests the provider has answered. */
export type PeersOrder = LoadOrder | 'count';

let running = false;

/** Runs one turn of the event loop after the other; each polls the sockets without waiting. */
function stayAwake(): void {
  if (running) setImmediate(stayAwake);
}

process.on('message', async (order: PeersOrder) => {
  if (order === 'count') return void process.send?.({ requests: requestsAnswered() });
  running = process.env.PEERS_SLEEP !== '1';
  setPace(order.streams ?? usualStreams);
  stayAwake();
  const report = await run(order);
  running = false;
  process.send?.(report);
});
process.on('disconnect', () => process.exit());
process.send?.({ port: await openUpstream() });
