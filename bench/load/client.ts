/**
 * The load generator, over raw keep-alive sockets. In a closed loop each connection asks again when it is answered; at a
 * given rate requests have their times, and what is answered late counts from when it should have been sent.
 */
import { connect, type Socket } from 'node:net';
import { questions } from '../cache/questions.ts';
import { type StreamPace, usualStreams } from './facts.ts';

/** What one run does. It ends after `requests` replies or `durationMs`, whichever comes first. */
export interface LoadOrder {
  port: number;
  connections: number;
  /**
   * `miss`: each prompt is new; `hit`: all are the same; `stream`: new prompts, answered as SSE; `question`: each is a
   * new short question; `rewording`: each connection asks one short question, and then the same in other words.
   */
  mode: 'miss' | 'hit' | 'stream' | 'question' | 'rewording';
  requestsMax: number;
  durationMs: number;
  /** Sent as `Authorization: Bearer`. */
  key: string;
  /** Length of each prompt; unset: 1 KB. */
  promptBytes?: number;
  /** Requests a second, whatever the replies take, on whichever connection is free; unset: a closed loop. */
  ratePerSecond?: number;
  /** How streams are paced; unset: `usualStreams`. */
  streams?: StreamPace;
  /** Latencies of what is sent earlier aren't kept, in ms from the start; unset: all are. */
  warmMs?: number;
  /** More headers, as `name: value`. */
  headers?: readonly string[];
}

/** Result of a run. Latencies in µs; `first` is the time to a stream's first token (0 without streams). */
export interface LoadReport {
  requests: number;
  errors: number;
  /** Status line of the first reply other than 200, or the socket's error. */
  firstError: string;
  elapsedMs: number;
  p50Us: number;
  p99Us: number;
  meanUs: number;
  firstP50Us: number;
  firstP99Us: number;
}

/** Latencies kept for the percentiles; later ones are only counted. */
const samplesMax = 1_000_000;
const promptUsualBytes = 1024;
const counterDigits = 12;
const endOfChunks = Buffer.from('0\r\n\r\n');
const noBytes = Buffer.alloc(0);
const firstToken = '"content":"tok 0';
let counter = 0;

const newQuestions = questions(5);
/** What is stored, and what is asked then. */
const [stored, reworded] = ['How can I change my shipping address?', 'How do I update my delivery address?'];

/** The bytes of a short question. It states no temperature, as those that do aren't answered in other words. */
function questionBytes(order: LoadOrder, content: string): Buffer {
  return bytesOf(order, { model: 'bench-model', messages: [{ role: 'user', content }] });
}

