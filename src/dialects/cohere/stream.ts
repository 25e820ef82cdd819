/** Reads Cohere's chat streams. https://docs.cohere.com/v2/docs/streaming */

import { type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import type { Block, ChatEvent, ChatStreamReader, WireEvent } from '../chat-reply.ts';
import { doneEvent } from '../framer.ts';
import { readReason, readUsage } from './reply.ts';

/** Reads one stream of a provider. */
export function createReader(): ChatStreamReader {
  let blocks = 0;
  /** The open block. Cohere numbers texts and calls separately, so its numbers can't be used. */
  let open: { readonly kind: Block['kind']; readonly index: number } | null = null;
  /** Number of a call → number of its block. */
  const calls = new Map<number, number>();

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

  const grow = (kind: 'text' | 'reasoning', text: unknown, events: ChatEvent[]): void => {
    if (typeof text !== 'string' || text === '') return;
    const index = open?.kind === kind ? open.index : begin({ kind }, events);
    events.push({ kind: 'delta', index, text });
  };

  const content = (value: unknown, events: ChatEvent[]): void => {
    const { text, thinking } = objectOf(value);
    grow('reasoning', thinking, events);
    grow('text', text, events);
  };

  const call = (data: Json, message: Json, starts: boolean, events: ChatEvent[]): void => {
    const given = objectOf(message.tool_calls);
    const { name, arguments: args } = objectOf(given.function);
    const number = numberOf(data.index) ?? 0;
    if (starts) {
      const block = { id: textOf(given.id) ?? '', name: textOf(name) ?? '', signature: null };
      calls.set(number, begin({ kind: 'tool_call', ...block }, events));
    }
    if (typeof args !== 'string' || args === '') return;
    const index = calls.get(number);
    // Arguments for a call that has ended or never began: the reply would have gaps, so it is invalid.
    const grows = index !== undefined && open?.index === index;
    events.push(grows ? { kind: 'delta', index, text: args } : { kind: 'error' });
  };

  const finish = (delta: Json, events: ChatEvent[]): void => {
    const reason = textOf(delta.finish_reason) ?? '';
    if ((textOf(delta.error) ?? '') !== '') {
      events.push({ kind: 'error' });
      return;
    }
    const usage = readUsage(delta.usage);
    if (usage !== null) events.push({ kind: 'usage', usage });
    if (reason !== '') events.push({ kind: 'finish', reason: readReason(reason), stopSequence: null });
    events.push({ kind: 'stop' });
  };

  return {
    read({ event, data }: WireEvent) {
      // The message has ended already.
      if (event === doneEvent) return [];
      const type = textOf(data.type);
      // An error has no type: it looks like the body of an error response.
      if (type === null && typeof data.message === 'string') return [{ kind: 'error' }];
      const events: ChatEvent[] = [];
      const delta = objectOf(data.delta);
      const message = objectOf(delta.message);
      switch (type) {
        case 'message-start':
          events.push({ kind: 'start', id: textOf(data.id) ?? '', model: '' });
          break;
        case 'content-start':
          end(events);
          content(message.content, events);
          break;
        case 'content-delta':
          content(message.content, events);
          break;
        case 'tool-plan-delta':
          grow('text', message.tool_plan, events);
          break;
        case 'tool-call-start':
        case 'tool-call-delta':
          call(data, message, type === 'tool-call-start', events);
          break;
        case 'content-end':
        case 'tool-call-end':
          end(events);
          break;
        case 'message-end':
          finish(delta, events);
          break;
      }
      return events;
    },
  };
}
