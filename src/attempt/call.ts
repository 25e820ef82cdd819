/** One call to one provider: holds its head back until the first content, then hands the stream over. Retries nothing. */
import type { IncomingHttpHeaders } from 'node:http';
import { statedErrorIn } from '../dialects/fault.ts';
import type { Arrived, ReplyReading, StreamFault, StreamReading } from '../dialects/reading.ts';
import type { UpstreamRequest } from '../dialects/wire.ts';
import type { TakeChunk } from '../exchange/chunks.ts';
import { diedWithinMs, isReused, type ReplyHandler, type Sending } from '../upstream/sending.ts';
import { flowBytes, joinStreams, leaveStreams, textBytes } from '../upstream/shares.ts';
import type { Provider } from '../upstream/target.ts';
import {
  arrivedOfStream,
  formOf,
  formOfBytes,
  justPrompt,
  type Unpacked,
  type Unpacking,
  unpacked,
  unpackStream,
} from './arrival.ts';
import { Backlog } from './backlog.ts';
import { FirstBytes } from './first-bytes.ts';
import { HeldReply } from './held-reply.ts';
import { guarded, Holding } from './holding.ts';
import { networkFailure } from './network.ts';
import { Patience } from './patience.ts';
import {
  type CallFailure,
  type CallResult,
  firstWait,
  lateFailure,
  streamFailures,
  type Terms,
  type UpstreamStream,
} from './result.ts';
import { asStatus } from './whole.ts';

/** How long a connection may stay open after a stream's last event before it is aborted. */
const lingerMs = 1000;
/** If the last event ends in CR, its LF may still be on the way. */
const [carriageReturn, tornEndMs] = [13, 20];

/**
 * Sends one request. Resolves with a whole reply, the beginning of a stream or a failure; never rejects.
 * @param headers all of the call's, flat
 * @param repeatable it may be sent once more if its connection had died before
 */
export function call(
  { pool }: Provider,
  { path, body, reading, method }: UpstreamRequest,
  headers: readonly string[],
  repeatable: boolean,
  terms: Terms,
): Promise<CallResult> {
  return new Promise((resolve) => {
    const sent = { path, method: method ?? 'POST', headers, body: body.length === 0 ? null : body } as const;
    const fresh = (): void => {
      terms.onDied();
      pool.dispatchFresh(sent, call);
    };
    const again = repeatable ? fresh : null;
    const call = new UpstreamCall(reading, terms, again, resolve);
    pool.dispatch(sent, call);
  });
}

/** `opening`: whether it is whole or a stream isn't known yet. */
type Phase = 'waiting' | 'opening' | 'whole' | 'holding' | 'flowing' | 'done';

