/** OpenAI's chat streams: read from a provider, written for a client. */

import { isObject, type Json, listOf, numberOf, objectOf, textOf } from '../../base/json.ts';
import { makeCallId } from '../call-id.ts';
import type { Signature } from '../chat.ts';
import type {
  Block,
  ChatEvent,
  ChatStreamReader,
  ChatStreamWriter,
  ChatUsage,
  ReplyContext,
  UrlCitation,
  WireEvent,
} from '../chat-reply.ts';
import { createCiting, readAnnotations, readFound, writeChatAnnotation } from '../citations.ts';
import { doneEvent } from '../framer.ts';
import { createObjectEnd, type ObjectEnd } from '../object-end.ts';
import { customArguments, customInput } from '../tool-kinds.ts';
import { readContent, readDetails, readExtra, writeDetail, writeExtra } from './reasoning.ts';
import {
  readPictures,
  readReason,
  readUsage,
  writeOwnCalled,
  writePicture,
  writeReason,
  writeUsage,
} from './reply.ts';

/** A call in the stream, and its block. */
interface OpenCall {
  /** Negative: it has no name yet, so it hasn't begun for the client. */
  index: number;
  id: string;
  /** Its arguments until it begins. */
  held: string;
  readonly arguments: ObjectEnd;
  /** The input of a custom tool so far, told as a function's argument when it is complete; null: it calls a function. */
  input: string | null;
  ended: boolean;
}

/**
 * Whether a name begins another call under the number of one that has begun: some servers give every call the number 0,
 * with different ids, or with none, as Gemini's OpenAI API does, where arguments follow those that are complete.
 */
const isAnother = (one: OpenCall, id: string, text: string): boolean =>
  one.index >= 0 && (id === '' ? text.trim() !== '' && one.arguments.isObject() : id !== one.id);

/** Ends the call of a custom tool, whose input can't say where it ends. */
function endCustom(call: OpenCall | null, events: ChatEvent[]): void {
  if (call === null || call.input === null || call.ended) return;
  call.ended = true;
  events.push({ kind: 'delta', index: call.index, text: customArguments(call.input) });
  events.push({ kind: 'end', index: call.index });
}

