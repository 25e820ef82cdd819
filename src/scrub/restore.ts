/** Restores masked values inside an event stream, where a placeholder may be split over any number of events. */
import type { DialectName } from '../providers/provider.ts';
import { restoreText, type Vault } from './scrub.ts';

type Json = { [key: string]: unknown };

/** A place inside an event where text grows: one string of one choice or content block. */
interface Slot {
  /** Tells it from the other texts of the stream. */
  readonly channel: string;
  readonly holder: Json;
  readonly field: string;
}

interface Held {
  text: string;
  /** An event of this channel, to carry the text when the channel ends first. */
  readonly carrier: Json;
  readonly eventLine: string;
}

/** Channels that may hold text back at once; past it text passes unrestored rather than being kept. */
const channelsMax = 256;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

function openaiSlots(event: Json): Slot[] {
  const slots: Slot[] = [];
  for (const choice of list(event.choices)) {
    const { delta } = choice;
    if (!isObject(delta)) continue;
    for (const field of ['content', 'reasoning_content', 'reasoning', 'refusal']) {
      if (typeof delta[field] === 'string') {
        slots.push({ channel: `${choice.index}.${field}`, holder: delta, field });
      }
    }
    for (const call of list(delta.tool_calls)) {
      const channel = `${choice.index}.tool.${call.index}`;
      const { function: named, custom } = call;
      if (isObject(named) && typeof named.arguments === 'string') {
        slots.push({ channel, holder: named, field: 'arguments' });
      }
      if (isObject(custom) && typeof custom.input === 'string')
        slots.push({ channel, holder: custom, field: 'input' });
    }
  }
  return slots;
}

function anthropicSlots(event: Json): Slot[] {
  const { delta } = event;
  if (event.type !== 'content_block_delta' || !isObject(delta)) return [];
  return ['text', 'partial_json', 'thinking']
    .filter((field) => typeof delta[field] === 'string')
    .map((field) => ({ channel: `${event.index}.${field}`, holder: delta, field }));
}

/** Prefixes of the channels that end with this event. */
function endedChannels(dialect: DialectName, event: Json): string[] {
  if (dialect === 'anthropic') {
    if (event.type === 'content_block_stop') return [`${event.index}.`];
    return event.type === 'message_delta' || event.type === 'message_stop' ? [''] : [];
  }
  return list(event.choices)
    .filter((choice) => typeof choice.finish_reason === 'string' && choice.finish_reason !== '')
    .map((choice) => `${choice.index}.`);
}

/** Where a text's last, unfinished placeholder begins; the text's length if there is none. */
function unfinished(text: string): number {
  const at = text.lastIndexOf('[');
  if (at < 0) return text.length;
  const tail = text.slice(at);
  const open =
    /^\[(?:EMAIL|CARD)_\d{0,8}$/.test(tail) || '[EMAIL_'.startsWith(tail) || '[CARD_'.startsWith(tail);
  return open ? at : text.length;
}

/** An event to carry text on its own: what the one it is copied from says besides is not said again. */
function carrierOf(event: Json): Json {
  const carrier = structuredClone(event);
  delete carrier.usage;
  for (const choice of list(carrier.choices)) {
    choice.finish_reason = null;
    if (!isObject(choice.delta)) continue;
    delete choice.delta.role;
    for (const call of list(choice.delta.tool_calls)) {
      delete call.id;
      delete call.type;
      for (const part of [call.function, call.custom]) if (isObject(part)) delete part.name;
    }
  }
  return carrier;
}

/** One stream's restorer: whole events in, whole events out. */
export interface Restorer {
  push(chunk: Buffer): Buffer;
  /** What was still held when the stream ended. */
  finish(): Buffer;
}

export function createRestorer(dialect: DialectName, vault: Vault): Restorer {
  const slotsOf = dialect === 'openai' ? openaiSlots : anthropicSlots;
  const held = new Map<string, Held>();

  const restore = (slot: Slot, event: Json, eventLine: string, last: boolean): boolean => {
    const { channel, holder, field } = slot;
    const before = held.get(channel)?.text ?? '';
    const given = String(holder[field]);
    const text = before + given;
    const cut = last || (held.size >= channelsMax && before === '') ? text.length : unfinished(text);
    held.delete(channel);
    if (cut < text.length) held.set(channel, { text: text.slice(cut), carrier: carrierOf(event), eventLine });
    holder[field] = restoreText(text.slice(0, cut), vault);
    return holder[field] !== given;
  };

  const release = (prefix: string): string => {
    let out = '';
    for (const [channel, { text, carrier, eventLine }] of held) {
      if (!channel.startsWith(prefix)) continue;
      held.delete(channel);
      for (const slot of slotsOf(carrier))
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
    const ended = endedChannels(dialect, event);
    let changed = false;
    for (const slot of slotsOf(event)) {
      const last = ended.some((prefix) => slot.channel.startsWith(prefix));
      changed = restore(slot, event, eventLine, last) || changed;
    }
    const before = ended.map(release).join('');
    // Strings that come whole, such as citations, are restored where they stand.
    return before + restoreText(changed ? `${eventLine}data: ${JSON.stringify(event)}\n\n` : block, vault);
  };

  return {
    push: (chunk) => Buffer.from(splitEvents(chunk.toString('utf8')).map(through).join('')),
    finish: () => Buffer.from(release('')),
  };
}

/** Splits whole events, each with its blank line. */
function splitEvents(text: string): string[] {
  return text.match(/[\s\S]*?(?:\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n|$)/g)?.filter((event) => event !== '') ?? [];
}
