/** Cuts messages to a size, such that what is left is valid by the conventions. */
import { isObject, type Json, parseJson } from '../../base/json.ts';
import type { Message } from './parts.ts';

/** Messages in their order. */
export type Messages = readonly Message[];

/** The JSON of a list, cut; empty: there was nothing in it. */
export interface Fitted {
  readonly json: string;
  readonly cut: boolean;
}

/** What stands where a text was cut. */
const mark = '…';
/** A message or part of fewer bytes isn't worth it. */
const leastBytes = 100;

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** Fits messages. @param first the ones that matter most: the newest, or the first */
export function fitMessages(messages: Messages, maxBytes: number, first: 'newest' | 'first'): Fitted {
  const inOrder = first === 'newest' ? messages.toReversed() : messages;
  const [kept, cut] = fit(inOrder, maxBytes, cutMessage);
  return fitted(first === 'newest' ? kept.toReversed() : kept, cut, ({ parts, ...message }) => ({
    ...message,
    parts: parts.map(withArguments),
  }));
}

/** Fits parts without a message: the first of them. */
export function fitParts(parts: readonly Json[], maxBytes: number): Fitted {
  const [kept, cut] = fit(parts, maxBytes, cutPart);
  return fitted(kept, cut, (part) => part);
}

const fitted = <T>(kept: readonly T[], cut: boolean, finished: (each: T) => unknown): Fitted => ({
  json: kept.length === 0 ? '' : JSON.stringify(kept.map(finished)),
  cut,
});

/** Takes from the beginning what there is room for, and a piece of the next. */
function fit<T>(
  all: readonly T[],
  maxBytes: number,
  cutOne: (one: T, leftBytes: number) => T | null,
): [kept: T[], cut: boolean] {
  const kept: T[] = [];
  // Brackets around, and a comma after each.
  let leftBytes = maxBytes - 2;
  for (const one of all) {
    const bytes = bytesOf(one) + 1;
    if (bytes > leftBytes) {
      const piece = leftBytes < leastBytes ? null : cutOne(one, leftBytes);
      if (piece !== null) kept.push(piece);
      return [kept, true];
    }
    kept.push(one);
    leftBytes -= bytes;
  }
  return [kept, false];
}

function cutMessage(message: Message, leftBytes: number): Message | null {
  const [parts] = fit(message.parts, leftBytes - bytesOf({ ...message, parts: [] }), cutPart);
  return parts.length === 0 ? null : { ...message, parts };
}

/** The member of a part that may be long. */
const longest = ['content', 'arguments', 'response', 'uri'] as const;

function cutPart(part: Json, leftBytes: number): Json | null {
  const name = longest.find((each) => part[each] !== undefined && part[each] !== '');
  if (name === undefined) return null;
  const value = part[name];
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const roomBytes = leftBytes - bytesOf({ ...part, [name]: mark }) - 1;
  return roomBytes <= 0 ? null : { ...part, [name]: cutText(text, roomBytes) + mark };
}

/** The beginning of a text that takes at most so many bytes in JSON, and ends with a whole character. */
function cutText(text: string, maxBytes: number): string {
  let piece = text.slice(0, maxBytes);
  for (;;) {
    const bytes = bytesOf(piece) - 2;
    if (bytes <= maxBytes) return /[\uD800-\uDBFF]$/.test(piece) ? piece.slice(0, -1) : piece;
    piece = piece.slice(0, Math.floor((piece.length * maxBytes) / bytes));
  }
}

/** The arguments of a call as an object, if they are one; until here they are text, which is scrubbed as a whole. */
function withArguments(part: Json): Json {
  if (part.type !== 'tool_call' || typeof part.arguments !== 'string') return part;
  const value = parseJson(part.arguments);
  if (!isObject(value)) return part;
  const read = { ...part, arguments: value };
  // Numbers may be spelled longer.
  return bytesOf(read) <= bytesOf(part) ? read : part;
}
