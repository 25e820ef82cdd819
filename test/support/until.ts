/** Waiting for what others bring about: it is looked for again and again, for about as long as a test may take. */
import { vi } from 'vitest';

/** Just less than a test's own time, so that a failure says what was waited for. */
const patience = { timeout: 110_000, interval: 10 };

/** Waits until the question is answered with yes. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitUntil(holds, patience);
}

/** Waits until nothing is thrown any more, as by a failed `expect`, and gives what is returned then. */
export const eventually = <T>(expects: () => T | Promise<T>): Promise<T> => vi.waitFor(expects, patience);