function bytesOf({ port, key, headers = [] }: LoadOrder, value: object): Buffer {
  const body = JSON.stringify(value);
  const more = headers.map((header) => `${header}\r\n`).join('');
  return Buffer.from(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: keep-alive\r\n` +
      `content-type: application/json\r\naccept: application/json\r\nuser-agent: OpenAI/JS 6.0.0\r\n` +
      `${more}authorization: Bearer ${key}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** The request's bytes, and the offset in them of the counter that makes each prompt new. */
function requestBytes(order: LoadOrder): [Buffer, number] {
  const mark = '#'.repeat(counterDigits);
  const words = `Question ${mark}: what does the sidecar do with this prompt, which says nothing at all? `;
  const filler = 'It is as long as a short letter, and every letter of it must arrive as it was sent. ';
  const { promptBytes = promptUsualBytes } = order;
  const prompt = (words + filler.repeat(Math.ceil(promptBytes / filler.length))).slice(0, promptBytes);
  const bytes = bytesOf(order, {
    model: 'bench-model',
    messages: [
      { role: 'system', content: 'You answer in one short paragraph.' },
      { role: 'user', content: prompt },
    ],
    temperature: 0.2,
    max_tokens: 256,
    ...(order.mode === 'stream' && { stream: true }),
  });
  return [bytes, bytes.indexOf(mark)];
}

function percentile(sorted: Float32Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Latencies in µs, of which the first million are kept. */
class Samples {
  #us = new Float32Array(1024);
  #count = 0;

  add(us: number): void {
    if (this.#count === samplesMax) return;
    if (this.#count === this.#us.length) {
      const more = new Float32Array(Math.min(samplesMax, 2 * this.#count));
      more.set(this.#us);
      this.#us = more;
    }
    this.#us[this.#count++] = us;
  }

  /** In order. */
  sorted(): Float32Array {
    return this.#us.subarray(0, this.#count).sort();
  }
}

/** What the connections of one order share. */
class Run {
  readonly order: LoadOrder;
  readonly startMs = performance.now();
  readonly stopAtMs: number;
  readonly latencies = new Samples();
  readonly firsts = new Samples();
  readonly report = { requests: 0, errors: 0, firstError: '' };
  sent = 0;
  /** At a given rate: connections that are free. */
  readonly #free: Conversation[] = [];
  #open: number;
  #dueAtMs = this.startMs;
  readonly #onEnd: () => void;

  constructor(order: LoadOrder, onEnd: () => void) {
    this.order = order;
    this.stopAtMs = this.startMs + order.durationMs;
    this.#open = order.connections;
    this.#onEnd = onEnd;
    const { events, pauseMs } = order.streams ?? usualStreams;
    for (let i = 0; i < order.connections; i++) {
      // All streams take equally long: started together, they would restart together forever and queue for it.
      if (order.mode === 'stream')
        setTimeout(() => new Conversation(this), (i * events * pauseMs) / order.connections);
      else new Conversation(this);
    }
    if (order.ratePerSecond !== undefined) this.#keepRate(1000 / order.ratePerSecond);
  }

  /** Whether what is sent at that time counts. */
  isWarm(sentMs: number): boolean {
    return sentMs >= this.startMs + (this.order.warmMs ?? 0);
  }

  fail(why: string): void {
    this.report.errors++;
    this.report.firstError ||= why;
  }

  /** A connection can send the next request. */
  ready(conversation: Conversation): void {
    const nowMs = performance.now();
    const { ratePerSecond, requestsMax } = this.order;
    // At a given rate, whatever was due is still sent.
    const over = (ratePerSecond === undefined ? nowMs : this.#dueAtMs) >= this.stopAtMs;
    if (this.sent >= requestsMax || over) conversation.end();
    else if (ratePerSecond === undefined) conversation.ask(nowMs);
    else this.#free.push(conversation);
  }

  closed(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#onEnd();
  }

  /** Sends what is due. A request that finds no free connection waits, and its wait counts. */
  #keepRate(everyMs: number): void {
    const untilMs = Math.min(performance.now(), this.stopAtMs);
    while (this.#dueAtMs <= untilMs && this.#free.length > 0) {
      this.#free.pop()?.ask(this.#dueAtMs);
      this.#dueAtMs += everyMs;
    }
    const more = this.#dueAtMs < this.stopAtMs && this.sent < this.order.requestsMax;
    if (more && this.#open > 0) setImmediate(() => this.#keepRate(everyMs));
    // Others end when they are answered.
    else for (const conversation of this.#free.splice(0)) conversation.end();
  }
}

/** One connection, which carries one request at a time. */
class Conversation {
  readonly #run: Run;
  readonly #socket: Socket;
  readonly #buffer = Buffer.allocUnsafeSlow(64 * 1024);
  readonly #request: Buffer;
  readonly #counterAt: number;
  #asked = 0;
  /** Body bytes still to come; -1: no head yet; -2: chunked, which ends with its last five bytes. */
  #remaining = -1;
  #head = '';
  #tail: Buffer = noBytes;
  /** When its request was due. */
  #sentMs = 0;
  #firstSeen = false;
  #idle = true;

  constructor(run: Run) {
    this.#run = run;
    [this.#request, this.#counterAt] = requestBytes(run.order);
    this.#socket = connect({
      host: '127.0.0.1',
      port: run.order.port,
      noDelay: true,
      onread: { buffer: this.#buffer, callback: (length) => this.#take(length) },
    });
    this.#socket.on('connect', () => run.ready(this));
    this.#socket.on('error', (error) => run.fail(error.message));
    this.#socket.on('close', () => {
      if (!this.#idle) run.fail('closed in the middle of a reply');
      run.closed();
    });
  }

  /** Sends a request. @param dueMs when it is due, which its latency counts from */
  ask(dueMs: number): void {
    this.#run.sent++;
    this.#remaining = -1;
    this.#head = '';
    this.#firstSeen = false;
    this.#idle = false;
    this.#sentMs = dueMs;
    this.#socket.write(this.#next());
  }

  end(): void {
    this.#socket.destroy();
  }

  #next(): Buffer {
    const { order } = this.#run;
    if (order.mode === 'question') return questionBytes(order, newQuestions.next().value ?? '');
    if (order.mode === 'rewording') return questionBytes(order, this.#asked++ === 0 ? stored : reworded);
    if (order.mode !== 'hit')
      this.#request.write(String(counter++).padStart(counterDigits, '0'), this.#counterAt, 'latin1');
    return this.#request;
  }

  #done(): void {
    const run = this.#run;
    if (run.isWarm(this.#sentMs)) run.latencies.add((performance.now() - this.#sentMs) * 1000);
    run.report.requests++;
    this.#idle = true;
    run.ready(this);
  }

  /** Reads the head; returns the offset of the body in `data`, or -1 if it is incomplete. */
  #readHead(data: Buffer): number {
    const before = this.#head.length;
    this.#head += data.toString('latin1');
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return -1;
    const head = this.#head.slice(0, end).toLowerCase();
    if (!head.startsWith('http/1.1 200')) this.#run.fail(head.slice(0, head.indexOf('\r\n')));
    const at = head.indexOf('\r\ncontent-length: ');
    this.#remaining = at < 0 ? -2 : Number.parseInt(head.slice(at + 18, at + 30), 10);
    this.#tail = noBytes;
    return end + 4 - before;
  }

  #take(length: number): boolean {
    const run = this.#run;
    let data = this.#buffer.subarray(0, length);
    if (this.#idle) {
      run.fail('bytes after the end of a reply');
      this.end();
      return true;
    }
    if (this.#remaining === -1) {
      const bodyAt = this.#readHead(data);
      if (bodyAt < 0) return true;
      data = data.subarray(bodyAt);
    }
    const streamed = run.order.mode === 'stream';
    if (streamed && !this.#firstSeen && data.includes(firstToken, 0, 'latin1')) {
      this.#firstSeen = true;
      if (run.isWarm(this.#sentMs)) run.firsts.add((performance.now() - this.#sentMs) * 1000);
    }
    if (this.#remaining >= 0) {
      this.#remaining -= data.length;
      if (this.#remaining <= 0) this.#done();
      return true;
    }
    this.#tail =
      data.length >= 5 ? Buffer.from(data.subarray(-5)) : Buffer.concat([this.#tail, data]).subarray(-5);
    if (this.#tail.equals(endOfChunks)) {
      if (streamed && !this.#firstSeen) run.fail('a stream without its first token');
      this.#done();
    }
    return true;
  }
}

/** Executes one order. Never rejects: errors are counted in the report. */
export function run(order: LoadOrder): Promise<LoadReport> {
  const { promise, resolve } = Promise.withResolvers<LoadReport>();
  const running = new Run(order, () => {
    const [latencies, firsts] = [running.latencies.sorted(), running.firsts.sorted()];
    const sum = latencies.reduce((total, us) => total + us, 0);
    resolve({
      ...running.report,
      elapsedMs: performance.now() - running.startMs,
      p50Us: percentile(latencies, 0.5),
      p99Us: percentile(latencies, 0.99),
      meanUs: sum / Math.max(1, latencies.length),
      firstP50Us: percentile(firsts, 0.5),
      firstP99Us: percentile(firsts, 0.99),
    });
  });
  return promise;
}
