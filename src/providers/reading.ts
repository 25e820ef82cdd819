/** How the bytes of a provider's reply become the client's: as they came, or translated. */
import { isUtf8 } from 'node:buffer';
import { type Finish, inspectReply, type NativeDialect, type ReplyFacts, StreamScanner } from '../native.ts';
import type {
  ChatEvent,
  ChatReply,
  ChatStreamReader,
  ChatStreamWriter,
  FinishReason,
  ReplyContext,
} from './chat.ts';
import { createSseFramer, type Framer, type Frames, type StreamFault } from './framer.ts';
import { type Json, parseObject } from './json.ts';
import type { ChatClient, ChatProvider } from './provider.ts';

/** A whole reply as the client gets it, and what it says. */
export interface WholeReading {
  readonly body: Buffer;
  readonly facts: ReplyFacts;
}

/** One stream on its way: the provider's bytes in, the client's out. */
export interface StreamReading {
  /** Gives what may go on to the client; null: nothing yet. */
  push(chunk: Buffer): Buffer | null;
  /** The provider's bytes have ended. */
  finish(): Buffer | null;
  /** First content seen: a retry is no longer invisible. */
  readonly content: boolean;
  readonly finished: boolean;
  readonly ended: boolean;
  readonly broken: StreamFault | null;
  readonly toolBegun: boolean;
  facts(): ReplyFacts;
}

/** How the answer to one request is read. */
export interface ReplyReading {
  /** Media type of a stream, without parameters. */
  readonly streamType: string;
  /** Reads a whole reply; null: it isn't one. */
  whole(body: Buffer): WholeReading | null;
  stream(eventMaxBytes: number): StreamReading;
}

const sseType = 'text/event-stream';

/** Reads what the native core knows; bytes pass as they came. @param stripUsage take OpenAI's usage event out again */
export function nativeReading(dialect: NativeDialect, stripUsage: boolean): ReplyReading {
  return {
    streamType: sseType,
    whole(body) {
      const facts = inspectReply(body, dialect);
      return facts === null ? null : { body, facts };
    },
    stream: (eventMaxBytes) => new StreamScanner(dialect, stripUsage, eventMaxBytes),
  };
}

/** Reads a dialect that the native core doesn't know; bytes pass as they came. */
export function observedReading(provider: ChatProvider): ReplyReading {
  return {
    streamType: provider.streamType,
    whole(body) {
      const reply = readWhole(body, provider);
      return reply === null || reply === 'error' ? failed(reply) : { body, facts: factsOf(reply) };
    },
    stream: (eventMaxBytes) => new ReadStream(provider, null, eventMaxBytes),
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
      if (reply === null || reply === 'error') return failed(reply);
      const written = client.writeReply(reply, context);
      return written === null ? null : { body: Buffer.from(JSON.stringify(written)), facts: factsOf(reply) };
    },
    stream: (eventMaxBytes) => new ReadStream(provider, client.createWriter(context), eventMaxBytes),
  };
}

const noFacts: ReplyFacts = {
  error: false,
  tool: false,
  refused: false,
  usage: false,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  finish: 'none',
  textBytes: 0,
};

const failed = (why: 'error' | null): WholeReading | null =>
  why === null ? null : { body: Buffer.alloc(0), facts: { ...noFacts, error: true } };

function readWhole(body: Buffer, provider: ChatProvider): ChatReply | 'error' | null {
  const json = isUtf8(body) ? parseObject(body.toString('utf8')) : null;
  if (json === null) return null;
  if (isError(json)) return 'error';
  const reply = provider.readReply(json);
  if (reply === null) return null;
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

function factsOf({ parts, finish, usage }: ChatReply): ReplyFacts {
  let textBytes = 0;
  for (const part of parts) {
    if (part.kind === 'tool_call') textBytes += Buffer.byteLength(part.arguments);
    else if (part.kind !== 'redacted') textBytes += Buffer.byteLength(part.text);
  }
  return {
    error: false,
    tool: parts.some(({ kind }) => kind === 'tool_call'),
    refused: finish === 'refusal' || parts.some(({ kind }) => kind === 'refusal'),
    usage: usage !== null,
    inputTokens: usage?.inputTokens ?? 0,
    outputTokens: usage?.outputTokens ?? 0,
    cachedInputTokens: usage?.cachedInputTokens ?? 0,
    finish: finishes[finish],
    textBytes,
  };
}

/** Reads a stream event by event, and translates it where a writer is given. */
class ReadStream implements StreamReading {
  content = false;
  finished = false;
  ended = false;
  toolBegun = false;
  #broken: StreamFault | null = null;
  #facts = noFacts;
  readonly #framer: Framer;
  readonly #reader: ChatStreamReader;
  readonly #writer: ChatStreamWriter | null;

  constructor(provider: ChatProvider, writer: ChatStreamWriter | null, eventMaxBytes: number) {
    this.#framer = (provider.createFramer ?? createSseFramer)(eventMaxBytes);
    this.#reader = provider.createReader();
    this.#writer = writer;
  }

  get broken(): StreamFault | null {
    // What follows the last event is nobody's fault.
    return this.ended ? null : (this.#broken ?? this.#framer.broken);
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
    }
    if (this.#writer === null) return raw;
    return text === '' ? null : Buffer.from(text);
  }

  /** Learns from an event, and gives it in the client's dialect. */
  #take(event: ChatEvent): string {
    switch (event.kind) {
      case 'error':
        this.#broken = 'error_event';
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
        const { inputTokens, outputTokens, cachedInputTokens } = event.usage;
        this.#learn({ usage: true, inputTokens, outputTokens, cachedInputTokens });
        break;
      }
      case 'begin':
        if (event.block.kind === 'tool_call') this.toolBegun = true;
        if (event.block.kind === 'tool_call' || event.block.kind === 'redacted') this.content = true;
        if (event.block.kind === 'refusal') this.#learn({ refused: true });
        break;
      case 'delta':
        if (event.text !== '') this.content = true;
        this.#learn({ textBytes: this.#facts.textBytes + Buffer.byteLength(event.text) });
        break;
      case 'signature':
        this.content = true;
        break;
    }
    return this.#write(event);
  }

  #learn(facts: Partial<ReplyFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  #write(event: ChatEvent): string {
    return this.#writer === null ? '' : this.#writer.write(event);
  }
}
