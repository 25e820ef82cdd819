/** The load generator: a closed loop over raw keep-alive sockets. */
import { connect, type Socket } from 'node:net';
import { questions } from '../cache/questions.ts';

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
const promptBytes = 1024;
const counterDigits = 12;
/** The connections of a streaming run start spread over this time, about the duration of a stream. */
const streamSpreadMs = 400;
const latencies = new Float32Array(samplesMax);
const firsts = new Float32Array(samplesMax);
const endOfChunks = Buffer.from('0\r\n\r\n');
const firstToken = '"content":"tok 0';
let counter = 0;

const newQuestions = questions(5);
/** What is stored, and what is asked then. */
const [stored, reworded] = ['How can I change my shipping address?', 'How do I update my delivery address?'];

/** The bytes of a short question. It states no temperature, as those that do aren't answered in other words. */
function questionBytes({ port, key }: LoadOrder, content: string): Buffer {
  return bytesOf(port, key, { model: 'bench-model', messages: [{ role: 'user', content }] });
}

function bytesOf(port: number, key: string, value: object): Buffer {
  const body = JSON.stringify(value);
  return Buffer.from(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: keep-alive\r\n` +
      `content-type: application/json\r\naccept: application/json\r\nuser-agent: OpenAI/JS 6.0.0\r\n` +
      `authorization: Bearer ${key}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** The request's bytes, and the offset in them of the counter that makes each prompt new. */
function requestBytes(order: LoadOrder): [Buffer, number] {
  const mark = '#'.repeat(counterDigits);
  const words = `Question ${mark}: what does the sidecar do with this prompt, which says nothing at all? `;
  const filler = 'It is as long as a short letter, and every letter of it must arrive as it was sent. ';
  const prompt = (words + filler.repeat(20)).slice(0, promptBytes);
  const bytes = bytesOf(order.port, order.key, {
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

/** Executes one order. Never rejects: errors are counted in the report. */
export function run(order: LoadOrder): Promise<LoadReport> {
  const { promise, resolve } = Promise.withResolvers<LoadReport>();
  const start = performance.now();
  const stopAt = start + order.durationMs;
  const report = { requests: 0, errors: 0, firstError: '' };
  let sent = 0;
  let open = order.connections;
  let firstCount = 0;

  function finish(): void {
    const kept = latencies.subarray(0, Math.min(report.requests, samplesMax)).sort();
    const keptFirsts = firsts.subarray(0, firstCount).sort();
    const sum = kept.reduce((total, us) => total + us, 0);
    resolve({
      ...report,
      elapsedMs: performance.now() - start,
      p50Us: percentile(kept, 0.5),
      p99Us: percentile(kept, 0.99),
      meanUs: sum / Math.max(1, kept.length),
      firstP50Us: percentile(keptFirsts, 0.5),
      firstP99Us: percentile(keptFirsts, 0.99),
    });
  }

  function fail(why: string): void {
    report.errors++;
    report.firstError ||= why;
  }

  function converse(): void {
    const [counted, counterAt] = requestBytes(order);
    let request = counted;
    const [first, again] = [questionBytes(order, stored), questionBytes(order, reworded)];
    let asked = 0;
    const buffer = Buffer.allocUnsafeSlow(64 * 1024);
    /** Body bytes still to come; -1: no head yet; -2: chunked, which ends with its last five bytes. */
    let remaining = -1;
    let head = '';
    let tail = Buffer.alloc(0);
    let sentAt = 0;
    let firstSeen = false;
    let idle = true;

    function next(): void {
      const now = performance.now();
      if (sent >= order.requestsMax || now >= stopAt) {
        socket.destroy();
        return;
      }
      sent++;
      if (order.mode === 'question') request = questionBytes(order, newQuestions.next().value ?? '');
      else if (order.mode === 'rewording') request = asked++ === 0 ? first : again;
      else if (order.mode !== 'hit') {
        request.write(String(counter++).padStart(counterDigits, '0'), counterAt, 'latin1');
      }
      remaining = -1;
      head = '';
      firstSeen = false;
      idle = false;
      sentAt = now;
      socket.write(request);
    }

    function done(): void {
      if (report.requests < samplesMax) latencies[report.requests] = (performance.now() - sentAt) * 1000;
      report.requests++;
      idle = true;
      next();
    }

    /** Reads the head; returns the offset of the body in `data`, or -1 if it is incomplete. */
    function readHead(data: Buffer): number {
      const before = head.length;
      head += data.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return -1;
      head = head.slice(0, end).toLowerCase();
      if (!head.startsWith('http/1.1 200')) fail(head.slice(0, head.indexOf('\r\n')));
      const at = head.indexOf('\r\ncontent-length: ');
      remaining = at < 0 ? -2 : Number.parseInt(head.slice(at + 18, at + 30), 10);
      tail = Buffer.alloc(0);
      return end + 4 - before;
    }

    function onData(length: number): boolean {
      let data = buffer.subarray(0, length);
      if (idle) {
        fail('bytes after the end of a reply');
        socket.destroy();
        return true;
      }
      if (remaining === -1) {
        const bodyAt = readHead(data);
        if (bodyAt < 0) return true;
        data = data.subarray(bodyAt);
      }
      if (order.mode === 'stream' && !firstSeen && data.includes(firstToken, 0, 'latin1')) {
        firstSeen = true;
        if (firstCount < samplesMax) firsts[firstCount++] = (performance.now() - sentAt) * 1000;
      }
      if (remaining >= 0) {
        remaining -= data.length;
        if (remaining <= 0) done();
        return true;
      }
      tail = data.length >= 5 ? Buffer.from(data.subarray(-5)) : Buffer.concat([tail, data]).subarray(-5);
      if (tail.equals(endOfChunks)) {
        if (order.mode === 'stream' && !firstSeen) fail('a stream without its first token');
        done();
      }
      return true;
    }

    const socket: Socket = connect({
      host: '127.0.0.1',
      port: order.port,
      noDelay: true,
      onread: { buffer, callback: onData },
    });
    socket.on('connect', next);
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => {
      if (!idle) fail('closed in the middle of a reply');
      if (--open === 0) finish();
    });
  }

  for (let i = 0; i < order.connections; i++) {
    // All streams take equally long: started together, they would restart together forever and queue for it.
    if (order.mode === 'stream') setTimeout(converse, (i * streamSpreadMs) / order.connections);
    else converse();
  }
  return promise;
}
