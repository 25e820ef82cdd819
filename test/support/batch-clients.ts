/**
 * A load generator in its own process: opens one connection per batch request, as clients do, and reports the outcome
 * of each. Run by `test/support/batch-load.ts` with its orders as JSON in the first argument.
 */
import { request } from 'node:http';

/** What to send. */
export interface Orders {
  readonly url: string;
  readonly path: string;
  /** Keys of the tenants; requests use them in turn. */
  readonly keys: readonly string[];
  /** Number of requests without a deadline. */
  readonly patient: number;
  /** Number of requests that follow, one every `urgentEveryMs`, with these deadlines in turn, ms. */
  readonly urgent: number;
  readonly urgentEveryMs: number;
  readonly deadlinesMs: readonly number[];
  readonly model: string;
}

/** Outcome of one request. */
export interface Outcome {
  readonly tenant: number;
  /** The request's deadline, ms; 0: none. */
  readonly deadlineMs: number;
  /** 0: the connection broke. */
  readonly status: number;
  readonly tookMs: number;
  readonly code: string;
}

/** Limit on connections being opened at once. */
const openingMax = 100;

function send(orders: Orders, index: number, deadlineMs: number, sent: () => void): Promise<Outcome> {
  const tenant = index % orders.keys.length;
  const beganMs = performance.now();
  const body = JSON.stringify({
    model: orders.model,
    user: `tenant-${tenant}`,
    messages: [{ role: 'user', content: `Batch request ${index}, which can wait.` }],
  });
  return new Promise((resolve) => {
    const told = (status: number, code = ''): void =>
      resolve({ tenant, deadlineMs, status, tookMs: performance.now() - beganMs, code });
    const req = request(new URL(orders.path, orders.url), {
      method: 'POST',
      agent: false,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        authorization: `Bearer ${orders.keys[tenant]}`,
        'x-sidegate-priority': 'batch',
        ...(deadlineMs > 0 ? { 'x-sidegate-timeout': String(deadlineMs) } : {}),
      },
    });
    req.on('error', () => {
      sent();
      told(0);
    });
    req.on('response', (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => {
        text += chunk;
      });
      res.on('end', () => told(res.statusCode ?? 0, JSON.parse(text).error?.code ?? ''));
      res.on('error', () => told(0));
    });
    req.end(body, sent);
  });
}

async function run(orders: Orders): Promise<void> {
  const all: Promise<Outcome>[] = [];
  let opening = 0;
  let free: (() => void) | null = null;
  for (let index = 0; index < orders.patient; index++) {
    if (opening >= openingMax)
      await new Promise<void>((resolve) => {
        free = resolve;
      });
    opening += 1;
    all.push(
      send(orders, index, 0, () => {
        opening -= 1;
        free?.();
      }),
    );
  }
  process.stdout.write('{"filled":true}\n');
  for (let index = 0; index < orders.urgent; index++) {
    await new Promise((resolve) => setTimeout(resolve, orders.urgentEveryMs));
    // Both tenants get every deadline.
    const deadline = orders.deadlinesMs[Math.floor(index / orders.keys.length) % orders.deadlinesMs.length];
    all.push(send(orders, index, deadline ?? 0, () => {}));
  }
  process.stdout.write(`${JSON.stringify({ told: await Promise.all(all) })}\n`);
}

const [text] = process.argv.slice(2);
if (text !== undefined && import.meta.url === `file://${process.argv[1]}`) await run(JSON.parse(text));
