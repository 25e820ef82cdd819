/** Indexes of the semantic cache in the native core: embedding, nearest neighbours, and whether two questions ask the same. */
import { native } from './load.ts';

/** Dimensions of the built-in embedder's vectors. */
export const dimensions = 256;

/** Most dimensions of another embedder's vectors. */
export const dimensionsMax = 4096;

/** Longer questions, in characters, are neither stored nor looked up. */
export const textCharsMax = 512;

/**
 * What was decided on two questions: the cached answer serves; it may, and doesn't unless a closer look says so; it
 * doesn't.
 */
export const verdicts = ['same', 'unsure', 'different'] as const;

export type Verdict = (typeof verdicts)[number];

/** A verdict and what it rests on. */
export interface Decision {
  readonly verdict: Verdict;
  /** What decided, as in logs and metrics: `model`, or the veto, e.g. `number`. */
  readonly reason: string;
  /** How likely they ask the same, 0 to 1, as the model has it; 0 after a veto. */
  readonly score: number;
}

/** A stored question that may ask the same, and the decision on it. */
export interface Candidate extends Decision {
  /** The number it was stored under. */
  readonly entry: number;
  /** Cosine of the two vectors, -1 to 1. */
  readonly similarity: number;
}

const reasons = native.searchReasons();

/** Candidates that one search decides on. */
const candidatesMax = 16;

const registers = 5;

/** One for each number of candidates, so that a call asks for no more than are wanted. */
const outs = Array.from({ length: candidatesMax }, (_, i) => new Float64Array(registers * (i + 1)));

/** Texts go to the core by the byte: handed over as strings they would be measured and copied once more. */
let scratch = Buffer.allocUnsafeSlow(4 * 1024);

const lengths = [0, 0] as [number, number];

/** Writes two texts into `scratch`, their lengths in bytes into `lengths`. */
function writeTwo(first: string, second: string): void {
  const roomy = (first.length + second.length) * 3;
  if (roomy > scratch.length) scratch = Buffer.allocUnsafeSlow(roomy);
  lengths[0] = scratch.write(first);
  lengths[1] = scratch.write(second, lengths[0]);
}

function decisionAt(from: Float64Array, at: number): Decision {
  return {
    score: from[at] ?? 0,
    verdict: verdicts[from[at + 1] ?? 2] ?? 'different',
    reason: reasons[from[at + 2] ?? 0] ?? 'model',
  };
}

/**
 * Indexes by id, one for each embedder, shared by all threads of the process. Questions belong to a scope, any string,
 * which is matched exactly; each is stored under a number of the caller's, its entry, that leads to the reply. See
 * `native/core/src/search/index.rs`.
 *
 * All calls are synchronous and take microseconds: a search 0.1 ms among 10,000 questions of a scope, 0.5 ms among
 * 100,000. An index holds at most `bytesMax` bytes; the longest unused questions of the owner that holds most make room.
 * An entry may therefore be gone without a word, and a reply that is gone wants `remove`.
 */
export const search = {
  /**
   * Opens an empty index, or the one that is open under this name; gives its id.
   * @param dimensions of its vectors, 1 to 4096; 256 for the built-in embedder's
   */
  open: (bytesMax: number, vectorDimensions: number = dimensions, name?: string): number =>
    native.searchOpen(bytesMax, vectorDimensions, name),
  /** Changes the bound in bytes; the longest unused entries that no longer fit go. */
  set: native.searchSet,
  /** Closes an index. Its id is never used again. */
  close: native.searchClose,
  /** Entries held. */
  size: native.searchSize,
  /** Bytes held, overhead included, without the token table (`tableBytes`). */
  bytes: native.searchBytes,
  /** Bytes of the built-in embedder, mapped from the library's file; asking loads it. */
  tableBytes: native.searchTableBytes,
  /** Drops an entry; false if there was none. */
  remove: native.searchRemove,
  /** Takes entries out as records, until these have so many bytes; empty if none are left. */
  drain: native.searchDrain,
  /** Stores records that were drained from an index of as many dimensions; false: they aren't that. */
  fill: native.searchFill,
  /** The question stored under an entry's number; null if there is none. */
  text: native.searchText,
  /** Whether there is one. */
  has: native.searchHas,
  /** Drops all entries of a scope; gives their number. */
  removeScope(id: number, scope: string): number {
    writeTwo(scope, '');
    return native.searchRemoveScope(id, scratch, lengths[0]);
  },
  /**
   * Stores a question.
   * @param owner whose it is, a whole number below 2 ** 32: the one that holds most makes room
   * @param entry a safe integer from 0; what was stored under it goes. Larger ones count as later.
   * @param vector of another embedder; without one the built-in embedder is asked
   * @returns false if it isn't stored: too long, empty, without a known word, or larger than the index
   */
  insert(
    id: number,
    owner: number,
    scope: string,
    entry: number,
    text: string,
    vector?: Float32Array,
  ): boolean {
    writeTwo(scope, text);
    return native.searchInsert(id, owner, entry, scratch, lengths[0], lengths[1], vector);
  },
  /**
   * The surest candidate for a question: embeds, searches and decides on the four most alike, in one call. Null: the
   * scope holds nothing alike.
   */
  find(id: number, scope: string, text: string, vector?: Float32Array): Candidate | null {
    return search.candidates(id, scope, text, 4, true, vector)[0] ?? null;
  },
  /**
   * As `find`, all of `count` candidates, 1 to 16, the surest first.
   * @param unsure those of which the model is unsure are looked for, too; otherwise they may count as different, which
   *   takes half of the time where nothing asks the same
   */
  candidates(
    id: number,
    scope: string,
    text: string,
    count: number,
    unsure: boolean,
    vector?: Float32Array,
  ): Candidate[] {
    const out = outs[Math.min(Math.max(count, 1), candidatesMax) - 1] ?? new Float64Array(registers);
    writeTwo(scope, text);
    const found = native.searchFind(id, scratch, lengths[0], lengths[1], out, unsure, vector);
    return Array.from({ length: found }, (_, i) => ({
      entry: out[i * registers] ?? 0,
      similarity: out[i * registers + 1] ?? 0,
      ...decisionAt(out, i * registers + 2),
    }));
  },
};

/** Decides whether the answer to a cached question serves one that is asked; the order doesn't matter. */
export function decide(cached: string, asked: string): Decision {
  const [out] = outs;
  if (out === undefined) throw new Error('unreachable');
  writeTwo(cached, asked);
  native.searchDecide(scratch, lengths[0], lengths[1], out);
  return decisionAt(out, 0);
}

/**
 * Embeds a text by the built-in table.
 * @param out gets 256 numbers; the vector's length is 1
 * @returns false if it has no known word
 */
export function embed(text: string, out: Float32Array): boolean {
  writeTwo(text, '');
  return native.searchEmbed(scratch, lengths[0], out);
}

/** Names of the features that the model judges a pair by. */
export const features: readonly string[] = native.searchFeatureNames();

/** What the model is trained on: the features of a pair, and the tokens of both sides. */
export interface Sample {
  readonly features: readonly number[];
  readonly tokens: readonly [readonly number[], readonly number[]];
}

/** Reads a pair as the model does; null: facts, such as numbers, decide it. */
export function sample(cached: string, asked: string): Sample | null {
  writeTwo(cached, asked);
  const all = native.searchSample(scratch, lengths[0], lengths[1]);
  if (all.length === 0) return null;
  const head = features.length + 1;
  const end = head + (all[features.length] ?? 0);
  return { features: all.slice(0, features.length), tokens: [all.slice(head, end), all.slice(end)] };
}
