/**
 * One call to one provider: sends it, holds the head back until the first content, then hands the stream over. It only
 * reports the result and decides nothing about retries.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Cancellation } from '../base/cancellation.ts';
import { statedErrorIn } from '../dialects/fault.ts';
import type { Arrived, ReplyReading, StreamFault, StreamReading } from '../dialects/reading.ts';
import type { UpstreamRequest } from '../dialects/wire.ts';
import { noFacts } from '../native/reply.ts';
import { isReused } from '../upstream/connect.ts';
import type { Provider } from '../upstream/target.ts';
import { networkFailure } from './network.ts';
import { Patience } from './patience.ts';
import {
  type CallBounds,
  type CallFailure,
  type CallResult,
  streamFailures,
  type UpstreamStream,
} from './result.ts';
import { asStatus, encodingOf, isNoAnswer, readWhole, unpack } from './whole.ts';

/** Bytes of a stream buffered for a slow client before its provider is paused. */
const queueMaxBytes = 64 * 1024;
/** How long a connection may stay open after a stream's last event before it is aborted. */
const lingerMs = 1000;
/** If the last event ends in CR, its LF may still be on the way. */
const carriageReturn = 13;
const tornEndMs = 20;
const jsonType = 'application/json';
/** Bytes of a stream's head in which a refusal is looked for. */
const headMaxBytes = 64 * 1024;
/** Bytes of an error reply that are read. */
const errorMaxBytes = 1024 * 1024;

/**
 * Sends one request. Resolves with a whole reply, the beginning of a stream or a failure; never rejects.
 * @param headers all of the call's, flat
 * @param repeatable it may be sent once more if its connection had died before
 * @param remainingMs ms until the request's deadline
 * @param clock monotonic ms
 * @param onResult called with the result as soon as it is known
 */
export function call(
  provider: Provider,
  { path, body, reading, method }: UpstreamRequest,
  headers: readonly string[],
  wantsStream: boolean,
  repeatable: boolean,
  bounds: CallBounds,
  remainingMs: number,
  cancellation: Cancellation,
  clock: () => number,
  onResult: (result: CallResult) => void,
): Promise<CallResult> {
  return new Promise((resolve) => {
    const { pool } = provider;
    const plain = method === undefined;
    const sent = {
      path,
      method: method ?? 'POST',
      headers: headers as string[],
      body: plain ? body : null,
    } as const;
    const again = repeatable ? (): void => pool.dispatchFresh(sent, call) : null;
    const call = new UpstreamCall(
      reading,
      wantsStream,
      bounds,
      remainingMs,
      cancellation,
      clock,
      again,
      onResult,
      resolve,
    );
    pool.dispatch(sent, call);
  });
}

/** A provider that its caller leaves at work may bill the prompt, or leaving would be a way not to pay. */
const justPrompt: Arrived = { facts: noFacts, text: () => Buffer.alloc(0) };

type Phase = 'waiting' | 'whole' | 'holding' | 'flowing' | 'done';

class UpstreamCall implements Dispatcher.DispatchHandler, UpstreamStream {
  failure: CallFailure | null = null;
  lacksEnd = false;
  readonly #reading: ReplyReading;
  readonly #wantsStream: boolean;
  readonly #bounds: CallBounds;
  readonly #remainingMs: number;
  readonly #cancellation: Cancellation;
  readonly #clock: () => number;
  /** Sends it once more on a fresh connection; null: it may not be, or was. */
  #again: (() => void) | null;
  #code = '';
  /** The connection has ended. */
  #gone = false;
  readonly #onResult: (result: CallResult) => void;
  readonly #resolve: (result: CallResult) => void;
  readonly #onCancel = (): void => this.#fail('cancelled');
  readonly #sentMs: number;
  #phase: Phase = 'waiting';
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #scanner: StreamReading | null = null;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The first bytes of a stream that hasn't begun for the client. */
  #head: Buffer[] = [];
  #headBytes = 0;
  #wake: ((chunk: Buffer | null) => void) | null = null;
  #paused = false;
  #timer: Patience;
  #deadline: Patience | null = null;
  #linger: NodeJS.Timeout | null = null;

