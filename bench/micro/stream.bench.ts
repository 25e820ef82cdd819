/** Times the scanner that follows a provider's event stream, compared with parsing each event in JavaScript. */
import { StreamScanner } from '../../src/native/reply.ts';
import { streamEvents } from './samples.ts';

/** Name of this group in the report. */
export const subject = 'stream';

const eventMaxBytes = 1024 * 1024;
const textMaxBytes = 128 * 1024;

function scan(chunks: readonly Buffer[], stripUsage: boolean): StreamScanner {
  const scanner = new StreamScanner('openai', stripUsage, eventMaxBytes, textMaxBytes);
  for (const chunk of chunks) scanner.push(chunk);
  scanner.finish();
  return scanner;
}

/** The least JavaScript would have to do: split lines, parse each event. */
function parse(chunks: readonly Buffer[]): number {
  let events = 0;
  for (const chunk of chunks) {
    for (const line of chunk.toString().split('\n')) {
      if (!line.startsWith('data: ') || line === 'data: [DONE]') continue;
      if (typeof JSON.parse(line.slice(6)) === 'object') events++;
    }
  }
  return events;
}

function recut(chunks: readonly Buffer[], bytes: number): Buffer[] {
  const all = Buffer.concat(chunks);
  return Array.from({ length: Math.ceil(all.length / bytes) }, (_, i) =>
    all.subarray(i * bytes, (i + 1) * bytes),
  );
}

/** The tasks to time. */
export function tasks(): Record<string, () => unknown> {
  const cut = recut(streamEvents, 4096);
  if (!scan(streamEvents, true).ended || !scan(cut, true).ended) throw new Error('the scanner saw no end');
  return {
    '200 events, one a chunk': () => scan(streamEvents, true),
    '200 events, chunks of 4 KB cut anywhere': () => scan(cut, true),
    'JSON.parse of each, 200 events': () => parse(streamEvents),
  };
}
