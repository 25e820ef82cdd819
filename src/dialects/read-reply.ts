/** How the bytes of a provider's reply become the client's: as they came, or translated. */

import { isUtf8 } from 'node:buffer';
import { type Json, parseObject } from '../base/json.ts';
import {
  type Finish,
  inspectReply,
  type NativeDialect,
  noFacts,
  type ReplyFacts,
  replyText,
  StreamScanner,
} from '../native/reply.ts';
import type {
  Block,
  ChatEvent,
  ChatReply,
  ChatStreamReader,
  ChatStreamWriter,
  FinishReason,
  ReplyContext,
} from './chat.ts';
import { createSseFramer } from './framer.ts';
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

const sseType = 'text/event-stream';

/** Members that an answer of each dialect has one of. */
const marks: Readonly<Partial<Record<NativeDialect, readonly string[]>>> = {
  openai: ['choices', 'data', 'object'],
  anthropic: ['content', 'input_tokens'],
  gemini: ['candidates', 'promptFeedback', 'totalTokens', 'embedding', 'embeddings'],
};

/** Whether a reply that says nothing in its own dialect is an answer of another one. */
function isForeign(facts: ReplyFacts, body: Buffer, dialect: NativeDialect): boolean {
  const own = marks[dialect];
  if (own === undefined || facts.finish !== 'none' || facts.tool || facts.error) return false;
  // Vectors end for no reason, and state their usage: they needn't be looked through once more.
  if (facts.textBytes > 0 || facts.inputTokens > 0 || facts.outputTokens > 0) return false;
  const json = parseObject(body.toString('utf8'));
  if (json === null || own.some((mark) => Object.hasOwn(json, mark))) return false;
  return Object.values(marks).some((others) => others.some((mark) => Object.hasOwn(json, mark)));
}

/** Reads what the native core knows; bytes pass as they came. @param stripUsage take OpenAI's usage event out again */
export function nativeReading(dialect: NativeDialect, stripUsage: boolean): ReplyReading {
  return {
    streamType: sseType,
    whole(body) {
      const facts = inspectReply(body, dialect);
      if (facts === null || isForeign(facts, body, dialect)) return null;
      return { body, facts, text: () => replyText(body, dialect) };
    },
    arrived: (body) => arrivedOf(body, dialect, inspectReply(body, dialect)),
    stream: (eventMaxBytes) => new StreamScanner(dialect, stripUsage, eventMaxBytes),
  };
}

/** What has neither text nor usage is a page of some proxy rather than a reply. */
function arrivedOf(body: Buffer, dialect: NativeDialect, facts: ReplyFacts | null): Arrived | null {
  if (facts?.error) return null;
  const text = replyText(body, dialect);
  if (text.length === 0 && !facts?.usage) return null;
  return { facts: facts ?? { ...noFacts, textBytes: text.length }, text: () => text };
}

/** Reads a dialect that the native core doesn't know; bytes pass as they came. */
export function observedReading(provider: ChatProvider, client: ChatClient): ReplyReading {
  return {
    streamType: provider.streamType,
    whole(body) {
      const reply = readWhole(body, provider);
      return reply === null || typeof reply === 'string' ? failed(reply) : { body, ...arrivedReply(reply) };
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
      const written = client.writeReply(reply, context);
      if (written === null) return null;
      return { body: Buffer.from(JSON.stringify(written)), ...arrivedReply(reply) };
    },
    arrived: (body) => arrivedAcross(body, provider),
    stream: (eventMaxBytes) => new ReadStream(provider, client, client.createWriter(context), eventMaxBytes),
  };
}

const failed = (why: 'error' | 'unfinished' | null): WholeReading | 'unfinished' | null =>
  why === 'error' ? { body: none, facts: { ...noFacts, error: true }, text: () => none } : why;

const none = Buffer.alloc(0);

function arrivedAcross(body: Buffer, provider: ChatProvider): Arrived | null {
  const reply = readWhole(body, provider);
  if (typeof reply === 'string') return null;
  if (reply !== null) return arrivedReply(reply);
  if (provider.native !== 'any') return arrivedOf(body, provider.native, null);
  const text = Buffer.from(cutText(body.toString('utf8')));
  return text.length === 0 ? null : { facts: { ...noFacts, textBytes: text.length }, text: () => text };
}

/** The strings of a reply that may be cut anywhere which hold what the model said, by the names they have in all dialects. */
function cutText(body: string): string {
  const said = /"(?:text|refusal|arguments)"\s*:\s*"((?:[^"\\]|\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))*)/g;
  return Array.from(body.matchAll(said), ([, raw = '']) => stringOf(raw)).join('');
}

/** Line breaks and the like may stand unescaped in what a careless provider sends. */
function stringOf(raw: string): string {
  try {
    return String(JSON.parse(`"${raw}"`));
  } catch {
    return raw;
  }
}

function readWhole(body: Buffer, provider: ChatProvider): ChatReply | 'error' | 'unfinished' | null {
  const json = isUtf8(body) ? parseObject(body.toString('utf8')) : null;
  if (json === null) return null;
  if (isError(json)) return 'error';
  const reply = provider.readReply(json);
  if (reply === null || reply === 'unfinished') return reply;
  const called = reply.parts.some(({ kind }) => kind === 'tool_call');
  return { ...reply, finish: settled(reply.finish, called) };
}

const isError = ({ error, type }: Json): boolean => (error ?? null) !== null || type === 'error';

/** A call is a call, whatever the provider names the end of its answer. */
const settled = (reason: FinishReason, called: boolean): FinishReason =>
  called && (reason === 'stop' || reason === 'other') ? 'tool_calls' : reason;

