/** The cache as parts of a snapshot: taken out when a process ends, adopted when the next begins. */
import type { ReplyStore } from '../store/replies.ts';
import type { AlikeLevels } from './alike.ts';
import type { Embedder } from './embedder.ts';
import type { KeptPlaces, Places } from './places.ts';
import type { SnapshotPart } from './snapshot.ts';

/** What a snapshot is made of, and filled into. */
export interface Kept {
  /** Takes all out of the cache. @param nowMs monotonic ms @param wallMs the same moment, since 1970 */
  drain(nowMs: number, wallMs: number): Generator<SnapshotPart>;
  /** Adopts the parts of a snapshot, the head first. Throws if they aren't that. */
  fill(part: SnapshotPart, nowMs: number, wallMs: number): void;
}

/** Bytes of a part, or a little more. */
const partBytes = 1024 * 1024;

/** What a snapshot begins with. */
interface Head {
  /** Name of what made the questions' vectors. */
  readonly embedder: string;
  /** When it was taken, monotonic ms of its process, and ms since 1970. */
  readonly nowMs: number;
  readonly wallMs: number;
  readonly places: KeptPlaces;
}

/** The rooms of one cache. @param embedder makes its vectors */
export function createKept(
  replies: ReplyStore,
  levels: AlikeLevels,
  places: Places,
  embedder: Pick<Embedder, 'name'>,
): Kept {
  let restoring: { readonly shiftMs: number; readonly questions: boolean } | null = null;
  const begin = (head: Head, nowMs: number, wallMs: number): void => {
    // What was kept grows older while no process runs.
    const shiftMs = nowMs - Math.max(0, wallMs - head.wallMs) - head.nowMs;
    restoring = { shiftMs, questions: head.embedder === embedder.name };
    places.restore(head.places, shiftMs, head.nowMs + shiftMs);
  };
  return {
    *drain(nowMs, wallMs) {
      const head: Head = { embedder: embedder.name, nowMs, wallMs, places: places.kept() };
      yield { kind: 'head', bytes: Buffer.from(JSON.stringify(head)) };
      const sources = {
        replies: () => replies.drain(partBytes),
        links: () => levels.drain('links', partBytes),
        questions: () => levels.drain('questions', partBytes),
      };
      for (const kind of ['replies', 'links', 'questions'] as const)
        for (let bytes = sources[kind](); bytes.length > 0; bytes = sources[kind]()) yield { kind, bytes };
    },
    fill({ kind, bytes }, nowMs, wallMs) {
      if (kind === 'head') return begin(JSON.parse(bytes.toString()) as Head, nowMs, wallMs);
      if (restoring === null) throw new Error('it has no head');
      const { shiftMs, questions } = restoring;
      if (kind === 'questions' && !questions) return;
      const fits =
        kind === 'replies' ? replies.fill(bytes, shiftMs, nowMs) : levels.fill(kind, bytes, shiftMs, nowMs);
      if (!fits) throw new Error(`its ${kind} are damaged`);
    },
  };
}
