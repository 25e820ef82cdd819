/** Reads a provider's reply, and passes it on unchanged or translated into the client's dialect. */

import { isUtf8 } from 'node:buffer';
import { type Json, parseObject } from '../base/json.ts';
import { type Finish, noFacts, type ReplyFacts } from '../native/reply.ts';
import type {
  Block,
  ChatEvent,
  ChatReply,
  ChatStreamReader,
  ChatStreamWriter,
  FinishReason,
  ReplyContext,
  ReplyPart,
} from './chat-reply.ts';
import { cutText } from './cut-text.ts';
import { createSseFramer } from './framer.ts';
import { arrivedOf } from './native-reading.ts';
import type {
  Arrived,
  Framer,
  Frames,
  KnownTokens,
  ReplyReading,
  StreamFault,
  StreamReading,
  WholeReading,
} from './reading.ts';
import type { ChatClient, ChatProvider } from './sides.ts';
import { ownName } from './tool-kinds.ts';

/** Reads a dialect that the native core doesn't know; bytes pass unchanged. */
export function observedReading(provider: ChatProvider, client: ChatClient): ReplyReading {
  return {
    streamType: provider.streamType,
    whole(body) {
      const reply = readWhole(body, provider);
      if (reply === null || typeof reply === 'string') return failed(reply);
      return reply.finish === 'failed' ? failed('error') : { body, ...arrivedReply(reply) };
    },
    arrived: (body) => arrivedAcross(body, provider),
    stream: (eventMaxBytes) => new ReadStream(provider, client, null, eventMaxBytes),
  };
}

/** Reads the provider's dialect and writes the client's. */
export function translatedReading(
  provider: ChatProvider,
  client: ChatClient,
  context: ReplyContext,
): ReplyReading {
  return {
    streamType: provider.streamType,
    whole(body) {
      const reply = readWhole(body, provider);
      if (reply === null || typeof reply === 'string') return failed(reply);
      if (reply.finish === 'failed') return failed('error');
      const written = client.writeReply(withOwnNames(reply, context), context);
      if (written === null) return null;
      return { body: Buffer.from(JSON.stringify(written)), ...arrivedReply(reply) };
    },
    arrived: (body) => arrivedAcross(body, provider),
    stream: (eventMaxBytes) =>
      new ReadStream(provider, client, ownNaming(client.createWriter(context), context), eventMaxBytes),
  };
}

/** A reply whose calls have the names that the client knows. */
const withOwnNames = (reply: ChatReply, { origins }: ReplyContext): ChatReply =>
  origins === undefined
    ? reply
    : {
        ...reply,
        parts: reply.parts.map((part) =>
          part.kind === 'tool_call' ? { ...part, name: ownName(part.name, origins) } : part,
        ),
      };

/** A writer whose calls have the names that the client knows. */
function ownNaming(writer: ChatStreamWriter, { origins }: ReplyContext): ChatStreamWriter {
  if (origins === undefined) return writer;
  return {
    write(event) {
      if (event.kind !== 'begin' || event.block.kind !== 'tool_call') return writer.write(event);
      const { block } = event;
      return writer.write({ ...event, block: { ...block, name: ownName(block.name, origins) } });
    },
  };
}

const failed = (why: 'error' | 'unfinished' | null): WholeReading | 'unfinished' | null =>
  why === 'error' ? { body: none, facts: { ...noFacts, error: true }, text: () => none } : why;

const none = Buffer.alloc(0);

/** Larger replies are only looked through where the native core can: nobody waits for them any more. */
const parsedMaxBytes = 64 * 1024;

function arrivedAcross(body: Buffer, provider: ChatProvider): Arrived | null {
  if (provider.native !== 'any' && body.length > parsedMaxBytes)
    return arrivedOf(body, provider.native, null);
  const reply = readWhole(body, provider);
  if (typeof reply === 'string') return null;
  if (reply !== null) return arrivedReply(reply);
  if (provider.native !== 'any') return arrivedOf(body, provider.native, null);
  const text = Buffer.from(cutText(body.toString('utf8')));
  return text.length === 0 ? null : { facts: { ...noFacts, textBytes: text.length }, text: () => text };
}

function readWhole(body: Buffer, provider: ChatProvider): ChatReply | 'error' | 'unfinished' | null {
  const json = isUtf8(body) ? parseObject(body.toString('utf8')) : null;
  if (json === null) return null;
  if (isError(json)) return 'error';
  const reply = provider.readReply(json);
  if (reply === null || reply === 'unfinished') return reply;
  const called = reply.parts.some(({ kind }) => kind === 'tool_call');
  const finish = correctedReason(reply.finish, called);
  // Neither content nor an end that anybody knows: no answer, and nothing but its usage is true.
  const isEmpty = reply.parts.every((part) => !isWhole(part.kind) && textOfPart(part) === '');
  const parts = reply.parts.map(withArguments);
  return {
    ...reply,
    parts,
    finish: finish === 'other' && isEmpty && reply.promised !== true ? 'failed' : finish,
  };
}

