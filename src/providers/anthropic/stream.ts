/** Anthropic's streams: read from a provider, written for a client. https://docs.anthropic.com/en/docs/build-with-claude/streaming */
import {
  type Block,
  type ChatEvent,
  type ChatStreamReader,
  type ChatStreamWriter,
  type ChatUsage,
  type FinishReason,
  type ReplyContext,
  seal,
  type WireEvent,
} from '../chat.ts';
import { unsigned } from '../foreign.ts';
import { isObject, type Json, numberOf, objectOf, textOf } from '../json.ts';
import { readReason, readUsage, writeReason, writeSignature, writeUsage } from './reply.ts';

export function createReader(): ChatStreamReader {
  let usage: ChatUsage | null = null;
  // Blocks that can't be carried have no number here, so the others move up.
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
    // The input of a call comes in pieces, but may come whole.
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

export function createWriter({ model, requestId }: ReplyContext): ChatStreamWriter {
  const open = new Map<number, { readonly kind: Block['kind']; readonly number: number }>();
  const signed = new Set<number>();
  /** Counts the client's blocks, which may be more than were read. */
  let blocks = 0;
  let started = false;
  let refused = false;
  let usage: ChatUsage | null = null;
  let finish: { reason: FinishReason; stopSequence: string | null } | null = null;

  const start = (id: string, name: string): string => {
    if (started) return '';
    started = true;
    const message = {
      id: id === '' ? requestId : id,
      type: 'message',
      role: 'assistant',
      model: name === '' ? model : name,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: writeUsage(usage),
    };
    return named({ type: 'message_start', message });
  };

  const begin = (block: Json): string =>
    named({ type: 'content_block_start', index: blocks++, content_block: block });

  const stopAt = (number: number): string => named({ type: 'content_block_stop', index: number });

  const end = (at: number): string => {
    const block = open.get(at);
    if (block === undefined) return '';
    open.delete(at);
    const proof = block.kind === 'reasoning' && !signed.delete(at) ? sign(block.number, unsigned) : '';
    return proof + stopAt(block.number);
  };

  const change = (number: number, delta: Json): string =>
    named({ type: 'content_block_delta', index: number, delta });

  const sign = (number: number, signature: string): string =>
    change(number, { type: 'signature_delta', signature });

  const delta = (at: number, text: string): string => {
    const block = open.get(at);
    if (block === undefined) return '';
    const { kind, number: index } = block;
    if (kind === 'tool_call') return change(index, { type: 'input_json_delta', partial_json: text });
    if (kind === 'reasoning') return change(index, { type: 'thinking_delta', thinking: text });
    return change(index, { type: 'text_delta', text });
  };

  const stop = (): string => {
    const reason = refused ? 'refusal' : writeReason(finish?.reason ?? 'other');
    const said = { stop_reason: reason, stop_sequence: finish?.stopSequence ?? null };
    return (
      named({ type: 'message_delta', delta: said, usage: writeUsage(usage) }) +
      named({ type: 'message_stop' })
    );
  };

  return {
    write(event: ChatEvent) {
      switch (event.kind) {
        case 'start':
          return start(event.id, event.model);
        case 'begin': {
          const { index, block } = event;
          refused ||= block.kind === 'refusal';
          const proof = block.kind === 'tool_call' ? writeSignature(block.signature) : [];
          let text = start('', '');
          for (const one of proof) text += begin(one) + stopAt(blocks - 1);
          open.set(index, { kind: block.kind, number: blocks });
          return text + begin(writeBlock(block));
        }
        case 'delta':
          return delta(event.index, event.text);
        case 'signature': {
          const block = open.get(event.index);
          if (block?.kind !== 'reasoning') return '';
          signed.add(event.index);
          return sign(block.number, seal(event.signature, 'anthropic'));
        }
        case 'end':
          return end(event.index);
        case 'usage':
          usage = event.usage;
          return '';
        case 'finish':
          finish = event;
          return start('', '') + [...open.keys()].map(end).join('');
        case 'stop':
          return stop();
        case 'error':
          return '';
      }
    },
  };
}

function writeBlock(block: Block): Json {
  switch (block.kind) {
    case 'text':
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
