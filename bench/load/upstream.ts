/** The model provider of the load tests: a raw socket server, so cheap that it doesn't distort the measurement. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type StreamPace, usualStreams } from './facts.ts';

/** A request with a head or body larger than this closes the connection. */
const requestMaxBytes = 1024 * 1024;

const replyText =
  'The gateway passes this sentence on as it came, byte for byte, without reading a word of it. ';

function jsonReply(): Buffer {
  const body = JSON.stringify({
    id: 'chatcmpl-bench0000000000000000000001',
    object: 'chat.completion',
    created: 1_750_000_000,
    model: 'bench-model',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: replyText.repeat(7), refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: {
      prompt_tokens: 256,
      completion_tokens: 160,
      total_tokens: 416,
      prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
    },
    service_tier: 'default',
    system_fingerprint: 'fp_bench',
  });
  const head =
    'HTTP/1.1 200 OK\r\ndate: Mon, 01 Jun 2026 00:00:00 GMT\r\ncontent-type: application/json\r\n' +
    `content-length: ${Buffer.byteLength(body)}\r\nx-request-id: req_bench\r\nopenai-version: 2020-10-01\r\n` +
    'openai-processing-ms: 1\r\n\r\n';
  return Buffer.from(head + body);
}

function chunked(data: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`);
}

function streamEvent(delta: object, finish: string | null, usage?: object): string {
  const head = { id: 'chatcmpl-bench0000000000000000000001', object: 'chat.completion.chunk' };
  const rest = { created: 1_750_000_000, model: 'bench-model', system_fingerprint: 'fp_bench' };
  const choices = usage ? [] : [{ index: 0, delta, logprobs: null, finish_reason: finish }];
  return `data: ${JSON.stringify({ ...head, ...rest, choices, ...(usage && { usage }) })}\n\n`;
}

const json = jsonReply();
const streamHead = Buffer.concat([
  Buffer.from(
    'HTTP/1.1 200 OK\r\ndate: Mon, 01 Jun 2026 00:00:00 GMT\r\ncontent-type: text/event-stream; charset=utf-8\r\n' +
      'cache-control: no-cache\r\ntransfer-encoding: chunked\r\nx-request-id: req_bench\r\n\r\n',
  ),
  chunked(streamEvent({ role: 'assistant', content: '' }, null)),
  chunked(streamEvent({ content: 'tok 0 ' }, null)),
]);
const streamToken = chunked(streamEvent({ content: 'tok en ' }, null));
const finish = chunked(streamEvent({}, 'stop'));
const end = Buffer.from('e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n');
const streamTail = Buffer.concat([finish, end]);
const tailWithUsage = (events: number): Buffer => {
  const usage = { prompt_tokens: 256, completion_tokens: events, total_tokens: 256 + events };
  return Buffer.concat([finish, chunked(streamEvent({}, null, usage)), end]);
};

/** A stream in flight: its socket, events sent, and last bytes. */
interface Stream {
  socket: Socket;
  sent: number;
  tail: Buffer;
}

/** How often streams are looked at; a group of them is due each time, so that not all send at once. */
const beatMs = 2;
let pace = usualStreams;
let streamTailUsage = tailWithUsage(pace.events);
let groups: Set<Stream>[] = [new Set()];
let beat = 0;
let streaming = 0;
let ticker: NodeJS.Timeout | undefined;
let requests = 0;

/** Streams from now on come at this pace. There must be none in flight. */
export function setPace(next: StreamPace): void {
  pace = next;
  streamTailUsage = tailWithUsage(pace.events);
  groups = Array.from({ length: Math.max(1, Math.round(pace.pauseMs / beatMs)) }, () => new Set());
}

function tick(): void {
  beat = (beat + 1) % groups.length;
  const due = groups[beat] ?? [];
  for (const stream of due) {
    if (stream.sent < pace.events) {
      stream.sent++;
      stream.socket.write(streamToken);
    } else {
      forget(stream);
      stream.socket.write(stream.tail);
    }
  }
}

function forget(stream: Stream): void {
  if (!groups.some((group) => group.delete(stream))) return;
  streaming -= 1;
  if (streaming > 0) return;
  clearInterval(ticker);
  ticker = undefined;
}

/** Answers a request; returns the stream that it began, if it did. */
function answer(socket: Socket, request: Buffer, bodyAt: number): Stream | null {
  requests++;
  if (!request.includes('"stream":true', bodyAt)) {
    socket.write(json);
    return null;
  }
  const tail = request.includes('"include_usage":true', bodyAt) ? streamTailUsage : streamTail;
  socket.write(streamHead);
  const stream = { socket, sent: 1, tail };
  groups[beat % groups.length]?.add(stream);
  streaming += 1;
  ticker ??= setInterval(tick, beatMs);
  return stream;
}

/** Length of the request's head and of the whole request; zeros if the head is incomplete. */
function measure(data: Buffer): [bodyAt: number, total: number] {
  const headEnd = data.indexOf('\r\n\r\n');
  if (headEnd < 0) return [0, 0];
  const bodyAt = headEnd + 4;
  let at = data.indexOf('ontent-length: ', 0, 'latin1');
  if (at < 0) at = data.indexOf('ontent-Length: ', 0, 'latin1');
  if (at < 0 || at > headEnd) return [bodyAt, bodyAt];
  let length = 0;
  for (let i = at + 15; i < headEnd; i++) {
    const digit = (data[i] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
  }
  return [bodyAt, bodyAt + length];
}

const server = createServer({ noDelay: true }, (socket) => {
  let held: Buffer | undefined;
  let stream: Stream | null = null;
  socket.on('data', (chunk: Buffer) => {
    let data = held ? Buffer.concat([held, chunk]) : chunk;
    held = undefined;
    while (data.length > 0) {
      const [bodyAt, total] = measure(data);
      if (total === 0 || data.length < total) {
        held = data;
        if (data.length > requestMaxBytes) socket.destroy();
        return;
      }
      stream = answer(socket, data, bodyAt);
      data = data.subarray(total);
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => stream !== null && forget(stream));
});

/** Opens the provider on a free loopback port; returns the port. */
export async function openUpstream(): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** Requests answered so far, which tells cache hits from misses. */
export const requestsAnswered = (): number => requests;