/** A call without arguments has those of an empty object: apps parse them as JSON. */
const noArguments = '{}';

const withArguments = (part: ReplyPart): ReplyPart =>
  part.kind === 'tool_call' && part.arguments.trim() === '' ? { ...part, arguments: noArguments } : part;

const isError = ({ error, type }: Json): boolean => (error ?? null) !== null || type === 'error';

/** A reply with tool calls ends for them, whatever reason the provider states. */
const correctedReason = (reason: FinishReason, called: boolean): FinishReason =>
  called && (reason === 'stop' || reason === 'other') ? 'tool_calls' : reason;

const finishes: Readonly<Record<FinishReason, Finish>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  tool_calls: 'tool',
  content_filter: 'filter',
  refusal: 'filter',
  other: 'other',
  failed: 'other',
};

function arrivedReply(reply: ChatReply): Arrived {
  const text = Buffer.from(reply.parts.map(textOfPart).join(''));
  return { facts: factsOf(reply, text.length), text: () => text.subarray(0, textMaxBytes) };
}

/** Whether a part is content without any text. */
const isWhole = (kind: ReplyPart['kind']): kind is 'redacted' | 'picture' =>
  kind === 'redacted' || kind === 'picture';

const textOfPart = (part: ReplyPart): string =>
  part.kind === 'tool_call'
    ? part.arguments
    : part.kind === 'redacted' || part.kind === 'picture'
      ? ''
      : part.text;

const factsOf = ({ parts, finish, usage, promised, model }: ChatReply, textBytes: number): ReplyFacts => ({
  error: false,
  tool: parts.some(({ kind }) => kind === 'tool_call'),
  refused: finish === 'refusal' || parts.some(({ kind }) => kind === 'refusal'),
  usage: usage !== null,
  inputTokens: usage?.inputTokens ?? 0,
  outputTokens: usage?.outputTokens ?? 0,
  cachedInputTokens: usage?.cachedInputTokens ?? 0,
  cacheWriteTokens: usage?.cacheWriteTokens ?? 0,
  ...statedOf(usage?.reasoningTokens, model),
  finish: finishes[finish],
  textBytes,
  ...(usage?.pricing === undefined ? {} : { pricing: usage.pricing }),
  ...(promised === undefined ? {} : { promised }),
});

const statedOf = (reasoningTokens = 0, model = ''): Pick<ReplyFacts, 'reasoningTokens' | 'model'> => ({
  ...(reasoningTokens === 0 ? {} : { reasoningTokens }),
  ...(model === '' ? {} : { model }),
});

/** Reply text is kept up to this size, as in the native core; beyond it, only its length is counted. */
const textMaxBytes = 128 * 1024;

/** A block of a stream, and its text so far. */
interface HeldBlock {
  readonly block: Block;
  text: string;
}

/** Reads a stream event by event, and translates it if there is a writer. */
class ReadStream implements StreamReading {
  content = false;
  finished = false;
  ended = false;
  toolBegun = false;
  begun = false;
  readonly openBlock = -1;
  #blocks: HeldBlock[] = [];
  /** Open calls without arguments so far. */
  readonly #bare = new Set<number>();
  #start: ChatEvent & { kind: 'start' } = { kind: 'start', id: '', model: '' };
  #broken: StreamFault | null = null;
  #facts = noFacts;
  readonly #framer: Framer;
  readonly #reader: ChatStreamReader;
  readonly #client: ChatClient;
  readonly #writer: ChatStreamWriter | null;

  constructor(
    provider: ChatProvider,
    client: ChatClient,
    writer: ChatStreamWriter | null,
    eventMaxBytes: number,
  ) {
    this.#framer = (provider.createFramer ?? createSseFramer)(eventMaxBytes);
    this.#reader = provider.createReader();
    this.#client = client;
    this.#writer = writer;
  }