const finishes: Readonly<Record<FinishReason, Finish>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  tool_calls: 'tool',
  content_filter: 'filter',
  refusal: 'filter',
  other: 'other',
};

function arrivedReply(reply: ChatReply): Arrived {
  const text = Buffer.from(reply.parts.map(saidIn).join(''));
  return { facts: factsOf(reply, text.length), text: () => text.subarray(0, textMaxBytes) };
}

const saidIn = (part: ChatReply['parts'][number]): string =>
  part.kind === 'tool_call' ? part.arguments : part.kind === 'redacted' ? '' : part.text;

const factsOf = ({ parts, finish, usage }: ChatReply, textBytes: number): ReplyFacts => ({
  error: false,
  tool: parts.some(({ kind }) => kind === 'tool_call'),
  refused: finish === 'refusal' || parts.some(({ kind }) => kind === 'refusal'),
  usage: usage !== null,
  inputTokens: usage?.inputTokens ?? 0,
  outputTokens: usage?.outputTokens ?? 0,
  cachedInputTokens: usage?.cachedInputTokens ?? 0,
  cacheWriteTokens: usage?.cacheWriteTokens ?? 0,
  finish: finishes[finish],
  textBytes,
});

/** Reply text is kept up to here, as in the native core; what is beyond is counted only. */
const textMaxBytes = 1024 * 1024;

/** A block of a stream, and the text it holds so far. */
interface Heard {
  readonly block: Block;
  text: string;
}

/** Reads a stream event by event, and translates it where a writer is given. */
class ReadStream implements StreamReading {
  content = false;
  finished = false;
  ended = false;
  toolBegun = false;
  begun = false;
  readonly openBlock = -1;
  #heard: Heard[] = [];
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
    // What follows the last event is nobody's fault.
    return this.ended ? null : (this.#broken ?? this.#framer.broken);
  }

  get textBytes(): number {
    return this.#facts.textBytes;
  }

  takeText(): Buffer {
    const text = this.#heard.map((heard) => heard.text).join('');
    this.#heard = [];
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
    // What a shadow closes has other names than the items that the client knows.
    return Buffer.from(this.#writer === null ? last : closed + last);
  }

  /** A writer that has written what came, though it passed by. */
  #shadow(): ChatStreamWriter {
    const { id, model, createdS = 0 } = this.#start;
    const writer = this.#client.createWriter({ model, requestId: id, createdS, wantsUsage: true });
    writer.write(this.#start);
    for (const [index, { block, text }] of this.#heard.entries()) {
      writer.write({ kind: 'begin', index, block });
      writer.write({ kind: 'delta', index, text });
    }
    return writer;
  }

  facts(): ReplyFacts {
    return { ...this.#facts, error: this.broken !== null, tool: this.toolBegun };
  }

  push(chunk: Buffer): Buffer | null {
    return this.ended ? null : this.#through(this.#framer.push(chunk), '');
  }

  finish(): Buffer | null {
    if (this.ended) return null;
    const { raw, events } = this.#framer.finish();
    const rest = this.#through({ raw, events }, '');
    // A finish reason without the last event is complete.
    if (this.#writer === null || this.ended || !this.finished || this.broken !== null) return rest;
    const end = Buffer.from(this.#take({ kind: 'stop' }));
    return rest === null ? end : Buffer.concat([rest, end]);
  }

  #through({ raw, events }: Frames, before: string): Buffer | null {
    let text = before;
    for (const event of events) {
      for (const said of this.#reader.read(event)) {
        if (this.ended || this.#broken !== null) break;
        text += this.#take(said);
      }
      this.begun ||= this.#broken === null;
    }
    if (this.#writer === null) return raw;
    return text === '' ? null : Buffer.from(text);
  }

  /** Learns from an event, and gives it in the client's dialect. */
  #take(event: ChatEvent): string {
    switch (event.kind) {
      case 'error':
        this.#broken = event.unfinished === true ? 'unfinished' : 'error_event';
        return '';
      case 'finish': {
        if (this.finished) return '';
        const reason = settled(event.reason, this.toolBegun);
        this.finished = true;
        this.#learn({ finish: finishes[reason], refused: this.#facts.refused || reason === 'refusal' });
        return this.#write({ ...event, reason });
      }
      case 'stop': {
        const unsaid = this.finished
          ? ''
          : this.#write({ kind: 'finish', reason: settled('other', this.toolBegun), stopSequence: null });
        this.ended = true;
        return unsaid + this.#write(event);
      }
      case 'usage': {
        const { inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens } = event.usage;
        this.#learn({ usage: true, inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens });
        break;
      }
      case 'start':
        this.#start = event;
        break;
      case 'begin':
        this.#heard[event.index] = { block: event.block, text: '' };
        if (event.block.kind === 'tool_call') this.toolBegun = true;
        if (event.block.kind === 'tool_call' || event.block.kind === 'redacted') this.content = true;
        if (event.block.kind === 'refusal') this.#learn({ refused: true });
        break;
      case 'delta':
        if (event.text !== '') this.content = true;
        this.#hear(event.index, event.text);
        break;
      case 'signature':
        this.content = true;
        break;
    }
    return this.#write(event);
  }

  #hear(index: number, text: string): void {
    const heard = this.#heard[index];
    if (heard !== undefined && this.#facts.textBytes < textMaxBytes) heard.text += text;
    this.#learn({ textBytes: this.#facts.textBytes + Buffer.byteLength(text) });
  }

  #learn(facts: Partial<ReplyFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  #write(event: ChatEvent): string {
    return this.#writer === null ? '' : this.#writer.write(event);
  }
}
