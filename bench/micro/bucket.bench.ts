/** Times a token bucket's two calls a request. */
import { bucket } from '../../src/native.ts';

export const subject = 'bucket';

export function tasks(): Record<string, () => unknown> {
  const id = bucket.open(1e9, 1e6, 0);
  let nowMs = 0;
  return {
    'take and settle': () => {
      nowMs += 0.001;
      if (bucket.take(id, 100, nowMs) === 0) bucket.settle(id, 100, 60, nowMs);
    },
  };
}