  get broken(): StreamFault | null {
    // Whatever follows the last event is ignored.
    return this.ended ? null : (this.#broken ?? this.#framer.broken);
  }

  get textBytes(): number {
    return this.#facts.textBytes;
  }

  takeText(): Buffer {
    const text = this.#blocks.map((held) => held.text).join('');
    this.#blocks = [];
    return Buffer.from(text).subarray(0, textMaxBytes);
  }

  lengthEnd({ inputTokens, outputTokens }: KnownTokens): Buffer {
    const writer = this.#writer ?? this.#shadow();
    const usage = {
      inputTokens,
      outputTokens,
      cachedInputTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
    };
    if (!this.#facts.usage) writer.write({ kind: 'usage', usage });
    const closed = writer.write({ kind: 'finish', reason: 'length', stopSequence: null });
    const last = writer.write({ kind: 'stop' });
    // The shadow's closing events have other item ids than those the client received, so they are not sent.
    return Buffer.from(this.#writer === null ? last : closed + last);
  }

  /** A writer that catches up on a stream that was passed on unchanged, so that it can end it. */
  #shadow(): ChatStreamWriter {
    const { id, model, createdS = 0 } = this.#start;
    const writer = this.#client.createWriter({ model, requestId: id, createdS, wantsUsage: true });
    writer.write(this.#start);
    for (const [index, { block, text }] of this.#blocks.entries()) {
      writer.write({ kind: 'begin', index, block });
      writer.write({ kind: 'delta', index, text });
    }
    return writer;
  }

  facts(): ReplyFacts {
    return { ...this.#facts, error: this.broken !== null, tool: this.toolBegun };
  }

  push(chunk: Buffer): Buffer | null {
    return this.ended ? null : this.#process(this.#framer.push(chunk), '');
  }

  finish(): Buffer | null {
    if (this.ended) return null;
    const { raw, events } = this.#framer.finish();
    const rest = this.#process({ raw, events }, '');
    // A stream with its finish reason but without its last event is complete.
    if (this.#writer === null || this.ended || !this.finished || this.broken !== null) return rest;
    const end = Buffer.from(this.#take({ kind: 'stop' }));
    return rest === null ? end : Buffer.concat([rest, end]);
  }

  #process({ raw, events }: Frames, before: string): Buffer | null {
    let text = before;
    for (const event of events) {
      for (const read of this.#reader.read(event)) {
        if (this.ended || this.#broken !== null) break;
        text += this.#take(read);
      }
      this.begun ||= this.#broken === null;
    }
    if (this.#writer === null) return raw;
    return text === '' ? null : Buffer.from(text);
  }

  /** Updates the facts from an event, and returns it in the client's dialect. */
  #take(event: ChatEvent): string {
    switch (event.kind) {
      case 'error':
        this.#broken = event.unfinished === true ? 'unfinished' : 'error_event';
        return '';
      case 'finish': {
        if (this.finished) return '';
        const reason = correctedReason(event.reason, this.toolBegun);
        if (reason === 'failed' || (reason === 'other' && !this.content)) {
          this.#broken = 'error_event';
          return '';
        }
        this.finished = true;
        this.#update({ finish: finishes[reason], refused: this.#facts.refused || reason === 'refusal' });
        return this.#completed() + this.#write({ ...event, reason });
      }
      case 'stop': {
        if (!this.finished && !this.content) {
          this.#broken = 'malformed';
          return '';
        }
        const finish = this.finished
          ? ''
          : this.#completed() +
            this.#write({
              kind: 'finish',
              reason: correctedReason('other', this.toolBegun),
              stopSequence: null,
            });
        this.ended = true;
        return finish + this.#write(event);
      }
      case 'usage': {
        const { reasoningTokens, ...stated } = event.usage;
        this.#update({ usage: true, ...stated, ...statedOf(reasoningTokens) });
        break;
      }
      case 'start':
        this.#start = event;
        this.#update(statedOf(0, event.model));
        break;
      case 'begin':
        this.#blocks[event.index] = { block: event.block, text: '' };
        if (event.block.kind === 'tool_call') {
          this.toolBegun = true;
          this.#bare.add(event.index);
        }
        if (event.block.kind === 'tool_call' || isWhole(event.block.kind)) this.content = true;
        if (event.block.kind === 'refusal') this.#update({ refused: true });
        break;
      case 'delta':
        if (event.text !== '') {
          this.content = true;
          this.#bare.delete(event.index);
        }
        this.#append(event.index, event.text);
        break;
      case 'signature':
        this.content = true;
        break;
      case 'end':
        return this.#completed(event.index) + this.#write(event);
    }
    return this.#write(event);
  }

  /** Gives arguments to calls that got none, before they end. @param index the call; all of them if undefined */
  #completed(index?: number): string {
    const calls = index === undefined ? [...this.#bare] : this.#bare.has(index) ? [index] : [];
    return calls
      .map((call) => {
        this.#bare.delete(call);
        return this.#write({ kind: 'delta', index: call, text: noArguments });
      })
      .join('');
  }

  #append(index: number, text: string): void {
    const held = this.#blocks[index];
    if (held !== undefined && this.#facts.textBytes < textMaxBytes) held.text += text;
    this.#update({ textBytes: this.#facts.textBytes + Buffer.byteLength(text) });
  }

  #update(facts: Partial<ReplyFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  #write(event: ChatEvent): string {
    return this.#writer === null ? '' : this.#writer.write(event);
  }
}
