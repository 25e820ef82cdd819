/** Correct replies of Bedrock's Converse and ConverseStream, event by event, framed by Amazon's own codec. */
import { EventStreamCodec } from '@smithy/eventstream-codec';
import { type ProviderWire, statedUsage } from './replies.ts';

type Json = Record<string, unknown>;

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString('utf8'),
  (text) => Buffer.from(text, 'utf8'),
);

/** One message of the event stream. */
export function frame(headers: Readonly<Record<string, string>>, payload: string | Buffer): Buffer {
  const typed = Object.entries(headers).map(([name, value]) => [name, { type: 'string', value }] as const);
  return Buffer.from(codec.encode({ headers: Object.fromEntries(typed), body: Buffer.from(payload) }));
}

/** An event of ConverseStream. Amazon pads each event, to hide its size. */
export const event = (name: string, data: Json): Buffer =>
  frame(
    { ':event-type': name, ':content-type': 'application/json', ':message-type': 'event' },
    JSON.stringify({ ...data, p: 'abcdefghijkl' }),
  );

/** An error in the middle of a stream. */
export const exception = (name: string, message: string): Buffer =>
  frame(
    { ':exception-type': name, ':content-type': 'application/json', ':message-type': 'exception' },
    JSON.stringify({ message }),
  );

const delta = (index: number, change: Json): Buffer =>
  event('contentBlockDelta', { contentBlockIndex: index, delta: change });

const usage = {
  ...statedUsage,
  totalTokens: statedUsage.inputTokens + statedUsage.outputTokens,
};
const reasons = { stop: 'end_turn', length: 'max_tokens', tool: 'tool_use' } as const;
const types: Readonly<Record<number, string>> = {
  400: 'ValidationException',
  401: 'UnrecognizedClientException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  429: 'ThrottlingException',
  500: 'InternalServerException',
  503: 'ServiceUnavailableException',
};

/** Bedrock on the wire. Only providers speak it, no client. */
export const bedrockWire: ProviderWire = {
  name: 'bedrock',
  streamType: 'application/vnd.amazon.eventstream',
  opening: event('messageStart', { role: 'assistant' }),
  text: (text) => delta(0, { text }),
  finish: (reason = 'stop') =>
    Buffer.concat([
      event('contentBlockStop', { contentBlockIndex: 0 }),
      event('messageStop', { stopReason: reasons[reason] }),
    ]),
  errorEvent: (message) => exception('modelStreamErrorException', message),
  stream(...texts) {
    const end = event('metadata', { usage, metrics: { latencyMs: 700 } });
    return [this.opening, ...texts.map(this.text), this.finish(), end];
  },
  whole: (text) =>
    JSON.stringify({
      metrics: { latencyMs: 700 },
      output: { message: { content: [{ text }], role: 'assistant' } },
      stopReason: 'end_turn',
      usage,
    }),
  error: (status, message) => ({
    status,
    headers: {
      'content-type': 'application/json',
      'x-amzn-requestid': 'c2f2ed4a-7a6f-4f6c-9f7d-0f3c2b1a0e9d',
      ...(types[status] === undefined
        ? {}
        : { 'x-amzn-errortype': `${types[status]}:http://internal.amazon.com/coral/com.amazon.bedrock/` }),
    },
    body: JSON.stringify({ message }),
  }),
};

/** The messages of a stream, read by Amazon's codec. */
export function framesOf(stream: Buffer): { headers: Record<string, string>; payload: Buffer }[] {
  const found: ReturnType<typeof framesOf> = [];
  for (let at = 0; at < stream.length; at += stream.readUInt32BE(at)) {
    const { headers, body } = codec.decode(stream.subarray(at, at + stream.readUInt32BE(at)));
    const texts = Object.entries(headers).map(([name, { value }]) => [name, String(value)]);
    found.push({ headers: Object.fromEntries(texts), payload: Buffer.from(body) });
  }
  return found;
}
