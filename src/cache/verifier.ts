/**
 * The closer look at a stored question and at one that is asked, where the small model is unsure: by a cross-encoder, one
 * pair at a time, each within a deadline. What is late, or finds no room, isn't answered from the cache.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { placeOf } from '../base/place.ts';
import type { Telemetry } from '../base/telemetry.ts';
import { type CrossEncoder, openCrossEncoder, servedFrom } from '../native/cross-encoder.ts';
import type { Decision } from '../native/search.ts';

/** Takes a closer look. */
export interface Verifier {
  /** Whether it has its model. */
  readonly ready: boolean;
  /** Whether a pair on which this was decided needs a closer look, and may have one. */
  wants(decision: Decision): boolean;
  /** Whether the answer to one question serves the other. False, too, if that isn't known in time. */
  verify(cached: string, asked: string, decision: Decision): Promise<boolean>;
  /**
   * Adopts settings: reads the model, or gives its memory back.
   * @param timeoutMs time for one pair, waiting included
   * @returns once that is done, whatever came of it
   */
  update(on: boolean, timeoutMs: number): Promise<void>;
  /** Memory of the model. */
  readonly bytes: number;
}

/** What the verifier works with. */
export interface VerifierDeps {
  readonly telemetry: Pick<Telemetry, 'cacheQuestion' | 'cacheVerifier'>;
  /** Reads the model. */
  open(): Promise<CrossEncoder>;
}

/** Pairs that wait for their turn: each takes milliseconds, so that more would be late. */
const waitingMax = 4;

const builtIn = placeOf('../native/core/assets/cross-encoder.bin');

/**
 * Reads a model's file.
 * @throws if it can't be read, or isn't such a file: the message names it, and says why
 */
export async function readCrossEncoder(file: URL = builtIn): Promise<CrossEncoder> {
  const bytes = await readFile(file);
  return openCrossEncoder(bytes).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${fileURLToPath(file)} ${why}`, { cause });
  });
}

/** Whether the small model is so unsure of a pair that a closer look is worth its time. */
export const isUnsure = ({ reason, verdict, score }: Decision, { sure }: CrossEncoder): boolean =>
  reason === 'model' && verdict !== 'different' && score < sure;

interface Job {
  start(encoder: CrossEncoder): Promise<number>;
  finish(serves: boolean): void;
}

/** A verifier without a model, which `update` reads. */
export function createVerifier({ telemetry, open }: VerifierDeps): Verifier {
  let on = false;
  let waitMs = 0;
  let encoder: CrossEncoder | null = null;
  let running = false;
  const waiting: Job[] = [];

  const next = (): void => {
    const job = running || encoder === null ? undefined : waiting.shift();
    if (job === undefined || encoder === null) return;
    running = true;
    const end = (serves: boolean): void => {
      running = false;
      job.finish(serves);
      next();
    };
    job.start(encoder).then(
      (score) => end(score >= servedFrom),
      () => end(false),
    );
  };
  const adopt = (read: CrossEncoder): void => {
    // Switched off, or on again, meanwhile.
    if (!on || encoder !== null) return read.close();
    encoder = read;
    telemetry.cacheVerifier(null);
  };

  return {
    get ready() {
      return encoder !== null;
    },
    wants: (decision) => encoder !== null && isUnsure(decision, encoder),
    verify(cached, asked, { score }) {
      if (waiting.length >= waitingMax) {
        telemetry.cacheQuestion('unverified');
        return Promise.resolve(false);
      }
      return new Promise((resolve) => {
        let open = true;
        const finish = (event: 'verified' | 'unverified', serves: boolean): void => {
          if (!open) return;
          open = false;
          clearTimeout(late);
          telemetry.cacheQuestion(event);
          resolve(serves);
        };
        const job: Job = {
          start: (model) => model.look(cached, asked, score),
          finish: (serves) => finish('verified', serves),
        };
        const late = setTimeout(() => {
          const at = waiting.indexOf(job);
          if (at >= 0) waiting.splice(at, 1);
          finish('unverified', false);
        }, waitMs);
        waiting.push(job);
        next();
      });
    },
    async update(wanted, timeoutMs) {
      waitMs = timeoutMs;
      if (wanted === on) return;
      on = wanted;
      if (wanted) {
        await open().then(adopt, (cause: unknown) =>
          telemetry.cacheVerifier(cause instanceof Error ? cause.message : String(cause)),
        );
        return;
      }
      encoder?.close();
      encoder = null;
      for (const job of waiting.splice(0)) job.finish(false);
    },
    get bytes() {
      return encoder?.bytes ?? 0;
    },
  };
}
