/** Rewrites texts inside an event stream: restores values, or replaces them, though they may be split over events. */

import { type Json, parseObject } from '../base/json.ts';
import type { Dialect, TextSlot } from '../dialects/dialect.ts';
import { splitEvents } from '../dialects/framer.ts';
import { type Findings, findingsOf, type PiiScope, PiiStream } from '../native/pii.ts';
import { createBesideTexts } from './beside-texts.ts';
import { restoreText, type Vault } from './scrub.ts';

/** Rewrites one text that comes in pieces. */
interface Filter {
  /** Gives out what no later piece can change; `last`: all of it. */
  push(piece: string, last: boolean): string;
  /** Whether it holds something back. */
  readonly holds: boolean;
}

/** A text of the stream that something is kept of. */
interface Channel {
  readonly filter: Filter;
  /** An event of this channel, to carry what is held when the channel ends first. */
  carrier: Json;
  eventLine: string;
}

/** Channels that may be kept at once; the texts of others are rewritten piece by piece. */
const channelsMax = 256;

/** One stream's rewriter: whole events in, whole events out. */
export interface Rewriter {
  push(chunk: Buffer): Buffer;
  /** What was still held when the stream ended. */
  finish(): Buffer;
}

/** Puts the values of a vault in the place of their placeholders, and holds back at most one placeholder. */
export function createRestorer(dialect: Dialect, vault: Vault): Rewriter {
  const openings = [...new Set([...vault.keys()].map((placeholder) => placeholder.slice(0, -7)))];
  /** Whether a text is the beginning of a placeholder that isn't over yet. */
  const isOpen = (text: string): boolean =>
    openings.some(
      (opening) =>
        opening.startsWith(text) ||
        (text.startsWith(opening) && /^[0-9A-Z]{0,6}$/.test(text.slice(opening.length))),
    );
  const createFilter = (): Filter => {
    let held = '';
    return {
      push(piece, last) {
        const text = held + piece;
        const at = last ? -1 : text.lastIndexOf('[');
        const cut = at >= 0 && isOpen(text.slice(at)) ? at : text.length;
        held = text.slice(cut);
        return restoreText(text.slice(0, cut), vault);
      },
      get holds() {
        return held !== '';
      },
    };
  };
  return createRewriter(dialect, createFilter, {
    event: (event) => event,
    block: (block) => restoreText(block, vault),
  });
}

/** Replaces personal data in a reply's stream. */
export interface ReplyScrubber extends Rewriter {
  /** What was found so far. */
  findings(): Findings;
}

/** Replaces personal data in a reply's stream, and holds back what may become a value. */
export function createReplyScrubber(dialect: Dialect, piiScope: PiiScope): ReplyScrubber {
  const { policy, names, tenant } = piiScope;
  const counts = names.map(() => 0);
  const scope = tenant.toString();
  const createFilter = (): Filter => {
    const stream = new PiiStream(policy, scope);
    let pending = 0;
    // The first half of a character, whose second one comes with the next piece.
    let half = '';
    return {
      push(piece, last) {
        const text = half + piece;
        const end = last || !/[\ud800-\udbff]$/.test(text) ? text.length : text.length - 1;
        half = text.slice(end);
        const out = stream.push(text.slice(0, end), last);
        // Replacing changes the length: what is held is only known to be nothing where all is given out.
        pending = last ? 0 : 1;
        if (last)
          for (const [kind, count] of stream.counts().entries()) counts[kind] = (counts[kind] ?? 0) + count;
        return out;
      },
      get holds() {
        return pending > 0;
      },
    };
  };
  const beside = createBesideTexts(dialect, piiScope);
  const rewriter = createRewriter(dialect, createFilter, { event: beside.scrub, block: (block) => block });
  return { ...rewriter, findings: () => findingsOf(beside.countsWith(counts), names) };
}

/** Rewrites what comes in one piece, such as citations. */
interface Whole {
  /** In an event before its texts are rewritten; gives the same one if nothing is changed. */
  event(event: Json): Json;
  /** In the text of an event, after them. */
  block(block: string): string;
}

function createRewriter(dialect: Dialect, createFilter: () => Filter, whole: Whole): Rewriter {
  const channels = new Map<string, Channel>();

  const rewrite = (slot: TextSlot, event: Json, eventLine: string, last: boolean): boolean => {
    const { channel, holder, field } = slot;
    const known = channels.get(channel);
    const full = known === undefined && channels.size >= channelsMax;
    const filter = known?.filter ?? createFilter();
    const given = String(holder[field]);
    holder[field] = filter.push(given, last || full);
    channels.delete(channel);
    if (filter.holds) channels.set(channel, { filter, carrier: dialect.carrierOf(event), eventLine });
    return holder[field] !== given;
  };

  const release = (prefix: string): string => {
    let out = '';
    for (const [channel, { filter, carrier, eventLine }] of channels) {
      if (!channel.startsWith(prefix)) continue;
      channels.delete(channel);
      const text = filter.push('', true);
      if (text === '') continue;
      for (const slot of dialect.textSlots(carrier))
        slot.holder[slot.field] = slot.channel === channel ? text : '';
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
    const given = parseObject(data.join('\n'));
    if (given === null) return block;
    const eventLine = lines
      .filter((line) => line.startsWith('event:'))
      .map((line) => `${line}\n`)
      .join('');
    const ended = dialect.endedChannels(given);
    const event = whole.event(given);
    let changed = event !== given;
    const slots = dialect.textSlots(event);
    // An event may have several pieces of a text: only behind the last of them, nothing follows.
    const lastOf = ended.length === 0 ? null : new Map(slots.map(({ channel }, at) => [channel, at]));
    for (const [at, slot] of slots.entries()) {
      const last = lastOf?.get(slot.channel) === at && ended.some((each) => slot.channel.startsWith(each));
      changed = rewrite(slot, event, eventLine, last) || changed;
    }
    const before = ended.map(release).join('');
    return before + whole.block(changed ? `${eventLine}data: ${JSON.stringify(event)}\n\n` : block);
  };

  return {
    push: (chunk) => Buffer.from(splitEvents(chunk.toString('utf8')).map(through).join('')),
    finish: () => Buffer.from(release('')),
  };
}
