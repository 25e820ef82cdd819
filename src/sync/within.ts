/** Waiting for an answer for a while, on a machine that may be busy. */

/** Rejects when an answer takes longer. */
export async function within<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  let cancel = (): void => {};
  const late = new Promise<never>((_, reject) => {
    cancel = afterIdle(timeoutMs, () => reject(new Error('timed out')));
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    cancel();
  }
}

/**
 * Runs something in a while, unless it is cancelled. What has arrived by then comes first: a process that was held up
 * for a moment finds its timers due before it reads its sockets, and would take what is there for late.
 */
export function afterIdle(ms: number, work: () => void): () => void {
  let cancelled = false;
  const timer = setTimeout(() => setImmediate(() => setImmediate(() => cancelled || work())), ms);
  return () => {
    cancelled = true;
    clearTimeout(timer);
  };
}
