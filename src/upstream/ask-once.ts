/** One request to a provider whose reply is small and wanted soon: it is read whole within its time, or given up. */
import type { Connections } from './connect.ts';
import type { UpstreamSend } from './request-head.ts';
import { isReused, type ReplyHandler, type Sending } from './sending.ts';

/** A reply, read whole. */
export interface WholeAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** What a reply may take. */
export interface AnswerBounds {
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

/** Why a request was given up, if its time was over. */
export const lateText = 'it did not answer in time';

/**
 * Sends a request, once more if its connection had died while it was idle. Rejects with a reason that quotes nothing of
 * the reply: it is late, larger than it may be, or its connection broke.
 */
export function askOnce(
  pool: Pick<Connections, 'dispatch' | 'dispatchFresh'>,
  request: UpstreamSend,
  { timeoutMs, bytesMax }: AnswerBounds,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let [bytes, status, over, repeatable] = [0, 0, false, true];
    let sending: Sending | null = null;
    const end = (): boolean => {
      const first = !over;
      over = true;
      clearTimeout(late);
      return first;
    };
    const giveUp = (reason: string): void => {
      if (!end()) return;
      const error = new Error(reason);
      sending?.abort(error);
      reject(error);
    };
    const late = setTimeout(() => giveUp(lateText), timeoutMs);
    const handler: ReplyHandler = {
      onRequestStart(begun) {
        sending = begun;
        if (over) begun.abort(new Error('given up before it was sent'));
      },
      onResponseStart(_, code) {
        status = code;
      },
      onResponseData(_, chunk) {
        if (over) return;
        bytes += chunk.length;
        // What was read may be overwritten.
        if (bytes <= bytesMax) chunks.push(Buffer.from(chunk));
        else giveUp(`its reply has more than ${bytesMax} bytes`);
      },
      onResponseEnd() {
        if (end()) resolve({ status, body: Buffer.concat(chunks) });
      },
      onResponseError(_, error) {
        if (over) return;
        const again = repeatable && status === 0 && isReused(error);
        repeatable = false;
        if (again) pool.dispatchFresh(request, handler);
        else if (end()) reject(error);
      },
    };
    pool.dispatch(request, handler);
  });
}