  constructor(
    reading: ReplyReading,
    wantsStream: boolean,
    bounds: CallBounds,
    remainingMs: number,
    cancellation: Cancellation,
    clock: () => number,
    again: (() => void) | null,
    onResult: (result: CallResult) => void,
    resolve: (result: CallResult) => void,
  ) {
    this.#reading = reading;
    this.#wantsStream = wantsStream;
    this.#bounds = bounds;
    this.#remainingMs = remainingMs;
    this.#cancellation = cancellation;
    this.#clock = clock;
    this.#sentMs = clock();
    this.#again = again;
    this.#onResult = onResult;
    this.#resolve = resolve;
    const waitMs = wantsStream ? bounds.firstTokenTimeoutMs : bounds.replyTimeoutMs;
    const late: CallFailure =
      waitMs > remainingMs ? 'deadline' : wantsStream ? 'first_token_timeout' : 'reply_timeout';
    this.#timer = new Patience(Math.min(waitMs, remainingMs), () => this.#fail(late), clock, this.#sentMs);
    cancellation.onCancel(this.#onCancel);
    if (cancellation.reason !== null) this.#fail('cancelled');
  }

  get scanner(): StreamReading {
    if (this.#scanner === null) throw new Error('no stream has begun');
    return this.#scanner;
  }

  stop(): void {
    if (this.#phase === 'done') return;
    this.#close();
    this.#controller?.abort(new Error('stopped'));
  }

  // undici's handler: events from the provider.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#phase === 'done') controller.abort(new Error('given up before it was sent'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#phase !== 'waiting' || status < 200) return;
    this.#status = status;
    this.#headers = headers;
    if (isNoAnswer(status)) return this.#fail('malformed');
    const { streamType } = this.#reading;
    const type = String(headers['content-type'] ?? '');
    const isStream = this.#reading.isStream?.(type) ?? type.startsWith(streamType);
    // A dialect whose streams come in one piece uses the content type of whole replies for them.
    const isPiece = !this.#wantsStream && streamType === jsonType;
    if (status >= 300 || !isStream || isPiece) {
      this.#phase = 'whole';
      return;
    }
    // `identity` was requested: a compressed stream can't be inspected as it arrives.
    if (!this.#wantsStream || encodingOf(headers) !== null) return this.#fail('malformed');
    this.#phase = 'holding';
    this.#scanner = this.#reading.stream(this.#bounds.eventMaxBytes);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#phase === 'whole') this.#collect(chunk);
    else if (this.#phase === 'holding' || this.#phase === 'flowing') this.#flow(chunk);
  }

  onResponseEnd(): void {
    if (this.#linger !== null) clearTimeout(this.#linger);
    if (this.#phase === 'whole') this.#finishWhole();
    else if (this.#phase === 'holding' || this.#phase === 'flowing') {
      const rest = this.#scanner?.finish() ?? null;
      if (rest !== null) this.#queue(rest);
      this.#finishStream();
    }
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#linger !== null) clearTimeout(this.#linger);
    // A connection that died while it was idle says nothing of the provider.
    const again = this.#phase === 'waiting' && isReused(error) ? this.#again : null;
    this.#again = null;
    if (again !== null) return again();
    const { failure, code } = networkFailure(error);
    this.#code = code;
    this.#gone = true;
    this.#fail(failure);
  }

  // Whole replies.

  #collect(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#status >= 300 && this.#bytes > errorMaxBytes) return;
    if (this.#bytes > this.#bounds.replyMaxBytes) return this.#fail('too_large');
    this.#chunks.push(chunk);
  }

  #finishWhole(): void {
    const [first] = this.#chunks;
    const body = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
    const encoding = encodingOf(this.#headers);
    if (encoding === null) return this.#judgeWhole(body);
    unpack(body, encoding, this.#bounds.replyMaxBytes).then(
      (plain) => this.#judgeWhole(plain),
      // A body that can't be decompressed is no answer, but an error status still is a refusal.
      () => (this.#status >= 300 ? this.#judgeWhole(Buffer.alloc(0)) : this.#fail('malformed')),
    );
  }

  #judgeWhole(body: Buffer): void {
    if (this.#phase === 'done') return;
    const result = readWhole(this.#status, this.#headers, body, this.#reading, this.#wantsStream);
    if (typeof result === 'string') this.#fail(result);
    else this.#settle(result);
  }

  // Streams.

  #flow(chunk: Buffer): void {
    const scanner = this.#scanner;
    if (scanner === null) return;
    const output = scanner.push(chunk);
    if (output !== null) this.#queue(output);
    if (this.#phase === 'holding') this.#keep(chunk);
    if (scanner.broken !== null) return this.#break(scanner.broken);
    if (this.#phase === 'holding') {
      if (scanner.content || scanner.finished || scanner.ended) this.#begin();
      else if (this.#bytes > this.#bounds.eventMaxBytes) return this.#fail('too_large');
    } else {
      this.#timer.refresh();
    }
    if (!scanner.ended) return;
    if (this.#linger !== null) clearTimeout(this.#linger);
    if (chunk.at(-1) !== carriageReturn) return this.#leave();
    this.#linger = setTimeout(() => this.#leave(), tornEndMs);
  }

  #keep(chunk: Buffer): void {
    if (this.#headBytes < headMaxBytes) this.#head.push(chunk);
    this.#headBytes += chunk.length;
  }

  /** Ends a stream with a fault, or refuses as its first event does. */
  #break(fault: StreamFault): void {
    const holding = this.#phase === 'holding' && fault === 'error_event';
    const stated = holding ? statedErrorIn(Buffer.concat(this.#head)) : null;
    if (stated === null) return this.#fail(streamFailures[fault]);
    this.#settle(asStatus(stated, this.#headers));
    this.#controller?.abort(new Error('refused in its stream'));
  }

  /** Ends the stream after its last event, even if the connection stays open. */
  #leave(): void {
    this.#linger = setTimeout(
      () => this.#controller?.abort(new Error('open after its last event')),
      lingerMs,
    );
    this.#finishStream();
  }

  #begin(): void {
    this.#phase = 'flowing';
    this.#head = [];
    this.#timer.cancel();
    this.#timer = this.#idle();
    const leftMs = Math.max(1, this.#remainingMs - (this.#clock() - this.#sentMs));
    this.#deadline = new Patience(leftMs, () => this.#fail('deadline'), this.#clock);
    this.#give({ kind: 'stream', status: this.#status, headers: this.#headers, stream: this });
  }

  #queue(chunk: Buffer): void {
    if (this.#wake !== null) {
      const wake = this.#wake;
      this.#wake = null;
      return wake(chunk);
    }
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#phase === 'flowing' && this.#bytes > queueMaxBytes && !this.#paused) {
      this.#paused = true;
      // A slow client is not the provider's fault.
      this.#timer.cancel();
      this.#controller?.pause();
    }
  }

  next(): Promise<Buffer | null> {
    const [chunk] = this.#chunks;
    if (chunk !== undefined) {
      const all = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
      this.#chunks = [];
      this.#bytes = 0;
      if (this.#paused) this.#resume();
      return Promise.resolve(all);
    }
    if (this.#phase === 'done') return Promise.resolve(null);
    return new Promise((wake) => {
      this.#wake = wake;
    });
  }

  #resume(): void {
    this.#paused = false;
    if (this.#phase !== 'flowing') return;
    this.#timer = this.#idle();
    this.#controller?.resume();
  }

  #idle(): Patience {
    return new Patience(this.#bounds.idleTimeoutMs, () => this.#fail('idle_timeout'), this.#clock);
  }

  #finishStream(): void {
    const scanner = this.#scanner;
    if (scanner === null || this.#phase === 'done') return;
    if (scanner.broken !== null) return this.#break(scanner.broken);
    if (!scanner.ended && !scanner.finished) return this.#fail('ended_early');
    if (this.#phase === 'holding') this.#begin();
    this.lacksEnd = !scanner.ended;
    this.#close();
  }

  #give(result: CallResult): void {
    this.#onResult(result);
    this.#resolve(result);
  }

  // Ends.

  #settle(result: CallResult): void {
    this.#close();
    this.#give(result);
  }

  #fail(failure: CallFailure): void {
    if (this.#phase === 'done') return;
    const begun = this.#phase === 'flowing';
    const arrived = begun ? null : this.#billed(failure);
    this.failure = failure;
    this.#close();
    // A failed connection has ended already; any other must be aborted.
    if (!this.#gone) this.#controller?.abort(new Error(failure));
    if (!begun) this.#give({ kind: 'failed', failure, arrived, code: this.#code });
  }

  /** What its provider bills, if anything: it has begun to answer, or it was left alone with the prompt. */
  #billed(failure: CallFailure): Arrived | null {
    const left =
      failure === 'deadline' || (failure === 'cancelled' && this.#cancellation.reason !== 'hedged');
    return left && this.#phase === 'waiting' && this.#controller !== null ? justPrompt : this.#arrived();
  }

  /** What arrived of an answer, if any: a provider that has begun to answer has read, and bills, the prompt. */
  #arrived(): Arrived | null {
    const scanner = this.#scanner;
    if (scanner !== null) {
      return scanner.begun ? { facts: scanner.facts(), text: () => scanner.takeText() } : null;
    }
    if (this.#phase !== 'whole' || this.#status >= 300 || encodingOf(this.#headers) !== null) return null;
    return this.#reading.arrived(Buffer.concat(this.#chunks));
  }

  #close(): void {
    this.#phase = 'done';
    this.#timer.cancel();
    this.#deadline?.cancel();
    this.#cancellation.off(this.#onCancel);
    if (this.#paused) this.#controller?.resume();
    this.#wake?.(null);
    this.#wake = null;
  }
}
