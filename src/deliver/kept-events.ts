/** Delivers kept streams of events whose texts or form differ for this client: a large one in turns of the event loop. */
import { Pace, turnBytes } from './pace.ts';
import type { Output } from './stream.ts';

const [lineFeed, carriageReturn] = [10, 13];

/** All of a kept stream, as this client gets it; its pieces where it is large. */
export function outOf(events: Buffer, out: Output): Buffer | AsyncGenerator<Buffer> {
  if (events.length > turnBytes) return inTurns(events, out);
  return Buffer.concat([out.push(events), out.finish(null)]);
}

async function* inTurns(events: Buffer, out: Output): AsyncGenerator<Buffer> {
  const pace = new Pace();
  for (let at = 0; at < events.length; ) {
    const end = eventEnd(events, at + turnBytes);
    yield out.push(events.subarray(at, end));
    await pace.after(end - at);
    at = end;
  }
  yield out.finish(null);
}

/** Where the first event ends that ends behind `from`. */
function eventEnd(events: Buffer, from: number): number {
  for (let at = events.indexOf(lineFeed, from); at >= 0; at = events.indexOf(lineFeed, at + 1)) {
    const blank = events[at + 1] === carriageReturn ? at + 2 : at + 1;
    if (events[blank] === lineFeed) return blank + 1;
  }
  return events.length;
}
