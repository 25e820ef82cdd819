/** The closer look at two questions: a cross-encoder in the native core, its weights in a file of their own. */
import { native } from './load.ts';

/** A model that reads both questions as one text. */
export interface CrossEncoder {
  /** The score of the small model, 0 to 1, from which a closer look isn't needed. */
  readonly sure: number;
  /** Bytes held. */
  readonly bytes: number;
  /**
   * How likely two questions are to ask the same, 0 to 1: from `servedFrom` on, one's answer serves the other. It takes
   * milliseconds, on a thread of Node's pool.
   * @param small what the small model has
   */
  look(cached: string, asked: string, small: number): Promise<number>;
  /** How much speaks for the same, for training. NaN: they are too long. */
  score(cached: string, asked: string): number;
  /** Gives its memory back, once nothing looks through it any more. */
  close(): void;
}

/** The score from which an answer is served. */
export const servedFrom = 0.5;

/**
 * Reads a model's file.
 * @throws if it is something else, of another version, or damaged; the message goes on after the file's name
 */
export async function openCrossEncoder(file: Buffer): Promise<CrossEncoder> {
  const id = await native.crossEncoderOpen(file);
  return {
    sure: native.crossEncoderSure(id),
    bytes: native.crossEncoderBytes(id),
    look: async (cached, asked, small) => native.crossEncoderLook(id, cached, asked, small),
    score: (cached, asked) => native.crossEncoderScore(id, cached, asked),
    close: () => native.crossEncoderClose(id),
  };
}
