/** Splits a provider's stream into events, regardless of how its bytes arrive. */
import { parseObject } from '../base/json.ts';
import { isTooComplex } from '../base/parts.ts';
import { StreamScanner } from '../native/reply.ts';
import type { WireEvent } from './chat-reply.ts';
import type { Framer, Frames, StreamFault } from './reading.ts';

/** Name of the event that represents `data: [DONE]`. */
export const doneEvent = '[DONE]';

const nothing: Frames = { raw: null, events: [] };

/** Parts of an event (`parts.ts`), which is parsed at once: that takes 0.3 µs each. Long texts have few. */
const eventPartsMax = 100_000;

/** Whether an event has more parts than may be parsed on the main thread. */
export const isTooComplexEvent = (event: Buffer): boolean => isTooComplex(event, false, eventPartsMax);

/** Creates a framer of server-sent events whose data are JSON objects. @param eventMaxBytes longest event allowed */
export function createSseFramer(eventMaxBytes: number): Framer {
  const scanner = new StreamScanner('any', false, eventMaxBytes, 0);
  let fault: StreamFault | null = null;

  const cut = (raw: Buffer | null): Frames => {
    if (raw === null || fault !== null) return nothing;
    if (isTooComplexEvent(raw)) {
      fault = 'event_too_large';
      return nothing;
    }
    const events: WireEvent[] = [];
    for (const block of splitEvents(raw.toString('utf8'))) {
      const event = readEvent(block);
      if (event === 'malformed') {
        fault = 'malformed';
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
      return fault ?? scanner.broken;
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
  if (!text.includes('\r')) return splitAtBlankLines(text);
  return text.match(/[\s\S]*?(?:\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n|$)/g)?.filter((event) => event !== '') ?? [];
}

/** The same where every line ends in LF, as they usually do: three times as fast. */
function splitAtBlankLines(text: string): string[] {
  const events: string[] = [];
  let done = 0;
  for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n', done)) {
    events.push(text.slice(done, at + 2));
    done = at + 2;
  }
  if (done < text.length) events.push(text.slice(done));
  return events;
}
