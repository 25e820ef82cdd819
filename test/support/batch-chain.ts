/** A sidecar whose batch queue a test watches. */
import { type Chain, metricIn, startChain } from './chain.ts';
import { openaiWire } from './replies.ts';
import type { ConfigInput } from './sidecar.ts';
import { answers, type Call } from './upstream.ts';

/** Headers of a batch request. */
export const batch = { 'x-sidegate-priority': 'batch' };

/** A provider that answers. */
export const good = answers(openaiWire, 'Done.');

/** Starts a chain whose provider answers only when the test makes it. */
export const start = (more: ConfigInput = {}): Promise<Chain> => startChain(openaiWire, [[]], more);

/** The user a provider got with a call. */
export const userOf = ({ json }: Call): unknown => json.user;

/** Resolves once `count` requests wait. */
export async function waiting(chain: Pick<Chain, 'metrics'>, count: number): Promise<void> {
  while (metricIn(await chain.metrics(), 'sidegate_batch_waiting') !== count)
    await new Promise((resolve) => setImmediate(resolve));
}

/** How many batch requests were refused for this reason. */
export const refused = async (chain: Chain, reason: string): Promise<number | null> =>
  metricIn(await chain.metrics(), 'sidegate_batch_refused_total', { reason });
