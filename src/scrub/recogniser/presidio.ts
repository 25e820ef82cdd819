/** The HTTP API of Presidio's analyzer: what it is asked, and what may be believed of its answer. */
import { isObject } from '../../base/json.ts';
import type { Claim } from './joined.ts';

/** Path of the API behind the configured URL. */
export const analyzePath = '/analyze';

/** What the recogniser is asked for. */
export interface Asking {
  /** Language of the texts, as `en`. */
  readonly language: string;
  /** Lowest score of a value, 0 to 1. */
  readonly scoreMin: number;
  /** Number of the kind for each of Presidio's entities. */
  readonly kinds: ReadonlyMap<string, number>;
}

/** Values that one answer may name. */
const claimsMax = 10_000;

/** The body of a request about a text. */
export const askAbout = (text: string, { language, scoreMin, kinds }: Asking): string =>
  JSON.stringify({ text, language, entities: [...kinds.keys()], score_threshold: scoreMin });

/**
 * What an answer claims, or why it can't be believed: nothing of it is used then.
 * @param length code points of the text
 */
export function claimsOf(answer: string, { scoreMin, kinds }: Asking, length: number): Claim[] | string {
  let list: unknown;
  try {
    list = JSON.parse(answer);
  } catch {
    return 'its answer is not JSON';
  }
  if (!Array.isArray(list)) return 'its answer is not a list';
  if (list.length > claimsMax) return `its answer names more than ${claimsMax} values`;
  const claims: Claim[] = [];
  for (const each of list) {
    const { entity_type: entity, start, end, score } = isObject(each) ? each : {};
    if (typeof entity !== 'string' || !isOffset(start) || !isOffset(end)) return 'its answer names no places';
    if (start >= end || end > length) return 'its answer names a place outside the text';
    const kind = kinds.get(entity);
    const isLikely = typeof score !== 'number' || score >= scoreMin;
    if (kind !== undefined && isLikely) claims.push({ kind, start, end });
  }
  return claims;
}

const isOffset = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
