/** What the workers of a sidecar share in the native core: they open its tables by the same names. */

/** A worker's part in it. */
export interface Shared {
  /** Number of this worker, from 0, and how many there are. */
  readonly worker: number;
  readonly workers: number;
  /** The name of a table; undefined: there is one worker, and the table is its own. */
  name(table: string): string | undefined;
}

/** Whether this worker sets the bounds of what all share: the first one does, which alone knows how full the memory is. */
export const setsBounds = ({ worker }: Shared): boolean => worker === 0;

/** There is one worker. */
export const unshared: Shared = { worker: 0, workers: 1, name: () => undefined };