/** Reads one stream of a provider. */
export function createReader(): ChatStreamReader {
  let started = false;
  let replyId = '';
  let blocks = 0;
  /** The open block other than a call, and its text if it is reasoning. */
  let open: { kind: Block['kind']; index: number; thought: string } | null = null;
  /** Calls by their numbers, and the one that began last. */
  const calls = new Map<number, OpenCall>();
  let lastCall: OpenCall | null = null;
  /** Calls that have not begun. */
  let nameless = 0;
  /** The last event with what the server found, which it repeats with every event. */
  let found: Json = {};
  const citing = createCiting();

  /** Ends open blocks. A call stays open until its arguments are complete: some servers alternate between calls. */
  const endOpen = (events: ChatEvent[]): void => {
    if (open !== null) events.push({ kind: 'end', index: open.index });
    open = null;
    endCustom(lastCall, events);
    if (lastCall === null || lastCall.ended || !lastCall.arguments.isObject()) return;
    lastCall.ended = true;
    events.push({ kind: 'end', index: lastCall.index });
  };

  const begin = (block: Block, events: ChatEvent[]): number => {
    endOpen(events);
    const index = blocks++;
    if (block.kind !== 'tool_call') open = { kind: block.kind, index, thought: '' };
    events.push({ kind: 'begin', index, block });
    return index;
  };

  const grow = (kind: 'text' | 'reasoning' | 'refusal', text: unknown, events: ChatEvent[]): void => {
    if (typeof text !== 'string' || text === '') return;
    const index = open?.kind === kind ? open.index : begin({ kind }, events);
    events.push({ kind: 'delta', index, text });
    if (kind === 'text') citing.give([], index, events);
    if (kind === 'reasoning' && open !== null) open.thought += text;
  };

  const details = (delta: Json, events: ChatEvent[]): void => {
    for (const part of readDetails(delta)) {
      if (part.kind === 'redacted') begin(part, events);
      else if (part.signature === null) grow('reasoning', part.text, events);
      else {
        // The entry with the signature may repeat text that was streamed already.
        if (open?.kind !== 'reasoning' || open.thought !== part.text) grow('reasoning', part.text, events);
        const index = open?.kind === 'reasoning' ? open.index : begin({ kind: 'reasoning' }, events);
        events.push({ kind: 'signature', index, signature: part.signature });
      }
    }
  };

  const call = (delta: Json, events: ChatEvent[]): void => {
    const custom = isObject(delta.custom);
    const { name: called, arguments: args, input } = objectOf(custom ? delta.custom : delta.function);
    const number = numberOf(delta.index) ?? Math.max(0, calls.size - 1);
    const given = textOf(delta.id) ?? '';
    const name = textOf(called) ?? '';
    let one = calls.get(number);
    const text = textOf(custom ? input : args) ?? '';
    if (one === undefined || (name !== '' && isAnother(one, given, text))) {
      const end = createObjectEnd();
      one = { index: -1, id: given, held: '', arguments: end, input: custom ? '' : null, ended: false };
      calls.set(number, one);
      nameless += 1;
    }
    if (one.id === '') one.id = given;
    if (one.index < 0) {
      // Held until it has a name, which may come after its id.
      if (name === '') {
        one.held += text;
        return;
      }
      nameless -= 1;
      const id = one.id === '' ? makeCallId(`${replyId}.${blocks}`, name, '') : one.id;
      one.index = begin({ kind: 'tool_call', id, name, signature: readExtra(delta) }, events);
      lastCall = one;
      if (one.input !== null) one.input = one.held;
      else if (one.held !== '') events.push({ kind: 'delta', index: one.index, text: one.held });
      one.arguments.push(one.held);
      one.held = '';
    }
    if (text === '') return;
    if (one.input !== null && !one.ended) {
      one.input += text;
      return;
    }
    one.arguments.push(text);
    // Arguments for a call that has ended: the reply would have gaps, so it is invalid.
    events.push(one.ended ? { kind: 'error' } : { kind: 'delta', index: one.index, text });
  };

  const cite = (citations: readonly UrlCitation[], events: ChatEvent[]): void =>
    citing.give(citations, open?.kind === 'text' ? open.index : null, events);

  const choice = ({ delta, finish_reason: reason, error }: Json, events: ChatEvent[]): void => {
    if (isObject(error)) return void events.push({ kind: 'finish', reason: 'failed', stopSequence: null });
    if (isObject(delta)) {
      details(delta, events);
      if (typeof delta.content === 'string') grow('text', delta.content, events);
      else for (const part of readContent(delta.content)) grow(part.kind, part.text, events);
      grow('refusal', delta.refusal, events);
      cite(readAnnotations(delta.annotations), events);
      for (const picture of readPictures(delta)) begin(picture, events);
      for (const one of listOf(delta.tool_calls)) call(one, events);
    }
    if (typeof reason !== 'string' || reason === '') return;
    cite(readFound(found), events);
    found = {};
    endCustom(lastCall, events);
    // The text they belong to has ended.
    if (citing.waits) citing.give([], begin({ kind: 'text' }, events), events);
    // A call that never got a name can't be answered.
    events.push({ kind: 'finish', reason: nameless > 0 ? 'failed' : readReason(reason), stopSequence: null });
  };

  return {
    read({ event, data }: WireEvent) {
      if (event === doneEvent) return [{ kind: 'stop' }];
      const events: ChatEvent[] = [];
      const choices = listOf(data.choices);
      if (!started && choices.length > 0) {
        started = true;
        replyId = textOf(data.id) ?? '';
        events.push({ kind: 'start', id: replyId, model: textOf(data.model) ?? '' });
      }
      if (Array.isArray(data.citations) || Array.isArray(data.search_results)) found = data;
      for (const one of choices) if ((numberOf(one.index) ?? 0) === 0) choice(one, events);
      if (isObject(data.usage))
        events.push({ kind: 'usage', usage: readUsage(data.usage, data.service_tier) });
      return events;
    },
  };
}

