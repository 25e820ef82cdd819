/** Anthropic's streams: read from a provider, written for a client. https://docs.anthropic.com/en/docs/build-with-claude/streaming */

import { isObject, type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import { seal } from '../chat.ts';
import type {
  Block,
  ChatEvent,
  ChatStreamReader,
  ChatStreamWriter,
  ChatUsage,
  FinishReason,
  ReplyContext,
  WireEvent,
} from '../chat-reply.ts';
import { writeSearchLocation } from '../citations.ts';
import { unsigned } from '../foreign.ts';
import {
  isTextSeal,
  lostPicture,
  readReason,
  readUsage,
  writeHead,
  writeReason,
  writeSignature,
  writeUsage,
} from './reply.ts';

/** Reads one stream of a provider. */
export function createReader(): ChatStreamReader {
  let usage: ChatUsage | null = null;
  // Unknown blocks are skipped, so the following ones get lower numbers.
  const numbers = new Map<number, number>();

  const noteUsage = (value: unknown): ChatEvent[] => {
    if (!isObject(value)) return [];
    usage = readUsage(value, usage);
    return [{ kind: 'usage', usage }];
  };

  const begin = (event: Json): ChatEvent[] => {
    const block = objectOf(event.content_block);
    const kind = readBlock(block);
    const number = numberOf(event.index);
    if (kind === null || number === null) return [];
    const index = numbers.size;
    numbers.set(number, index);
    const events: ChatEvent[] = [{ kind: 'begin', index, block: kind }];
    const text = textOf(block.text) ?? textOf(block.thinking) ?? '';
    if (text !== '') events.push({ kind: 'delta', index, text });
    // A call's input usually comes in deltas, but may be complete already.
    if (kind.kind === 'tool_call' && Object.keys(objectOf(block.input)).length > 0)
      events.push({ kind: 'delta', index, text: JSON.stringify(block.input) });
    return events;
  };

  const change = (event: Json): ChatEvent[] => {
    const index = numbers.get(numberOf(event.index) ?? -1);
    if (index === undefined) return [];
    const delta = objectOf(event.delta);
    const signature = textOf(delta.signature);
    if (signature !== null)
      return [{ kind: 'signature', index, signature: { by: 'anthropic', value: signature } }];
    const text = textOf(delta.text) ?? textOf(delta.thinking) ?? textOf(delta.partial_json);
    return text === null || text === '' ? [] : [{ kind: 'delta', index, text }];
  };

  return {
    read({ data }: WireEvent) {
      switch (data.type) {
        case 'message_start': {
          const message = objectOf(data.message);
          const start: ChatEvent = {
            kind: 'start',
            id: textOf(message.id) ?? '',
            model: textOf(message.model) ?? '',
          };
          return [start, ...noteUsage(message.usage)];
        }
        case 'content_block_start':
          return begin(data);
        case 'content_block_delta':
          return change(data);
        case 'content_block_stop': {
          const index = numbers.get(numberOf(data.index) ?? -1);
          return index === undefined ? [] : [{ kind: 'end', index }];
        }
        case 'message_delta': {
          const { stop_reason: reason, stop_sequence: sequence } = objectOf(data.delta);
          const events = noteUsage(data.usage);
          if (typeof reason === 'string')
            events.push({ kind: 'finish', reason: readReason(reason), stopSequence: textOf(sequence) });
          return events;
        }
        case 'message_stop':
          return [{ kind: 'stop' }];
        case 'error':
          return [{ kind: 'error' }];
        default:
          return [];
      }
    },
  };
}

function readBlock(block: Json): Block | null {
  switch (block.type) {
    case 'text':
      return { kind: 'text' };
    case 'thinking':
      return { kind: 'reasoning' };
    case 'redacted_thinking':
      return { kind: 'redacted', data: { by: 'anthropic', value: textOf(block.data) ?? '' } };
    case 'tool_use':
      return {
        kind: 'tool_call',
        id: textOf(block.id) ?? '',
        name: textOf(block.name) ?? '',
        signature: null,
      };
    default:
      return null;
  }
}

const named = (data: Json): string => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

/** An event of one block. */
type BlockEvent = Extract<ChatEvent, { readonly index: number }>;

/** The block that is being written. */
interface Written {
  readonly index: number;
  /** Number of the client's block; there may be more of them than neutral blocks. */
  readonly number: number;
  readonly kind: Block['kind'];
  signed: boolean;
}

/** Writes one stream for a client. */
export const createWriter = (context: ReplyContext): ChatStreamWriter =>
  withoutLastSeal(createBlockWriter(context));

/** Leaves out a block that only seals the text before it, if none follows: agents read the last block as the answer. */
function withoutLastSeal(writer: ChatStreamWriter): ChatStreamWriter {
  let texts = 0;
  let held: { readonly begin: ChatEvent & { kind: 'begin' }; ended: boolean } | null = null;
  const release = (): string => {
    if (held === null) return '';
    const { begin, ended } = held;
    held = null;
    return writer.write(begin) + (ended ? writer.write({ kind: 'end', index: begin.index }) : '');
  };
  return {
    write(event) {
      if (event.kind === 'begin') {
        const before = release();
        if (event.block.kind === 'text') texts += 1;
        if (texts === 0 || !isTextSeal(event.block)) return before + writer.write(event);
        held = { begin: event, ended: false };
        return before;
      }
      if (held !== null && event.kind === 'end' && event.index === held.begin.index) {
        held.ended = true;
        return '';
      }
      if (event.kind === 'finish') held = null;
      return writer.write(event);
    },
  };
}

function createBlockWriter(context: ReplyContext): ChatStreamWriter {
  let open: Written | null = null;
  /** Events of other blocks that came meanwhile, by block; in this dialect blocks don't overlap. */
  const held = new Map<number, BlockEvent[]>();
  /** The held blocks in order. Those before `next` are written: a map's first entry takes long to find after many. */
  const order: number[] = [];
  let next = 0;
  let blocks = 0;
  let started = false;
  let refused = false;
  let usage: ChatUsage | null = null;
  let finish: { reason: FinishReason; stopSequence: string | null } | null = null;

  const start = (id: string, model: string): string => {
    if (started) return '';
    started = true;
    return named({ type: 'message_start', message: writeHead({ id, model, usage }, context) });
  };

  const startBlock = (block: Json): string =>
    named({ type: 'content_block_start', index: blocks++, content_block: block });

  const stopBlock = (number: number): string => named({ type: 'content_block_stop', index: number });

  const change = ({ number: index }: Written, delta: Json): string =>
    named({ type: 'content_block_delta', index, delta });

  const sign = (block: Written, signature: string): string => {
    if (block.kind !== 'reasoning') return '';
    block.signed = true;
    return change(block, { type: 'signature_delta', signature });
  };

  const begin = (index: number, block: Block): string => {
    refused ||= block.kind === 'refusal';
    const proof = block.kind === 'tool_call' ? writeSignature(block.signature) : [];
    let text = start('', '');
    for (const one of proof) text += startBlock(one) + stopBlock(blocks - 1);
    open = { index, number: blocks, kind: block.kind, signed: false };
    text += startBlock(writeBlock(block));
    return block.kind === 'picture' ? text + grow(open, lostPicture(block)) : text;
  };

  const grow = (block: Written, text: string): string => {
    if (block.kind === 'tool_call') return change(block, { type: 'input_json_delta', partial_json: text });
    if (block.kind === 'reasoning') return change(block, { type: 'thinking_delta', thinking: text });
    return change(block, { type: 'text_delta', text });
  };

  const end = (block: Written): string => {
    const text = (block.signed ? '' : sign(block, unsigned)) + stopBlock(block.number);
    open = null;
    return text;
  };

  /** Writes an event of the open block, or of the one that begins with it. */
  const writeNow = (event: BlockEvent): string => {
    if (event.kind === 'begin') return begin(event.index, event.block);
    if (open === null) return '';
    if (event.kind === 'delta') return grow(open, event.text);
    if (event.kind === 'citation')
      return change(open, { type: 'citations_delta', citation: writeSearchLocation(event.citation, '') });
    return event.kind === 'signature' ? sign(open, seal(event.signature, 'anthropic')) : end(open);
  };

  /** Writes held blocks up to one that hasn't ended. */
  const release = (): string => {
    let text = '';
    for (let index = order[next]; open === null && index !== undefined; index = order[next]) {
      next += 1;
      for (const event of held.get(index) ?? []) text += writeNow(event);
      held.delete(index);
    }
    return text;
  };

  const take = (event: BlockEvent): string => {
    if (open !== null && open.index !== event.index) {
      if (event.kind === 'begin') order.push(event.index);
      if (event.kind === 'begin') held.set(event.index, [event]);
      else held.get(event.index)?.push(event);
      return '';
    }
    const text = writeNow(event);
    return event.kind === 'end' ? text + release() : text;
  };

  const endAll = (): string => {
    let text = '';
    while (open !== null) text += end(open) + release();
    return text;
  };

  const stop = (): string => {
    const reason = refused ? 'refusal' : writeReason(finish?.reason ?? 'other');
    const delta = {
      stop_reason: reason,
      stop_sequence: finish?.stopSequence ?? null,
      stop_details: null,
      container: null,
    };
    return (
      endAll() +
      named({ type: 'message_delta', delta, usage: writeUsage(usage) }) +
      named({ type: 'message_stop' })
    );
  };

  return {
    write(event: ChatEvent) {
      switch (event.kind) {
        case 'start':
          return start(event.id, event.model);
        case 'usage':
          usage = event.usage;
          return '';
        case 'finish':
          finish = event;
          return start('', '') + endAll();
        case 'stop':
          return stop();
        case 'error':
          return '';
        default:
          return take(event);
      }
    },
  };
}

function writeBlock(block: Block): Json {
  switch (block.kind) {
    case 'text':
    case 'picture':
    case 'refusal':
      return { type: 'text', text: '' };
    case 'reasoning':
      return { type: 'thinking', thinking: '', signature: '' };
    case 'redacted':
      return { type: 'redacted_thinking', data: seal(block.data, 'anthropic') };
    case 'tool_call':
      return { type: 'tool_use', id: block.id, name: block.name, input: {} };
  }
}
