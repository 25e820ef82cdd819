/** One call that opens a WebSocket at a provider. It only reports the result, as `call.ts` does. */
import type { UpstreamRequest } from '../dialects/wire.ts';
import type { Provider } from '../upstream/target.ts';
import { openWebSocket, type WebSocketOpened } from '../upstream/web-socket.ts';
import { networkFailure } from './network.ts';
import { Patience } from './patience.ts';
import type { CallFailure, CallResult, Terms } from './result.ts';

/**
 * Opens a session. Resolves with its WebSocket, the provider's refusal or a failure; never rejects.
 * @param headers all of the call's, flat
 * @param messageMaxBytes largest message that is taken
 */
export function callSession(
  provider: Provider,
  { path, protocols = [] }: UpstreamRequest,
  headers: readonly string[],
  messageMaxBytes: number,
  { bounds, remainingMs, hurried, cancellation, clock, onResult }: Terms,
): Promise<CallResult> {
  return new Promise((resolve) => {
    let settled = false;
    const settle = (result: CallResult): void => {
      if (settled) return;
      settled = true;
      patience.cancel();
      cancellation.off(onCancel);
      onResult(result);
      resolve(result);
    };
    const fail = (failure: CallFailure, code = ''): void =>
      settle({ kind: 'failed', failure, arrived: null, code });
    const giveUp = (failure: CallFailure): void => {
      abort();
      fail(failure);
    };
    const onCancel = (): void => giveUp('cancelled');
    const waitMs = Math.min(bounds.replyTimeoutMs, remainingMs);
    const late = waitMs < remainingMs ? 'reply_timeout' : hurried ? 'client_deadline' : 'deadline';
    const patience = new Patience(waitMs, () => giveUp(late), clock);
    const abort = openWebSocket(provider, { path, headers, protocols, messageMaxBytes }, (opened) => {
      if (opened.kind !== 'failed') return settle(resultOf(opened));
      const { failure, code } = networkFailure(opened.error);
      fail(failure, code);
    });
    cancellation.onCancel(onCancel);
    if (cancellation.reason !== null) onCancel();
  });
}

function resultOf(opened: Exclude<WebSocketOpened, { kind: 'failed' }>): CallResult {
  const { headers } = opened;
  if (opened.kind === 'open') return { kind: 'session', status: 101, headers, socket: opened.socket };
  const { status, body } = opened;
  // Success without a WebSocket is no answer to what was asked.
  return status < 300
    ? { kind: 'failed', failure: 'malformed', arrived: null, code: '' }
    : { kind: 'status', status, headers, body };
}
