/** Frames a prediction as a stream of one event: its JSON, once complete. */
import { isUtf8 } from 'node:buffer';
import { parseObject } from '../../base/json.ts';
import { isTooComplexEvent } from '../framer.ts';
import type { Framer, Frames, StreamFault } from '../reading.ts';

const nothing: Frames = { raw: null, events: [] };

/** Creates the framer of one prediction. @param maxBytes largest prediction allowed */
export function createJsonFramer(maxBytes: number): Framer {
  let chunks: Buffer[] = [];
  let bytes = 0;
  let broken: StreamFault | null = null;
  const fail = (fault: StreamFault): Frames => {
    broken = fault;
    chunks = [];
    return nothing;
  };
  return {
    push(chunk) {
      if (broken !== null) return nothing;
      bytes += chunk.length;
      if (bytes > maxBytes) return fail('event_too_large');
      chunks.push(chunk);
      return nothing;
    },
    finish() {
      if (broken !== null) return nothing;
      const raw = Buffer.concat(chunks);
      if (isTooComplexEvent(raw)) return fail('event_too_large');
      const data = isUtf8(raw) ? parseObject(raw.toString('utf8')) : null;
      return data === null ? fail('malformed') : { raw, events: [{ event: '', data }] };
    },
    get broken() {
      return broken;
    },
  };
}
