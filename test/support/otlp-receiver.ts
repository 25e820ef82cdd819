/** A receiver of OTLP over HTTP that reads both encodings, by the field numbers of OpenTelemetry's own definitions. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** One attribute, as JSON has it. */
export interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** A span that arrived. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly status?: { readonly code?: number; readonly message?: string };
}

/** A metric that arrived; here all are histograms. */
export interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly histogram: {
    readonly aggregationTemporality: number;
    readonly dataPoints: readonly {
      readonly count: string | number;
      readonly sum: number;
      readonly min: number;
      readonly max: number;
      readonly bucketCounts: readonly (string | number)[];
      readonly explicitBounds: readonly number[];
      readonly attributes: readonly Attribute[];
    }[];
  };
}

type Kind = 'text' | 'hex' | 'varint' | 'bool' | 'fixed64' | 'double' | Message;
interface Message {
  /** Field number → name, kind, and whether it is a list. */
  readonly [field: number]: readonly [name: string, kind: Kind, many?: boolean];
}

const value: Message = {
  1: ['stringValue', 'text'],
  2: ['boolValue', 'bool'],
  3: ['intValue', 'varint'],
  4: ['doubleValue', 'double'],
};
const attribute: Message = { 1: ['key', 'text'], 2: ['value', value] };
const span: Message = {
  1: ['traceId', 'hex'],
  2: ['spanId', 'hex'],
  4: ['parentSpanId', 'hex'],
  5: ['name', 'text'],
  6: ['kind', 'varint'],
  7: ['startTimeUnixNano', 'fixed64'],
  8: ['endTimeUnixNano', 'fixed64'],
  9: ['attributes', attribute, true],
  15: ['status', { 2: ['message', 'text'], 3: ['code', 'varint'] }],
};
const point: Message = {
  4: ['count', 'fixed64'],
  5: ['sum', 'double'],
  6: ['bucketCounts', 'fixed64', true],
  7: ['explicitBounds', 'double', true],
  9: ['attributes', attribute, true],
  11: ['min', 'double'],
  12: ['max', 'double'],
};
const metric: Message = {
  1: ['name', 'text'],
  3: ['unit', 'text'],
  9: ['histogram', { 1: ['dataPoints', point, true], 2: ['aggregationTemporality', 'varint'] }],
};
const resource: Message = { 1: ['attributes', attribute, true] };
const within = (signal: string, list: string, one: Message): Message => ({
  1: [
    `resource${signal}`,
    { 1: ['resource', resource], 2: [`scope${signal}`, { 2: [list, one, true] }, true] },
    true,
  ],
});
const requests: Readonly<Record<string, Message>> = {
  '/v1/traces': within('Spans', 'spans', span),
  '/v1/metrics': within('Metrics', 'metrics', metric),
};

/** Decodes a message of Protocol Buffers into the form that JSON has. */
function decode(bytes: Buffer, message: Message): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [, , many, name] of Object.values(message).map(([n, k, m]) => [0, k, m, n] as const))
    if (many === true) found[name] = [];
  let at = 0;
  const varint = (): bigint => {
    let sum = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      sum |= BigInt(byte & 127) << shift;
      if (byte < 128) return sum;
    }
  };
  const fixed = (kind: Kind): unknown => {
    at += 8;
    return kind === 'double' ? bytes.readDoubleLE(at - 8) : String(bytes.readBigUInt64LE(at - 8));
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [name, kind, many = false] = message[tag >> 3] ?? ['', 'hex', false];
    const put = (it: unknown): void => {
      if (name === '') return;
      if (many) (found[name] as unknown[]).push(it);
      else found[name] = it;
    };
    const wire = tag & 7;
    if (wire === 0) {
      const number = varint();
      put(kind === 'bool' ? number !== 0n : Number(number));
    } else if (wire === 1) put(fixed(kind));
    else if (wire === 5) at += 4;
    else {
      const end = Number(varint()) + at;
      if (kind === 'fixed64' || kind === 'double') while (at < end) put(fixed(kind));
      const part = bytes.subarray(at, end);
      at = end;
      if (kind === 'text') put(part.toString());
      else if (kind === 'hex') put(part.toString('hex'));
      else if (typeof kind === 'object') put(decode(part, kind));
    }
  }
  return found;
}

/** What a receiver got. */
export interface Receiver {
  readonly url: string;
  readonly spans: Span[];
  /** Attributes of the resources that exports were from, by the path they came to. */
  readonly resources: (readonly [path: string, attributes: Record<string, unknown>])[];
  /** Of the latest export. */
  metrics: Metric[];
  readonly calls: { readonly path: string; readonly headers: IncomingHttpHeaders }[];
  /** All bodies as text. */
  text(): string;
  /** Answers with this status from now on. */
  status: number;
  /** Status for a body that can't be taken; 0: it can. */
  refuses(body: Buffer): number;
}

/** Starts a receiver for one test. @param base path before `/v1/…` */
export async function startReceiver(base = ''): Promise<Receiver> {
  let text = '';
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    text += body.toString('latin1');
    const path = (req.url ?? '').slice(base.length);
    receiver.calls.push({ path: req.url ?? '', headers: req.headers });
    const message = requests[path];
    const isJson = req.headers['content-type'] === 'application/json';
    if (receiver.status !== 200 || message === undefined) return res.writeHead(receiver.status || 404).end();
    const refused = receiver.refuses(body);
    if (refused !== 0) return res.writeHead(refused).end();
    const sent = isJson ? JSON.parse(body.toString()) : decode(body, message);
    for (const { scopeSpans } of sent.resourceSpans ?? [])
      for (const scope of scopeSpans) receiver.spans.push(...scope.spans);
    for (const { resource } of [...(sent.resourceSpans ?? []), ...(sent.resourceMetrics ?? [])])
      receiver.resources.push([path, valuesOf(resource.attributes)]);
    const metrics = (sent.resourceMetrics ?? []).flatMap(
      ({ scopeMetrics }: { scopeMetrics: { metrics: Metric[] }[] }) =>
        scopeMetrics.flatMap((scope) => scope.metrics),
    );
    if (metrics.length > 0) receiver.metrics = metrics;
    res.writeHead(200, { 'content-type': isJson ? 'application/json' : 'application/x-protobuf' });
    res.end(isJson ? '{}' : undefined);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}${base}`,
    spans: [],
    resources: [],
    metrics: [],
    calls: [],
    text: () => text,
    status: 200,
    refuses: () => 0,
  };
  return receiver;
}

/** Attributes by name. */
export const valuesOf = (attributes: readonly Attribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value: it }) => [key, Object.values(it)[0]]));
