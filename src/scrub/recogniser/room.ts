/** The recogniser in use: kept over reloads that don't change its settings, with all that it knows. */
import { createRecogniser, type Recogniser, type RecogniserWorld } from './recogniser.ts';
import type { RecogniserSettings } from './settings.ts';

/** Holds at most one recogniser. */
export interface RecogniserRoom {
  /** The recogniser of a configuration; null: it has none. Another's ends with the last request that uses it. */
  update(settings: RecogniserSettings | undefined): Recogniser | null;
  /** Ends it. */
  close(): void;
}

/** Creates it empty. */
export function createRecogniserRoom(world: RecogniserWorld): RecogniserRoom {
  let current: { readonly recogniser: Recogniser; readonly settings: string } | null = null;
  const close = (): void => {
    current?.recogniser.close();
    current = null;
  };
  return {
    update(settings) {
      if (settings === undefined) {
        close();
        return null;
      }
      const text = JSON.stringify(settings);
      if (current?.settings === text) return current.recogniser;
      close();
      current = { recogniser: createRecogniser(settings, world), settings: text };
      return current.recogniser;
    },
    close,
  };
}
