/** Gemini's streams: each event is a complete response, whose parts continue those of the previous one. */

import { isObject, type Json, listOf, numberOf, objectOf, textOf, withoutNulls } from '../../base/json.ts';
import type { Signature } from '../chat.ts';
import type {
  Block,
  ChatEvent,
  ChatStreamReader,
  ChatStreamWriter,
  ChatUsage,
  FinishReason,
  ReplyContext,
  UrlCitation,
  WireEvent,
} from '../chat-reply.ts';
import { writeGrounding } from '../citations.ts';
import {
  isBlocked,
  readPart,
  readReason,
  readUsage,
  writeCall,
  writePicture,
  writeReason,
  writeUsage,
} from './reply.ts';
import { writeRedacted, writeSignature } from './signature.ts';

/** Reads one stream of a provider. */
export function createReader(): ChatStreamReader {
  let started = false;
  let id = '';
  let blocks = 0;
  let parts = 0;
  /** The open block: text, or reasoning that is not signed yet. */
  let open: { readonly kind: Block['kind']; readonly index: number } | null = null;

  const end = (events: ChatEvent[]): void => {
    if (open !== null) events.push({ kind: 'end', index: open.index });
    open = null;
  };

  const begin = (block: Block, events: ChatEvent[]): number => {
    end(events);
    const index = blocks++;
    open = { kind: block.kind, index };
    events.push({ kind: 'begin', index, block });
    return index;
  };

  const grow = (kind: 'text' | 'reasoning', text: string, events: ChatEvent[]): number => {
    const index = open?.kind === kind ? open.index : begin({ kind }, events);
    if (text !== '') events.push({ kind: 'delta', index, text });
    return index;
  };

  const part = (value: Json, events: ChatEvent[]): void => {
    for (const read of readPart(value, `${id}.${parts++}`)) {
      switch (read.kind) {
        case 'text':
          grow('text', read.text, events);
          break;
        case 'reasoning': {
          if (read.text === '' && read.signature === null) break;
          const index = grow('reasoning', read.text, events);
          if (read.signature === null) break;
          events.push({ kind: 'signature', index, signature: read.signature });
          end(events);
          break;
        }
        case 'picture':
        case 'redacted':
          begin(read, events);
          end(events);
          break;
        case 'tool_call': {
          const { name, signature } = read;
          const index = begin({ kind: 'tool_call', id: read.id, name, signature }, events);
          // Arguments are never split.
          events.push({ kind: 'delta', index, text: read.arguments });
          end(events);
          break;
        }
      }
    }
  };

  return {
    read({ data }: WireEvent) {
      if (isObject(data.error)) return [{ kind: 'error' }];
      const events: ChatEvent[] = [];
      const candidate = listOf(data.candidates).find(({ index }) => (numberOf(index) ?? 0) === 0);
      if (!started && (candidate !== undefined || isBlocked(data))) {
        started = true;
        id = textOf(data.responseId) ?? '';
        events.push({ kind: 'start', id, model: textOf(data.modelVersion) ?? '' });
      }
      for (const one of listOf(objectOf(candidate?.content).parts)) part(one, events);
      if (isObject(data.usageMetadata)) events.push({ kind: 'usage', usage: readUsage(data.usageMetadata) });
      const reason = textOf(candidate?.finishReason) ?? '';
      // Some servers send it with every event: text that follows begins a new block.
      if (reason !== '') end(events);
      if (reason !== '' && reason !== 'FINISH_REASON_UNSPECIFIED')
        events.push({ kind: 'finish', reason: readReason(reason), stopSequence: null });
      else if (isBlocked(data)) events.push({ kind: 'finish', reason: 'content_filter', stopSequence: null });
      return events;
    },
  };
}

/** An open block of the client's stream. */
interface Written {
  readonly block: Block;
  /** Arguments so far: this dialect can't send them in pieces. */
  text: string;
}

/** Writes one stream for a client. */
export function createWriter(context: ReplyContext): ChatStreamWriter {
  const open = new Map<number, Written>();
  let responseId = context.requestId;
  let modelVersion = context.model;
  let refused = false;
  const cited: UrlCitation[] = [];
  let usage: ChatUsage | null = null;
  let reason: FinishReason = 'other';

  const chunk = (parts: readonly Json[], more: Json = {}, rest: Json = {}): string => {
    const candidate = { content: { parts, role: 'model' }, ...more, index: 0 };
    return `data: ${JSON.stringify({ candidates: [candidate], ...rest, modelVersion, responseId })}\n\n`;
  };

  const delta = (index: number, text: string): string => {
    const written = open.get(index);
    switch (written?.block.kind) {
      case 'text':
      case 'refusal':
        return chunk([{ text }]);
      case 'reasoning':
        return chunk([{ text, thought: true }]);
      case 'tool_call':
        written.text += text;
        return '';
      default:
        return '';
    }
  };

  const sign = (index: number, signature: Signature): string =>
    open.get(index)?.block.kind === 'reasoning'
      ? chunk([{ text: '', thought: true, thoughtSignature: writeSignature(signature) }])
      : '';

  const end = (index: number): string => {
    const written = open.get(index);
    open.delete(index);
    return written?.block.kind === 'tool_call'
      ? chunk([writeCall({ ...written.block, arguments: written.text })])
      : '';
  };

  return {
    write(event: ChatEvent) {
      switch (event.kind) {
        case 'start':
          if (event.id !== '') responseId = event.id;
          if (event.model !== '') modelVersion = event.model;
          return '';
        case 'begin':
          open.set(event.index, { block: event.block, text: '' });
          refused ||= event.block.kind === 'refusal';
          if (event.block.kind === 'picture') return chunk([writePicture(event.block)]);
          return event.block.kind === 'redacted' ? chunk([writeRedacted(event.block)]) : '';
        case 'delta':
          return event.text === '' ? '' : delta(event.index, event.text);
        case 'citation':
          cited.push(event.citation);
          return '';
        case 'signature':
          return sign(event.index, event.signature);
        case 'end':
          return end(event.index);
        case 'usage':
          usage = event.usage;
          return '';
        case 'finish':
          reason = refused ? 'refusal' : event.reason;
          return [...open.keys()].map(end).join('');
        case 'stop':
          // In other dialects, usage may follow the finish reason; here both are in the last event. A chunk without parts
          // would make Google's SDK omit the whole reply from its history.
          return chunk(
            [{ text: '' }],
            withoutNulls({ finishReason: writeReason(reason), groundingMetadata: writeGrounding(cited) }),
            { usageMetadata: writeUsage(usage) },
          );
        case 'error':
          return '';
      }
    },
  };
}
