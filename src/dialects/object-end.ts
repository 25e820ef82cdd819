/** Finds out when the text of a JSON object that comes in pieces is complete, in time linear in its length. */
import { parseObject } from '../base/json.ts';

/** The text of one object. */
export interface ObjectEnd {
  push(piece: string): void;
  /** Whether the text so far is a whole JSON object. */
  isObject(): boolean;
}

/** Creates the text, still empty. It is parsed once, when its brackets first balance: more can't make it valid. */
export function createObjectEnd(): ObjectEnd {
  let text = '';
  let depth = 0;
  let inString = false;
  let escaped = false;
  let balanced = false;
  let whole: boolean | null = null;

  const look = (character: string): void => {
    if (escaped) escaped = false;
    else if (inString) {
      if (character === '\\') escaped = true;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') {
      depth -= 1;
      balanced ||= depth <= 0;
    }
  };

  return {
    push(piece) {
      if (balanced) {
        // Behind an object there may only be white space.
        if (piece.trim() !== '') whole = false;
        return;
      }
      text += piece;
      for (let i = 0; i < piece.length && !balanced; i++) look(piece.charAt(i));
    },
    isObject() {
      if (!balanced) return false;
      whole ??= parseObject(text) !== null;
      text = '';
      return whole;
    },
  };
}
