/** Gemini's alternative form of a stream: one JSON list, sent element by element. */
import { splitEvents } from '../framer.ts';

/** Converts complete server-sent events to elements of a list. */
export interface ListWriter {
  push(events: Buffer): Buffer;
  /** Ends the list. */
  finish(): Buffer;
}

/** Creates the writer of one list. */
export function createListWriter(): ListWriter {
  let begun = false;
  const write = (events: Buffer): string => {
    let text = '';
    for (const block of splitEvents(events.toString('utf8'))) {
      const data = block
        .split(/\r\n|\n|\r/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5))
        .join('\n')
        .trim();
      if (data === '') continue;
      text += (begun ? ',\r\n' : '[') + data;
      begun = true;
    }
    return text;
  };
  return {
    push: (events) => Buffer.from(write(events)),
    finish: () => Buffer.from(begun ? ']' : '[]'),
  };
}