class UpstreamCall implements ReplyHandler, UpstreamStream, Unpacked {
  failure: CallFailure | null = null;
  lacksEnd = false;
  readonly streams: boolean;
  readonly #reading: ReplyReading;
  readonly #terms: Terms;
  /** Sends it once more on a fresh connection; null: it may not be, or was. */
  #again: (() => void) | null;
  #code = '';
  /** The connection has ended. */
  #gone = false;
  readonly #resolve: (result: CallResult) => void;
  readonly #onCancel = (): void => this.#fail('cancelled');
  readonly #onDefect = (cause: unknown): void => {
    this.#terms.onDefect(cause);
    this.#fail('defect');
  };
  readonly #sentMs: number;
  #phase: Phase = 'waiting';
  #sending: Sending | null = null;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #scanner: StreamReading | null = null;
  /** Unpacks a stream that came packed; null: it didn't. */
  #unpacking: Unpacking | null = null;
  /** A whole reply. */
  #held: HeldReply | null = null;
  /** Of a stream, what the client hasn't read. */
  readonly #backlog = new Backlog(() => this.#taken());
  /** The first bytes of a stream that hasn't begun for the client. */
  #head: FirstBytes | null = null;
  /** Bytes of a stream that hasn't begun, or of its event that hasn't ended. */
  readonly #holding: Holding;
  #paused = false;
  #heldUp = false;
  #timer: Patience;
  #deadline: Patience | null = null;
  #linger: NodeJS.Timeout | null = null;

  constructor(
    reading: ReplyReading,
    terms: Terms,
    again: (() => void) | null,
    resolve: (result: CallResult) => void,
  ) {
    this.#reading = reading;
    this.#terms = terms;
    this.#holding = new Holding(terms.room);
    const { wantsStream, cancellation, clock } = terms;
    this.#sentMs = clock();
    this.streams = wantsStream;
    if (wantsStream) joinStreams();
    this.#again = again;
    this.#resolve = resolve;
    const { waitMs, late } = firstWait(terms);
    this.#timer = new Patience(waitMs, () => this.#fail(late), clock, this.#sentMs);
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
    this.#sending?.abort(new Error('stopped'));
  }

  // Events from the provider.

  onRequestStart(sending: Sending): void {
    this.#sending = sending;
    if (this.#phase === 'done') sending.abort(new Error('given up before it was sent'));
  }

  onResponseStart(_: Sending, status: number, headers: IncomingHttpHeaders): void {
    if (this.#phase !== 'waiting' || status < 200) return;
    this.#status = status;
    this.#headers = headers;
    const form = formOf(status, headers, this.#reading, this.#terms.wantsStream);
    this.#phase = form === 'whole' ? 'whole' : 'opening';
    if (form === 'whole') return this.#heldReply().tooLarge ? this.#fail('too_large') : undefined;
    const unpacking = form === 'malformed' ? 'unknown' : unpackStream(headers, this);
    if (unpacking === 'unknown') return this.#fail('malformed');
    this.#unpacking = unpacking;
    if (form === 'stream') this.#open();
  }

  #open(): void {
    this.#phase = 'holding';
    this.#head = new FirstBytes();
    const { bounds, choices } = this.#terms;
    this.#scanner = this.#reading.stream({ ...bounds, choices, textMaxBytes: textBytes() });
  }

  onResponseData(_: Sending, chunk: Buffer): void {
    if (this.#unpacking === null) this.onData(chunk);
    else if (this.#phase !== 'done' && !this.#unpacking.write(chunk)) this.#sending?.pause();
  }

  onResponseEnd(): void {
    if (this.#unpacking === null) this.onEnd();
    else if (this.#phase !== 'done') this.#unpacking.end();
  }

  onDrain(): void {
    if (!this.#paused && this.#phase !== 'done') this.#sending?.resume();
  }

  onBroken(): void {
    this.#fail('malformed');
  }

  /** Bytes of the body, unpacked if they are a stream's. */
  onData(chunk: Buffer): void {
    guarded(() => this.#read(chunk), this.#onDefect);
  }

  #read(chunk: Buffer): void {
    if (this.#phase === 'opening') {
      const form = formOfBytes(chunk);
      if (form === 'stream') this.#open();
      // What is whole is unpacked by now, if it was packed.
      else if (form === 'whole') [this.#phase, this.#headers] = ['whole', unpacked(this.#headers)];
    }
    if (this.#phase === 'whole') this.#collect(chunk);
    else if (this.#phase === 'holding' || this.#phase === 'flowing') this.#flow(chunk);
  }

  onEnd(): void {
    guarded(() => this.#readEnd(), this.#onDefect);
  }

  #readEnd(): Promise<void> | void {
    if (this.#linger !== null) clearTimeout(this.#linger);
    if (this.#phase === 'whole') return this.#finishWhole();
    if (this.#phase === 'opening') this.#fail('malformed');
    else if (this.#phase === 'holding' || this.#phase === 'flowing') {
      const rest = this.#scanner?.finish() ?? null;
      if (rest !== null) this.#queue(rest);
      this.#finishStream();
    }
  }

  onResponseError(_: Sending, error: Error): void {
    if (this.#linger !== null) clearTimeout(this.#linger);
    // A connection that died while it was idle says nothing of the provider.
    const soon = this.#terms.clock() - this.#sentMs <= diedWithinMs;
    const again = this.#phase === 'waiting' && soon && isReused(error) ? this.#again : null;
    this.#again = null;
    if (again !== null) return again();
    const { failure, code } = networkFailure(error);
    this.#code = code;
    this.#gone = true;
    this.#fail(failure);
  }

  // Whole replies.

  #collect(chunk: Buffer): void {
    const failure = this.#heldReply().push(chunk);
    if (failure !== null) this.#fail(failure);
  }

  #heldReply(): HeldReply {
    const { bounds, room } = this.#terms;
    this.#held ??= new HeldReply(this.#status, this.#headers, bounds.replyMaxBytes, room);
    return this.#held;
  }

  #finishWhole(): Promise<void> | void {
    // What is left takes no time of the provider's.
    this.#timer.cancel();
    const { cancellation, remainingMs } = this.#terms;
    const waits = { cancellation, deadlineMs: this.#sentMs + remainingMs };
    const read = this.#heldReply().read(this.#reading, this.#terms, waits);
    return read instanceof Promise ? read.then((result) => this.#conclude(result)) : this.#conclude(read);
  }

  #conclude(result: CallResult | CallFailure): void {
    if (this.#phase === 'done') return;
    if (typeof result === 'string') this.#fail(result);
    else this.#settle(result);
  }

  // Streams.

  #flow(chunk: Buffer): void {
    const scanner = this.#scanner;
    if (scanner === null) return;
    const output = scanner.push(chunk);
    const heldBack = output === null || this.#phase === 'holding';
    const full = this.#holding.flow(heldBack ? chunk.length : null, scanner.heldBytes, this.#terms.bounds);
    if (full !== null) return this.#fail(full);
    if (output !== null) this.#queue(output);
    this.#head?.push(chunk);
    if (scanner.broken !== null) return this.#break(scanner.broken);
    if (this.#phase === 'holding') {
      if (scanner.content || scanner.finished || scanner.ended) this.#begin();
      else if (this.#backlog.bytes > this.#terms.bounds.eventMaxBytes) return this.#fail('too_large');
    } else {
      this.#timer.refresh();
    }
    if (!scanner.ended) return;
    if (this.#linger !== null) clearTimeout(this.#linger);
    if (chunk.at(-1) !== carriageReturn) return this.#leave();
    this.#linger = setTimeout(() => this.#leave(), tornEndMs);
  }

  /** Ends a stream with a fault, or refuses as its first event does. */
  #break(fault: StreamFault): void {
    const head = this.#phase === 'holding' && fault === 'error_event' ? this.#head : null;
    const stated = head === null ? null : (this.#reading.statedIn ?? statedErrorIn)(head.take());
    if (stated === null) return this.#fail(streamFailures[fault]);
    this.#settle(asStatus(stated, this.#headers));
    this.#sending?.abort(new Error('refused in its stream'));
  }

  /** Ends the stream after its last event, even if the connection stays open. */
  #leave(): void {
    const abort = (): void => this.#sending?.abort(new Error('open after its last event'));
    this.#linger = setTimeout(abort, lingerMs);
    this.#finishStream();
  }

  #begin(): void {
    this.#phase = 'flowing';
    this.#head = null;
    this.#timer.cancel();
    this.#timer = this.#idle();
    const leftMs = Math.max(1, this.#terms.remainingMs - (this.#terms.clock() - this.#sentMs));
    const late = (): void => this.#fail(this.#heldUp ? 'client_slow' : lateFailure(this.#terms));
    this.#deadline = new Patience(leftMs, late, this.#terms.clock);
    this.#give({ kind: 'stream', status: this.#status, headers: this.#headers, stream: this });
  }

  #queue(chunk: Buffer): void {
    this.#backlog.push(chunk);
    if (this.#phase !== 'flowing' || this.#paused || this.#backlog.wakes) return;
    if (this.#backlog.bytes > flowBytes()) {
      this.#paused = true;
      // A slow client is not the provider's fault.
      this.#heldUp = true;
      this.#timer.cancel();
      this.#sending?.pause();
      this.#unpacking?.pause();
    }
  }

  next(take: TakeChunk): void {
    const all = this.#backlog.take();
    if (all === null && this.#phase !== 'done') this.#backlog.wait(take);
    else take(all);
  }

  #taken(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#phase !== 'flowing') return;
    this.#timer = this.#idle();
    if (this.#unpacking === null || this.#unpacking.resume()) this.#sending?.resume();
  }

  #idle(): Patience {
    const { bounds, clock } = this.#terms;
    return new Patience(bounds.idleTimeoutMs, () => this.#fail('idle_timeout'), clock);
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
    this.#terms.onResult(result);
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
    this.#held?.giveUp();
    this.failure = failure;
    this.#close();
    // A failed connection has ended already; any other must be aborted.
    if (!this.#gone) this.#sending?.abort(new Error(failure));
    if (!begun) this.#give({ kind: 'failed', failure, arrived, code: this.#code });
  }

  /** What its provider bills, if anything: it has begun to answer, or it was left alone with the prompt. */
  #billed(failure: CallFailure): Arrived | null {
    const left =
      failure === lateFailure(this.#terms) ||
      (failure === 'cancelled' && this.#terms.cancellation.reason !== 'hedged');
    const arrived = this.#arrived(failure);
    // Whoever is left alone with a prompt has read it, whether or not it began to answer.
    return left && this.#sending !== null && this.#status < 300 ? (arrived ?? justPrompt) : arrived;
  }

  #arrived(failure: CallFailure): Arrived | null {
    if (this.#scanner !== null) return arrivedOfStream(this.#scanner, failure === 'too_large');
    return this.#phase === 'whole' ? this.#heldReply().arrived(this.#reading, failure) : null;
  }

  #close(): void {
    if (this.streams) leaveStreams();
    this.#phase = 'done';
    this.#timer.cancel();
    this.#deadline?.cancel();
    this.#terms.cancellation.off(this.#onCancel);
    if (this.#paused) this.#sending?.resume();
    this.#unpacking?.stop();
    this.#holding.free();
    this.#backlog.close();
  }
}
