/** Streams of the Responses API: read from a provider, written for a client. */

import { countOf, entryOf, isObject, type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import type { Signature } from '../chat.ts';
import type {
  Block,
  ChatEvent,
  ChatStreamReader,
  ChatStreamWriter,
  ChatUsage,
  FinishReason,
  ReplyContext,
  ReplyPart,
  UrlCitation,
  WireEvent,
} from '../chat-reply.ts';
import { readAnnotations, writeAnnotation } from '../citations.ts';
import { HeldText } from '../held-text.ts';
import { customInput } from '../tool-kinds.ts';
import { finishOf, isComplete, proofOf, readItem, readUsage, writeItem, writeResponse } from './reply.ts';

/** Identifies a block within its item; only a message has several. */
const keyOf = (kind: Block['kind'], place: number): string =>
  kind === 'text' || kind === 'refusal' ? `${kind}${place}` : kind;

type TextKind = 'text' | 'refusal' | 'reasoning';

/** The kind of text that an event continues, by the event's type. */
const growing: Readonly<Record<string, TextKind>> = {
  'response.output_text.delta': 'text',
  'response.refusal.delta': 'refusal',
  'response.reasoning_summary_text.delta': 'reasoning',
  'response.reasoning_text.delta': 'reasoning',
};

/** An open block. */
interface Open {
  readonly index: number;
  grown: boolean;
  /** Citations so far. */
  cited: number;
  /** Number of the summary part that its text continues. */
  part: number;
}

/** Reads one stream of a provider. */
export function createReader(): ChatStreamReader {
  /** Open blocks by item, then by part. */
  const open = new Map<number, Map<string, Open>>();
  let blocks = 0;

  const openIn = (number: number): Map<string, Open> => {
    const known = open.get(number);
    if (known !== undefined) return known;
    const item = new Map<string, Open>();
    open.set(number, item);
    return item;
  };

  const begin = (number: number, key: string, block: Block, events: ChatEvent[], part = 0): Open => {
    const begun = { index: blocks++, grown: false, cited: 0, part };
    openIn(number).set(key, begun);
    events.push({ kind: 'begin', index: begun.index, block });
    return begun;
  };

  const grow = (number: number, kind: TextKind, text: unknown, part: number): ChatEvent[] => {
    if (typeof text !== 'string' || text === '') return [];
    const events: ChatEvent[] = [];
    const key = keyOf(kind, part);
    const block = open.get(number)?.get(key) ?? begin(number, key, { kind }, events, part);
    // Other dialects have one text for all parts of a summary.
    const apart = block.part === part ? '' : '\n\n';
    block.grown = true;
    block.part = part;
    return [...events, { kind: 'delta', index: block.index, text: apart + text }];
  };

  const call = (number: number, { call_id, name }: Json, events: ChatEvent[]): Open =>
    begin(
      number,
      'tool_call',
      { kind: 'tool_call', id: textOf(call_id) ?? '', name: textOf(name) ?? '', signature: null },
      events,
    );

  /** Tells the citations of a text that are new. */
  const cite = (block: Open, all: readonly UrlCitation[], events: ChatEvent[]): void => {
    for (const citation of all.slice(block.cited))
      events.push({ kind: 'citation', index: block.index, citation });
    block.cited = Math.max(block.cited, all.length);
  };

  /** Ends an item's open blocks, after what only the finished item contains. */
  const done = (item: Json, number: number): ChatEvent[] => {
    const events: ChatEvent[] = [];
    for (const [place, part] of readItem(item).entries()) {
      if (part.kind === 'redacted' || part.kind === 'picture') {
        begin(number, 'hidden', part, events);
        continue;
      }
      const key = keyOf(part.kind, place);
      const text = part.kind === 'tool_call' ? part.arguments : part.text;
      const block =
        open.get(number)?.get(key) ??
        (part.kind === 'tool_call'
          ? call(number, item, events)
          : begin(number, key, { kind: part.kind }, events));
      if (!block.grown && text !== '') events.push({ kind: 'delta', index: block.index, text });
      if (part.kind === 'text') cite(block, part.citations ?? [], events);
      if (part.kind === 'reasoning' && part.signature !== null)
        events.push({ kind: 'signature', index: block.index, signature: part.signature });
    }
    for (const { index } of open.get(number)?.values() ?? []) events.push({ kind: 'end', index });
    open.delete(number);
    return events;
  };

  const finish = (response: Json): ChatEvent[] => {
    const events: ChatEvent[] = isObject(response.usage)
      ? [{ kind: 'usage', usage: readUsage(response.usage, response.service_tier) }]
      : [];
    events.push(finishOf(response), { kind: 'stop' });
    return events;
  };

  return {
    read({ data }: WireEvent) {
      const type = textOf(data.type) ?? '';
      const number = numberOf(data.output_index) ?? 0;
      const kind = entryOf(growing, type);
      if (kind !== undefined) {
        const part = numberOf(data.content_index) ?? numberOf(data.summary_index) ?? 0;
        return grow(number, kind, data.delta, part);
      }
      switch (type) {
        case 'response.created': {
          const response = objectOf(data.response);
          const [id, model] = [textOf(response.id) ?? '', textOf(response.model) ?? ''];
          return [{ kind: 'start', id, model, createdS: countOf(response.created_at) }];
        }
        case 'response.output_item.added': {
          const item = objectOf(data.item);
          // A custom tool's input comes with the finished item.
          if (item.type !== 'function_call' && item.type !== 'custom_tool_call') return [];
          const events: ChatEvent[] = [];
          call(number, item, events);
          return events;
        }
        case 'response.function_call_arguments.delta': {
          const call = open.get(number)?.get('tool_call');
          if (call === undefined || typeof data.delta !== 'string' || data.delta === '') return [];
          call.grown = true;
          return [{ kind: 'delta', index: call.index, text: data.delta }];
        }
        case 'response.output_text.annotation.added': {
          const block = open.get(number)?.get(keyOf('text', numberOf(data.content_index) ?? 0));
          const [citation] = readAnnotations([data.annotation]);
          if (block === undefined || citation === undefined) return [];
          block.cited += 1;
          return [{ kind: 'citation', index: block.index, citation }];
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

/** An open block of the client's stream. */
interface Written {
  readonly block: Block;
  /** Number of its output item, and its id. */
  readonly number: number;
  readonly id: unknown;
  readonly text: HeldText;
  readonly citations: UrlCitation[];
  signature: Signature | null;
}

/** Writes one stream for a client. */
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

  const isCustom = (block: Block): boolean =>
    block.kind === 'tool_call' && context.origins?.get(block.name)?.custom === true;

  const itemOf = ({ block, number, citations, signature }: Written, text: string): Json =>
    writeItem(partOf(block, text, signature, citations), number, context);

  /** Writes an item without deltas. */
  const whole = (part: ReplyPart): string => {
    const item = writeItem(part, items, context);
    output[items] = item;
    const at = { output_index: items++, item };
    return send('response.output_item.added', at) + send('response.output_item.done', at);
  };

  const begin = (index: number, block: Block): string => {
    const proof = block.kind === 'tool_call' ? proofOf(block.signature).map(whole).join('') : '';
    const number = items++;
    const begun = writeItem(partOf(block, '', null), number, context);
    open.set(index, { block, number, id: begun.id, text: new HeldText(), citations: [], signature: null });
    const place = { output_index: number };
    const added = (more: Json): string =>
      proof + send('response.output_item.added', { ...place, item: { ...begun, ...more } });
    if (block.kind === 'redacted' || block.kind === 'picture') return added({});
    if (block.kind !== 'text' && block.kind !== 'refusal') return added({ status: 'in_progress' });
    const at = { ...place, item_id: begun.id, content_index: 0 };
    return (
      added({ status: 'in_progress', content: [] }) +
      send('response.content_part.added', { ...at, part: contentOf({ block, text: '', citations: [] }) })
    );
  };

  const grow = (index: number, text: string): string => {
    const written = open.get(index);
    if (written === undefined) return '';
    const events = growthOf(written, text, isCustom(written.block));
    written.text.add(text);
    return events.map(([type, fields]) => send(type, fields)).join('');
  };

  const cite = (index: number, citation: UrlCitation): string => {
    const written = open.get(index);
    if (written?.block.kind !== 'text') return '';
    const at = { item_id: written.id, output_index: written.number, content_index: 0 };
    const place = written.citations.push(citation) - 1;
    const annotation = writeAnnotation(citation);
    return send('response.output_text.annotation.added', { ...at, annotation_index: place, annotation });
  };

  const end = (index: number): string => {
    const written = open.get(index);
    if (written === undefined) return '';
    open.delete(index);
    const { number } = written;
    const text = written.text.toString();
    const item = itemOf(written, text);
    output[number] = item;
    const at = { item_id: item.id, output_index: number };
    const ends = endsOf({ ...written, text }, item.name, isCustom(written.block)).map(([type, fields]) =>
      send(type, { ...at, ...fields }),
    );
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
        case 'citation':
          return cite(event.index, event.citation);
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

function partOf(
  block: Block,
  text: string,
  signature: Signature | null,
  citations: readonly UrlCitation[] = [],
): ReplyPart {
  switch (block.kind) {
    case 'text':
      return { kind: 'text', text, cache: null, citations };
    case 'refusal':
      return { kind: 'refusal', text };
    case 'reasoning':
      return { kind: 'reasoning', text, signature };
    case 'redacted':
    case 'picture':
      return block;
    case 'tool_call':
      return { ...block, arguments: text, cache: null, at: '' };
  }
}

/** What an item says. */
interface Said extends Pick<Written, 'block' | 'citations'> {
  readonly text: string;
}

const contentOf = ({ block, text, citations }: Said): Json =>
  block.kind === 'refusal'
    ? { type: 'refusal', refusal: text }
    : { type: 'output_text', text, annotations: citations.map(writeAnnotation), logprobs: [] };

/** The events of more text in an item. */
function growthOf(
  { block, id, number, text: before }: Written,
  text: string,
  custom: boolean,
): (readonly [type: string, fields: Json])[] {
  const at = { item_id: id, output_index: number };
  switch (block.kind) {
    case 'text':
      return [['response.output_text.delta', { ...at, content_index: 0, delta: text, logprobs: [] }]];
    case 'refusal':
      return [['response.refusal.delta', { ...at, content_index: 0, delta: text }]];
    case 'tool_call':
      // The text inside a custom tool's arguments is known only when they are complete.
      return custom ? [] : [['response.function_call_arguments.delta', { ...at, delta: text }]];
    case 'reasoning': {
      const part = { type: 'summary_text', text: '' };
      const delta = { ...at, summary_index: 0, delta: text };
      const grown = ['response.reasoning_summary_text.delta', delta] as const;
      if (before.length > 0) return [grown];
      return [['response.reasoning_summary_part.added', { ...at, summary_index: 0, part }], grown];
    }
    default:
      return [];
  }
}

/** The events that end the parts of an item, each with the whole text. @param name the item's, of a call */
function endsOf(said: Said, name: unknown, custom: boolean): (readonly [type: string, fields: Json])[] {
  const { block, text } = said;
  const part = ['response.content_part.done', { content_index: 0, part: contentOf(said) }] as const;
  switch (block.kind) {
    case 'text':
      return [['response.output_text.done', { content_index: 0, text, logprobs: [] }], part];
    case 'refusal':
      return [['response.refusal.done', { content_index: 0, refusal: text }], part];
    case 'tool_call': {
      if (!custom) return [['response.function_call_arguments.done', { name, arguments: text }]];
      const input = customInput(text);
      return [
        ['response.custom_tool_call_input.delta', { delta: input }],
        ['response.custom_tool_call_input.done', { input }],
      ];
    }
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
