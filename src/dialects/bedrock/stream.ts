/** Reads ConverseStream's events. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html */

import { isObject, type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import type { Block, ChatEvent, ChatStreamReader, WireEvent } from '../chat-reply.ts';
import { exceptionEvent } from './event-stream.ts';
import { readReason, readStopSequence, readUsage, signed } from './reply.ts';

/** An open block, with its neutral number. */
interface Open {
  readonly index: number;
  readonly kind: Block['kind'];
}

/** Reads one stream of a provider. */
export function createReader(): ChatStreamReader {
  /** Open blocks by the provider's number. */
  const open = new Map<number, Open>();
  let blocks = 0;

  const end = (at: number, events: ChatEvent[]): void => {
    const block = open.get(at);
    if (block !== undefined) events.push({ kind: 'end', index: block.index });
    open.delete(at);
  };

  const begin = (at: number, block: Block, events: ChatEvent[]): number => {
    end(at, events);
    const index = blocks++;
    open.set(at, { index, kind: block.kind });
    events.push({ kind: 'begin', index, block });
    return index;
  };

  /** Blocks of text and reasoning have no event for their beginning. */
  const within = (at: number, kind: 'text' | 'reasoning', events: ChatEvent[]): number => {
    const block = open.get(at);
    return block?.kind === kind ? block.index : begin(at, { kind }, events);
  };

  const grow = (index: number, text: string, events: ChatEvent[]): void => {
    if (text !== '') events.push({ kind: 'delta', index, text });
  };

  const reasoning = (at: number, { text, signature, redactedContent }: Json, events: ChatEvent[]): void => {
    const words = textOf(text);
    if (words !== null) grow(within(at, 'reasoning', events), words, events);
    const seal = signed(signature);
    if (seal !== null)
      events.push({ kind: 'signature', index: within(at, 'reasoning', events), signature: seal });
    const data = signed(redactedContent);
    if (data !== null) begin(at, { kind: 'redacted', data }, events);
  };

  const delta = (at: number, change: Json, events: ChatEvent[]): void => {
    const text = textOf(change.text);
    if (text !== null) grow(within(at, 'text', events), text, events);
    else if (isObject(change.reasoningContent)) reasoning(at, change.reasoningContent, events);
    else if (isObject(change.toolUse)) {
      const block = open.get(at);
      // Arguments without a preceding call are ignored.
      if (block?.kind === 'tool_call') grow(block.index, textOf(change.toolUse.input) ?? '', events);
    }
  };

  return {
    read({ event, data }: WireEvent) {
      const events: ChatEvent[] = [];
      const at = numberOf(data.contentBlockIndex) ?? 0;
      switch (event) {
        case 'messageStart':
          events.push({ kind: 'start', id: '', model: '' });
          break;
        case 'contentBlockStart': {
          const { toolUse } = objectOf(data.start);
          if (!isObject(toolUse)) break;
          const [id, name] = [textOf(toolUse.toolUseId) ?? '', textOf(toolUse.name) ?? ''];
          begin(at, { kind: 'tool_call', id, name, signature: null }, events);
          break;
        }
        case 'contentBlockDelta':
          delta(at, objectOf(data.delta), events);
          break;
        case 'contentBlockStop':
          end(at, events);
          break;
        case 'messageStop': {
          const stopSequence = readStopSequence(data);
          events.push({ kind: 'finish', reason: readReason(data.stopReason), stopSequence });
          break;
        }
        case 'metadata':
          if (isObject(data.usage)) events.push({ kind: 'usage', usage: readUsage(data.usage) });
          events.push({ kind: 'stop' });
          break;
        case exceptionEvent:
          events.push({ kind: 'error' });
          break;
      }
      return events;
    },
  };
}
