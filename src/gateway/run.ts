/**
 * Runs the pipeline. Most requests wait for nothing before their provider is asked, and a request answered from the
 * cache waits for nothing at all; returning such a reply without a promise saves microtasks. A generator reads like an
 * async function, but waits only if there is something to wait for.
 */

/** A computation that may wait for promises before it returns its value. */
export type Steps<T> = Generator<Promise<unknown>, T, unknown>;

/** Waits for a promise inside a computation: `yield* wait(promise)`. If it rejects, the computation ends there. */
export function* wait<T>(promise: Promise<T>): Steps<T> {
  return (yield promise) as T;
}

/**
 * Runs a computation to its end. Never throws or rejects, as long as `failed` doesn't throw.
 * @param done makes the result from what the computation returned
 * @param failed makes the result from what the computation or `done` threw, or what a promise rejected with
 */
export function run<T, R>(
  steps: Steps<T>,
  done: (value: T) => R,
  failed: (cause: unknown) => R,
): R | Promise<R> {
  try {
    const first = steps.next();
    return first.done === true ? done(first.value) : resume(steps, first.value, done, failed);
  } catch (cause) {
    return failed(cause);
  }
}

async function resume<T, R>(
  steps: Steps<T>,
  waitedFor: Promise<unknown>,
  done: (value: T) => R,
  failed: (cause: unknown) => R,
): Promise<R> {
  try {
    let pending = waitedFor;
    for (;;) {
      const value = await pending;
      const next = steps.next(value);
      if (next.done === true) return done(next.value);
      pending = next.value;
    }
  } catch (cause) {
    return failed(cause);
  }
}
