/** Records the latency of calls. */
import type { PeakEwma } from '../upstream/peak-ewma.ts';
import type { CallResult } from './result.ts';

/** Records a call's result in its target's latency. @param begunMs the time passed to `begin` */
export function learnLatency(
  latency: PeakEwma,
  stream: boolean,
  begunMs: number,
  result: CallResult,
  nowMs: number,
): void {
  if (result.kind === 'stream') latency.observe(stream, begunMs, nowMs, 0);
  else if (result.kind === 'whole')
    latency.observe(stream, begunMs, nowMs, stream ? 0 : result.facts.outputTokens);
  else if (result.kind === 'failed' && result.failure === 'cancelled') latency.giveUp(stream, begunMs, nowMs);
  else if (result.kind === 'failed' || (result.kind === 'status' && result.status >= 500))
    latency.fail(stream, begunMs, nowMs);
  // How long a WebSocket takes to open says nothing of the model's speed either.
  else latency.abandon(stream, begunMs);
}
