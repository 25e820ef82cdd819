/**
 * The credentials of this machine, each kept once for all providers that use it. So a reload that opens a provider anew
 * goes on with what was obtained before, even if the platform doesn't answer just then.
 */
import { type Expiring, type Keeper, keepToken } from './keeper.ts';

/** The kept credentials. */
export interface Keepers {
  /**
   * Keeps a credential fresh until all that opened it have closed it. Resolves after the first try; never rejects.
   * @param name identifies the credential
   * @param onFailure called for each failed try
   */
  open<T>(
    name: string,
    fetch: () => Promise<Expiring<T>>,
    onFailure: (cause: unknown) => void,
  ): Promise<Keeper<T>>;
}

interface Kept {
  readonly keeper: Promise<Keeper<unknown>>;
  /** What each that uses it does about a failure. */
  readonly users: Set<(cause: unknown) => void>;
}

/** @param wallClock Unix ms */
export function createKeepers(wallClock: () => number): Keepers {
  const kept = new Map<string, Kept>();

  const keep = (name: string, fetch: () => Promise<Expiring<unknown>>): Kept => {
    const users: Kept['users'] = new Set();
    const tell = (cause: unknown): void => {
      for (const onFailure of users) onFailure(cause);
    };
    const made = { keeper: keepToken(fetch, wallClock, tell), users };
    kept.set(name, made);
    return made;
  };

  return {
    async open<T>(name: string, fetch: () => Promise<Expiring<T>>, onFailure: (cause: unknown) => void) {
      const entry = kept.get(name) ?? keep(name, fetch);
      const user = (cause: unknown): void => onFailure(cause);
      entry.users.add(user);
      const keeper = (await entry.keeper) as Keeper<T>;
      return {
        current: keeper.current,
        renew: keeper.renew,
        close() {
          if (!entry.users.delete(user) || entry.users.size > 0) return;
          kept.delete(name);
          keeper.close();
        },
      };
    },
  };
}
