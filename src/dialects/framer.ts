/** Splits a provider's stream into events, regardless of how its bytes arrive. */
import { parseObject } from '../base/json.ts';
import { StreamScanner } from '../native/reply.ts';
import type { WireEvent } from './chat-reply.ts';
import type { Framer, Frames } from './reading.ts';

/** Name of the event that represents `data: [DONE]`. */
export const doneEvent = '[DONE]';

const nothing: Frames = { raw: null, events: [] };

/** Creates a framer of server-sent events whose data are JSON objects. @param eventMaxBytes longest event allowed */
export function createSseFramer(eventMaxBytes: number): Framer {
  const scanner = new StreamScanner('any', false, eventMaxBytes);
  let malformed = false;

  const cut = (raw: Buffer | null): Frames => {
    if (raw === null || malformed) return nothing;
    const events: WireEvent[] = [];
    for (const block of splitEvents(raw.toString('utf8'))) {
      const event = readEvent(block);
      if (event === 'malformed') {
        malformed = true;
        break;
      }
      if (event !== null) events.push(event);
    }
    return { raw, events };
  };

  return {
    push: (chunk) => cut(scanner.push(chunk)),
    finish: () => cut(scanner.finish()),
    get broken() {
      return malformed ? 'malformed' : scanner.broken;
    },
  };
}

function readEvent(block: string): WireEvent | 'malformed' | null {
  let event = '';
  let data: string | null = null;
  for (const line of block.split(block.includes('\r') ? /\r\n|\n|\r/ : '\n')) {
    if (line.startsWith('data:')) {
      const value = line.startsWith('data: ') ? line.slice(6) : line.slice(5);
      data = data === null ? value : `${data}\n${value}`;
    } else if (line.startsWith('event:')) event = line.slice(6).trim();
  }
  if (data === null || data.trim() === '') return null;
  if (data.trim() === doneEvent) return { event: doneEvent, data: {} };
  const value = parseObject(data);
  return value === null ? 'malformed' : { event, data: value };
}

/** Splits a text of complete events; each keeps its blank line. */
export function splitEvents(text: string): string[] {
  return text.match(/[\s\S]*?(?:\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n|$)/g)?.filter((event) => event !== '') ?? [];
}
