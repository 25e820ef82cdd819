/** What a reply says, whole or streamed, as messages by OpenTelemetry's conventions: one for each choice. */
import { type Json, listOf, numberOf, parseObject } from '../../base/json.ts';
import type {
  Block,
  ChatEvent,
  ChatStreamReader,
  FinishReason,
  ReplyPart,
  WireEvent,
} from '../../dialects/chat-reply.ts';
import { createSseFramer } from '../../dialects/framer.ts';
import type { ChatProvider } from '../../dialects/sides.ts';
import { type Message, partsOf } from './parts.ts';

/** Most choices that are read. */
const choicesMax = 8;

const reasons: Readonly<Record<FinishReason, string>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  tool_calls: 'tool_call',
  content_filter: 'content_filter',
  refusal: 'content_filter',
  other: 'stop',
  failed: 'error',
};

/** The dialects' names for a reply's choices. The readers take the first of them. */
const listNames = ['choices', 'candidates'] as const;
const listIn = (body: Json) => listNames.find((name) => Array.isArray(body[name]));

const messageOf = (parts: readonly ReplyPart[], finish: string): Message => ({
  role: 'assistant',
  parts: parts.flatMap(partsOf),
  finish_reason: finish,
});

/** A whole reply. */
export function outputOfWhole(body: Buffer, { readReply }: ChatProvider): Message[] {
  const json = parseObject(body.toString('utf8'));
  if (json === null) return [];
  const name = listIn(json);
  const each = name === undefined ? [json] : listOf(json[name]).map((one) => ({ ...json, [name]: [one] }));
  return each.slice(0, choicesMax).flatMap((one): Message[] => {
    const reply = readReply(one);
    return reply === null || reply === 'unfinished' ? [] : [messageOf(reply.parts, reasons[reply.finish])];
  });
}

/** One choice of a stream. */
interface Choice {
  readonly reader: ChatStreamReader;
  readonly blocks: Map<number, { readonly block: Block; text: string }>;
  finish: FinishReason | null;
}

/** A stream. @param cut it went on, so that its reason to end isn't known */
export function outputOfStream(body: Buffer, provider: ChatProvider, cut: boolean): Message[] {
  const framer = createSseFramer(body.length + 1);
  const choices = new Map<number, Choice>();
  const choiceOf = (index: number): Choice | undefined => {
    if (!choices.has(index) && choices.size < choicesMax)
      choices.set(index, { reader: provider.createReader(), blocks: new Map(), finish: null });
    return choices.get(index);
  };
  for (const { events } of [framer.push(body), framer.finish()])
    for (const event of events)
      for (const [index, its] of byChoice(event)) {
        const choice = choiceOf(index);
        if (choice !== undefined) for (const read of choice.reader.read(its)) take(choice, read);
      }
  return [...choices]
    .toSorted(([a], [b]) => a - b)
    .map(([, { blocks, finish }]) => {
      const parts = [...blocks.values()].map(({ block, text }) => partOf(block, text));
      return messageOf(parts, finish === null ? (cut ? 'unknown' : 'error') : reasons[finish]);
    })
    .filter(({ parts, finish_reason: reason }) => parts.length > 0 || reason !== 'error');
}

/** An event for the reader of each choice that it is about; the readers know only the first choice. */
function byChoice(wire: WireEvent): (readonly [number, WireEvent])[] {
  const name = listIn(wire.data);
  const list = name === undefined ? [] : listOf(wire.data[name]);
  if (name === undefined || list.length === 0) return [[0, wire]];
  return list.map((one) => [
    numberOf(one.index) ?? 0,
    { ...wire, data: { ...wire.data, [name]: [{ ...one, index: 0 }] } },
  ]);
}

function take(choice: Choice, event: ChatEvent): void {
  if (event.kind === 'begin') choice.blocks.set(event.index, { block: event.block, text: '' });
  else if (event.kind === 'delta') {
    const held = choice.blocks.get(event.index);
    if (held !== undefined) held.text += event.text;
  } else if (event.kind === 'finish') choice.finish ??= event.reason;
}

function partOf(block: Block, text: string): ReplyPart {
  switch (block.kind) {
    case 'text':
      return { kind: 'text', text, cache: null };
    case 'refusal':
      return { kind: 'refusal', text };
    case 'reasoning':
      return { kind: 'reasoning', text, signature: null };
    case 'tool_call':
      return { ...block, arguments: text, cache: null, at: '' };
    default:
      return block;
  }
}
