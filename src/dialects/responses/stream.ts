/** Streams of the Responses API: read from a provider, written for a client. */

import { countOf, entryOf, isObject, type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import type {
  Block,
  ChatEvent,
  ChatStreamReader,
  ChatStreamWriter,
  ChatUsage,
  FinishReason,
  ReplyContext,
  ReplyPart,
  Signature,
  WireEvent,
} from '../chat.ts';
import { isComplete, proofOf, readFinish, readItem, readUsage, writeItem, writeResponse } from './reply.ts';

/** What an item holds, of which a message may hold several. */
const keyOf = (kind: Block['kind'], place: number): string =>
  kind === 'text' || kind === 'refusal' ? `${kind}${place}` : kind;

type Grows = 'text' | 'refusal' | 'reasoning';

/** What grows in which event. */
const growing: Readonly<Record<string, Grows>> = {
  'response.output_text.delta': 'text',
  'response.refusal.delta': 'refusal',
  'response.reasoning_summary_text.delta': 'reasoning',
  'response.reasoning_text.delta': 'reasoning',
};

/** A block that has begun, by the item and part it is in. */
interface Open {
  readonly index: number;
  grown: boolean;
  /** Number of the part of a summary that grows. */
  part: number;
}

export function createReader(): ChatStreamReader {
  const open = new Map<string, Open>();
  let blocks = 0;

  const begin = (key: string, block: Block, events: ChatEvent[], part = 0): Open => {
    const begun = { index: blocks++, grown: false, part };
    open.set(key, begun);
    events.push({ kind: 'begin', index: begun.index, block });
    return begun;
  };

  const grow = (key: string, kind: Grows, text: unknown, part: number): ChatEvent[] => {
    if (typeof text !== 'string' || text === '') return [];
    const events: ChatEvent[] = [];
    const block = open.get(key) ?? begin(key, { kind }, events, part);
    // Parts of a summary are one text elsewhere.
    const apart = block.part === part ? '' : '\n\n';
    block.grown = true;
    block.part = part;
    return [...events, { kind: 'delta', index: block.index, text: apart + text }];
  };

  const call = (key: string, { call_id, name }: Json, events: ChatEvent[]): Open =>
    begin(
      key,
      { kind: 'tool_call', id: textOf(call_id) ?? '', name: textOf(name) ?? '', signature: null },
      events,
    );

  /** Ends what is open of an item; gives what only its end says. */
  const done = (item: Json, number: string): ChatEvent[] => {
    const events: ChatEvent[] = [];
    for (const [place, part] of readItem(item).entries()) {
      if (part.kind === 'redacted') {
        begin(`${number}.hidden`, part, events);
        continue;
      }
      const key = `${number}.${keyOf(part.kind, place)}`;
      const said = part.kind === 'tool_call' ? part.arguments : part.text;
      const block =
        open.get(key) ??
        (part.kind === 'tool_call' ? call(key, item, events) : begin(key, { kind: part.kind }, events));
      if (!block.grown && said !== '') events.push({ kind: 'delta', index: block.index, text: said });
      if (part.kind === 'reasoning' && part.signature !== null)
        events.push({ kind: 'signature', index: block.index, signature: part.signature });
    }
    for (const [key, { index }] of open) {
      if (!key.startsWith(`${number}.`)) continue;
      events.push({ kind: 'end', index });
      open.delete(key);
    }
    return events;
  };

  const finish = (response: Json): ChatEvent[] => {
    const events: ChatEvent[] = isObject(response.usage)
      ? [{ kind: 'usage', usage: readUsage(response.usage) }]
      : [];
    events.push({ kind: 'finish', reason: readFinish(response), stopSequence: null }, { kind: 'stop' });
    return events;
  };

  return {
    read({ data }: WireEvent) {
      const type = textOf(data.type) ?? '';
      const number = String(numberOf(data.output_index) ?? 0);
      const kind = entryOf(growing, type);
      if (kind !== undefined) {
        const part = numberOf(data.content_index) ?? numberOf(data.summary_index) ?? 0;
        return grow(`${number}.${keyOf(kind, part)}`, kind, data.delta, part);
      }
      switch (type) {
        case 'response.created': {
          const response = objectOf(data.response);
          const [id, model] = [textOf(response.id) ?? '', textOf(response.model) ?? ''];
          return [{ kind: 'start', id, model, createdS: countOf(response.created_at) }];
        }
        case 'response.output_item.added': {
          const item = objectOf(data.item);
          if (item.type !== 'function_call') return [];
          const events: ChatEvent[] = [];
          call(`${number}.tool_call`, item, events);
          return events;
        }
        case 'response.function_call_arguments.delta': {
          const call = open.get(`${number}.tool_call`);
          if (call === undefined || typeof data.delta !== 'string' || data.delta === '') return [];
          call.grown = true;
          return [{ kind: 'delta', index: call.index, text: data.delta }];
        }
        case 'response.output_item.done':
          return done(objectOf(data.item), number);
        case 'response.completed':
        case 'response.incomplete':
          return finish(objectOf(data.response));
        case 'response.failed':
        case 'error':
          return [{ kind: 'error' }];
        default:
          return [];
      }
    },
  };
}

/** A block of the client's stream. */
interface Written {
  readonly block: Block;
  /** Number of its item. */
  readonly number: number;
  text: string;
  signature: Signature | null;
}

export function createWriter(context: ReplyContext): ChatStreamWriter {
  const open = new Map<number, Written>();
  const output: Json[] = [];
  let id = '';
  let model = '';
  let usage: ChatUsage | null = null;
  let finish: FinishReason | null = null;
  let started = false;
  let items = 0;
  let sequence = 0;

  const send = (type: string, fields: Json): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...fields })}\n\n`;

  const response = (): Json => writeResponse({ id, model, finish, usage }, output, context);

  const start = (): string => {
    if (started) return '';
    started = true;
    return (
      send('response.created', { response: response() }) +
      send('response.in_progress', { response: response() })
    );
  };

  const itemOf = ({ block, number, text, signature }: Written): Json =>
    writeItem(partOf(block, text, signature), number, context);

  /** An item that is whole when it begins. */
  const whole = (part: ReplyPart): string => {
    const item = writeItem(part, items, context);
    output[items] = item;
    const at = { output_index: items++, item };
    return send('response.output_item.added', at) + send('response.output_item.done', at);
  };

  const begin = (index: number, block: Block): string => {
    const proof = block.kind === 'tool_call' ? proofOf(block.signature).map(whole).join('') : '';
    return proof + beginItem(index, block);
  };

  const beginItem = (index: number, block: Block): string => {
    const written = { block, number: items++, text: '', signature: null };
    open.set(index, written);
    const item: Json = {
      ...itemOf(written),
      ...(block.kind === 'redacted' ? {} : { status: 'in_progress' }),
    };
    const place = { output_index: written.number };
    if (block.kind !== 'text' && block.kind !== 'refusal')
      return send('response.output_item.added', { ...place, item });
    const at = { ...place, item_id: item.id, content_index: 0 };
    return (
      send('response.output_item.added', { ...place, item: { ...item, content: [] } }) +
      send('response.content_part.added', { ...at, part: contentOf(written) })
    );
  };

  const grow = (index: number, text: string): string => {
    const written = open.get(index);
    if (written === undefined) return '';
    const first = written.text === '';
    written.text += text;
    const at = { item_id: itemOf(written).id, output_index: written.number };
    switch (written.block.kind) {
      case 'text':
        return send('response.output_text.delta', { ...at, content_index: 0, delta: text, logprobs: [] });
      case 'refusal':
        return send('response.refusal.delta', { ...at, content_index: 0, delta: text });
      case 'tool_call':
        return send('response.function_call_arguments.delta', { ...at, delta: text });
      case 'reasoning': {
        const part = { type: 'summary_text', text: '' };
        return (
          (first ? send('response.reasoning_summary_part.added', { ...at, summary_index: 0, part }) : '') +
          send('response.reasoning_summary_text.delta', { ...at, summary_index: 0, delta: text })
        );
      }
      default:
        return '';
    }
  };

  const end = (index: number): string => {
    const written = open.get(index);
    if (written === undefined) return '';
    open.delete(index);
    const { number } = written;
    const item = itemOf(written);
    output[number] = item;
    const at = { item_id: item.id, output_index: number };
    const ends = endsOf(written).map(([type, fields]) => send(type, { ...at, ...fields }));
    return ends.join('') + send('response.output_item.done', { output_index: number, item });
  };

  return {
    write(event: ChatEvent) {
      switch (event.kind) {
        case 'start':
          ({ id, model } = event);
          return start();
        case 'begin':
          return start() + begin(event.index, event.block);
        case 'delta':
          return grow(event.index, event.text);
        case 'signature': {
          const written = open.get(event.index);
          if (written !== undefined) written.signature = event.signature;
          return '';
        }
        case 'end':
          return end(event.index);
        case 'usage':
          usage = event.usage;
          return '';
        case 'finish':
          finish = event.reason;
          return start() + [...open.keys()].map(end).join('');
        case 'stop':
          return send(isComplete(finish ?? 'other') ? 'response.completed' : 'response.incomplete', {
            response: response(),
          });
        case 'error':
          return '';
      }
    },
  };
}

function partOf(block: Block, text: string, signature: Signature | null): ReplyPart {
  switch (block.kind) {
    case 'text':
      return { kind: 'text', text, cache: null };
    case 'refusal':
      return { kind: 'refusal', text };
    case 'reasoning':
      return { kind: 'reasoning', text, signature };
    case 'redacted':
      return block;
    case 'tool_call':
      return { ...block, arguments: text, cache: null, at: '' };
  }
}

const contentOf = ({ block, text }: Written): Json =>
  block.kind === 'refusal'
    ? { type: 'refusal', refusal: text }
    : { type: 'output_text', text, annotations: [], logprobs: [] };

/** The events that end what is inside an item, each with its whole text. */
function endsOf(written: Written): (readonly [type: string, fields: Json])[] {
  const { block, text } = written;
  const part = ['response.content_part.done', { content_index: 0, part: contentOf(written) }] as const;
  switch (block.kind) {
    case 'text':
      return [['response.output_text.done', { content_index: 0, text, logprobs: [] }], part];
    case 'refusal':
      return [['response.refusal.done', { content_index: 0, refusal: text }], part];
    case 'tool_call':
      return [['response.function_call_arguments.done', { name: block.name, arguments: text }]];
    case 'reasoning': {
      const summary = { summary_index: 0, part: { type: 'summary_text', text } };
      if (text === '') return [];
      return [
        ['response.reasoning_summary_text.done', { summary_index: 0, text }],
        ['response.reasoning_summary_part.done', summary],
      ];
    }
    default:
      return [];
  }
}