/** An open block of the client's stream. */
interface Written {
  readonly kind: Block['kind'];
  /** Number of the call among the calls. */
  readonly call: number;
  /** The call is of a tool whose input is text. */
  readonly custom: boolean;
  /** Reasoning so far, which is repeated with its signature, or a custom tool's arguments. */
  text: string;
  /** Of a text so far. */
  length: number;
  signature: Signature | null;
}

/** Writes one stream for a client. */
export function createWriter(context: ReplyContext): ChatStreamWriter {
  const open = new Map<number, Written>();
  let id = context.requestId;
  let model = context.model;
  let calls = 0;
  let details = 0;
  let pictures = 0;
  /** Length of the text before the open one. */
  let offset = 0;
  let started = false;
  let usage: ChatUsage | null = null;

  const chunk = (choices: readonly Json[], counted: Json | null): string => {
    const head = { id, object: 'chat.completion.chunk', created: context.createdS, model, choices };
    const event = context.wantsUsage ? { ...head, usage: counted } : head;
    return `data: ${JSON.stringify(event)}\n\n`;
  };
  const delta = (change: Json, reason: string | null = null): string =>
    chunk([{ index: 0, delta: change, logprobs: null, finish_reason: reason }], null);

  const start = (): string => {
    if (started) return '';
    started = true;
    return delta({ role: 'assistant', content: '', refusal: null });
  };

  const begin = (index: number, block: Block): string => {
    const custom = block.kind === 'tool_call' && context.origins?.get(block.name)?.custom === true;
    const written = { kind: block.kind, call: calls, custom, text: '', length: 0, signature: null };
    open.set(index, written);
    if (block.kind === 'redacted') {
      const detail = writeDetail(block, details++);
      return delta({ reasoning_details: [detail] });
    }
    if (block.kind === 'picture') return delta({ images: [writePicture(block, pictures++)] });
    if (block.kind !== 'tool_call') return '';
    calls += 1;
    const call = { index: written.call, id: block.id, ...writeOwnCalled(block.name, '', context.origins) };
    return delta({ tool_calls: [{ ...call, ...writeExtra(block.signature) }] });
  };

  const grow = (index: number, text: string): string => {
    const block = open.get(index);
    switch (block?.kind) {
      case 'text':
        block.length += text.length;
        return delta({ content: text });
      case 'refusal':
        return delta({ refusal: text });
      case 'reasoning':
        block.text += text;
        return delta({ reasoning_content: text });
      case 'tool_call':
        // The text inside a custom tool's arguments is known only when they are complete.
        if (block.custom) block.text += text;
        if (block.custom) return '';
        return delta({ tool_calls: [{ index: block.call, function: { arguments: text } }] });
      default:
        return '';
    }
  };

  const end = (index: number): string => {
    const block = open.get(index);
    open.delete(index);
    offset += block?.length ?? 0;
    if (block?.custom === true)
      return delta({ tool_calls: [{ index: block.call, custom: { input: customInput(block.text) } }] });
    if (block?.kind !== 'reasoning' || block.signature === null) return '';
    const { text, signature } = block;
    return delta({ reasoning_details: [writeDetail({ kind: 'reasoning', text, signature }, details++)] });
  };

  return {
    write(event: ChatEvent) {
      switch (event.kind) {
        case 'start':
          if (event.id !== '') id = event.id;
          if (event.model !== '') model = event.model;
          return start();
        case 'begin':
          return start() + begin(event.index, event.block);
        case 'delta':
          return grow(event.index, event.text);
        case 'citation':
          return delta({ annotations: [writeChatAnnotation(event.citation, offset)] });
        case 'signature': {
          const block = open.get(event.index);
          if (block !== undefined) block.signature = event.signature;
          return '';
        }
        case 'end':
          return end(event.index);
        case 'usage':
          usage = event.usage;
          return '';
        case 'finish':
          return start() + [...open.keys()].map(end).join('') + delta({}, writeReason(event.reason));
        case 'stop':
          return `${context.wantsUsage ? chunk([], writeUsage(usage)) : ''}data: [DONE]\n\n`;
        case 'error':
          return '';
      }
    },
  };
}
