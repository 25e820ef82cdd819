/** Reads a stream event by event, and translates it if there is a writer. */
import { noFacts, type ReplyFacts } from '../native/reply.ts';
import type { Block, ChatEvent, ChatStreamReader, ChatStreamWriter } from './chat-reply.ts';
import { createSseFramer } from './framer.ts';
import { HeldText } from './held-text.ts';
import type { Framer, Frames, KnownTokens, StreamBounds, StreamFault, StreamReading } from './reading.ts';
import { correctedReason, finishes, isWhole, noArguments, statedOf } from './reply-facts.ts';
import type { ChatClient, ChatProvider } from './sides.ts';

/** A block of a stream, and its text so far. */
interface HeldBlock {
  readonly block: Block;
  readonly text: HeldText;
  /** Characters of it that the writer may hold. */
  held: number;
}

/** Memory that a block takes without its text, about. */
const blockBytes = 256;

/** A stream that is read, and passed on unchanged or translated. */
export class ReadStream implements StreamReading {
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
  #acted = false;
  #facts = noFacts;
  readonly #framer: Framer;
  readonly #reader: ChatStreamReader;
  readonly #client: ChatClient;
  readonly #writer: ChatStreamWriter | null;
  readonly #textMaxBytes: number;
  #heldBytes = 0;

  constructor(
    provider: ChatProvider,
    client: ChatClient,
    writer: ChatStreamWriter | null,
    { eventMaxBytes, textMaxBytes }: StreamBounds,
  ) {
    this.#framer = (provider.createFramer ?? createSseFramer)(eventMaxBytes);
    this.#textMaxBytes = textMaxBytes;
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

  get heldBytes(): number {
    return this.#blocks.length * blockBytes + (this.#writer === null ? 0 : this.#heldBytes);
  }

  takeText(): Buffer {
    const text = this.#blocks.map((held) => held.text.toString()).join('');
    this.#blocks = [];
    return Buffer.from(text).subarray(0, this.#textMaxBytes);
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
      writer.write({ kind: 'delta', index, text: text.toString() });
    }
    return writer;
  }

  facts(): ReplyFacts {
    return { ...this.#facts, error: this.broken !== null, tool: this.toolBegun || this.#acted };
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
      const told = this.#reader.read(event);
      // Its text waits for what must come before it.
      if (told.length === 0) this.#heldBytes += Math.ceil((raw?.length ?? 0) / events.length);
      for (const read of told) {
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
        this.#acted = event.acted === true;
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
        this.#blocks[event.index] = { block: event.block, text: new HeldText(), held: 0 };
        if (event.block.kind === 'tool_call') {
          this.toolBegun = true;
          this.#bare.add(event.index);
        }
        if (event.block.kind === 'tool_call' || isWhole(event.block.kind)) this.content = true;
        // What repeats all of it holds pictures, too.
        if (event.block.kind === 'picture' && this.#client.repeatsStream === true)
          this.#heldBytes += event.block.url.length;
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
      case 'end': {
        const text = this.#completed(event.index) + this.#write(event);
        const block = this.#blocks[event.index];
        // A writer that repeats all of a reply at its end goes on to hold it.
        if (block !== undefined && this.#client.repeatsStream !== true) this.#heldBytes -= block.held;
        return text;
      }
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
    if (held !== undefined) {
      if (this.#facts.textBytes < this.#textMaxBytes) held.text.add(text);
      held.held += text.length;
      this.#heldBytes += text.length;
    }
    this.#update({ textBytes: this.#facts.textBytes + Buffer.byteLength(text) });
  }

  #update(facts: Partial<ReplyFacts>): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  #write(event: ChatEvent): string {
    return this.#writer === null ? '' : this.#writer.write(event);
  }
}
