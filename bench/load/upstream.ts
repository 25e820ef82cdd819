/** The model provider of the load tests: a raw socket server, so cheap that it doesn't distort the measurement. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { streamEvents, streamTickMs } from './facts.ts';

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
const usage = chunked(
  streamEvent({}, null, {
    prompt_tokens: 256,
    completion_tokens: streamEvents,
    total_tokens: 256 + streamEvents,
  }),
);
const end = Buffer.from('e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n');
const streamTail = Buffer.concat([finish, end]);
const streamTailUsage = Buffer.concat([finish, usage, end]);

/** A stream in flight: its socket, events sent, and last bytes. One timer advances all streams. */
interface Stream {
  socket: Socket;
  sent: number;
  tail: Buffer;
}
const streams = new Set<Stream>();
let ticker: NodeJS.Timeout | undefined;
let requests = 0;

function tick(): void {
  for (const stream of streams) {
    if (stream.sent < streamEvents) {
      stream.sent++;
      stream.socket.write(streamToken);
    } else {
      streams.delete(stream);
      stream.socket.write(stream.tail);
    }
  }
  if (streams.size === 0) {
    clearInterval(ticker);
    ticker = undefined;
  }
}

function answer(socket: Socket, request: Buffer, bodyAt: number): void {
  requests++;
  if (!request.includes('"stream":true', bodyAt)) {
    socket.write(json);
    return;
  }
  const tail = request.includes('"include_usage":true', bodyAt) ? streamTailUsage : streamTail;
  socket.write(streamHead);
  streams.add({ socket, sent: 1, tail });
  ticker ??= setInterval(tick, streamTickMs);
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
      answer(socket, data, bodyAt);
      data = data.subarray(total);
    }
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    for (const stream of streams) if (stream.socket === socket) streams.delete(stream);
  });
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
