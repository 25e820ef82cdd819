/** Restores masked values in an event stream, where a placeholder may be split across any number of events. */

import { isObject, type Json } from '../base/json.ts';
import type { Dialect, TextSlot } from '../dialects/dialect.ts';
import { splitEvents } from '../dialects/framer.ts';
import { piiKinds } from '../native/pii.ts';
import { restoreText, type Vault } from './scrub.ts';

/** Text held back because it may end in an unfinished placeholder. */
interface Held {
  text: string;
  /** An event of this channel, to send the text in if the channel ends first. */
  readonly carrier: Json;
  readonly eventLine: string;
}

/** Most channels that hold text back at once; beyond this, text passes unrestored rather than being kept. */
const channelsMax = 256;

const openings = piiKinds.map(({ placeholder }) => `[${placeholder}_`);

/** Whether `text` is the beginning of a placeholder that isn't complete yet. */
const isOpen = (text: string): boolean =>
  openings.some(
    (opening) =>
      opening.startsWith(text) || (text.startsWith(opening) && /^\d{0,8}$/.test(text.slice(opening.length))),
  );

/** Offset of an unfinished placeholder at a text's end; the text's length if there is none. */
function unfinished(text: string): number {
  const at = text.lastIndexOf('[');
  if (at < 0) return text.length;
  return isOpen(text.slice(at)) ? at : text.length;
}

/** One stream's restorer: whole events in, whole events out. */
export interface Restorer {
  push(chunk: Buffer): Buffer;
  /** The text still held back when the stream ended. */
  finish(): Buffer;
}

/** Creates the restorer of one stream. @param dialect of the stream's events */
export function createRestorer(dialect: Dialect, vault: Vault): Restorer {
  const held = new Map<string, Held>();

  const restore = (slot: TextSlot, event: Json, eventLine: string, last: boolean): boolean => {
    const { channel, holder, field } = slot;
    const before = held.get(channel)?.text ?? '';
    const given = String(holder[field]);
    const text = before + given;
    const cut = last || (held.size >= channelsMax && before === '') ? text.length : unfinished(text);
    held.delete(channel);
    if (cut < text.length)
      held.set(channel, { text: text.slice(cut), carrier: dialect.carrierOf(event), eventLine });
    holder[field] = restoreText(text.slice(0, cut), vault);
    return holder[field] !== given;
  };

  const release = (prefix: string): string => {
    let out = '';
    for (const [channel, { text, carrier, eventLine }] of held) {
      if (!channel.startsWith(prefix)) continue;
      held.delete(channel);
      for (const slot of dialect.textSlots(carrier))
        slot.holder[slot.field] = slot.channel === channel ? restoreText(text, vault) : '';
      out += `${eventLine}data: ${JSON.stringify(carrier)}\n\n`;
    }
    return out;
  };

  const through = (block: string): string => {
    const lines = block.split(/\r\n|\n|\r/);
    const data = lines
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice(5).replace(/^ /, ''));
    if (data.length === 0) return block;
    if (data[0] === '[DONE]') return release('') + block;
    let event: unknown;
    try {
      event = JSON.parse(data.join('\n'));
    } catch {
      return block;
    }
    if (!isObject(event)) return block;
    const eventLine = lines
      .filter((line) => line.startsWith('event:'))
      .map((line) => `${line}\n`)
      .join('');
    const ended = dialect.endedChannels(event);
    let changed = false;
    for (const slot of dialect.textSlots(event)) {
      const last = ended.some((prefix) => slot.channel.startsWith(prefix));
      changed = restore(slot, event, eventLine, last) || changed;
    }
    const before = ended.map(release).join('');
    // Strings that arrive in one piece, such as citations, are restored in place.
    return before + restoreText(changed ? `${eventLine}data: ${JSON.stringify(event)}\n\n` : block, vault);
  };

  return {
    push: (chunk) => Buffer.from(splitEvents(chunk.toString('utf8')).map(through).join('')),
    finish: () => Buffer.from(release('')),
  };
}
