/**
 * The ledger against the provider's own count: 100,000 requests with faults, fallbacks, cut streams and clients that hang
 * up go through a real sidecar, which is killed in the middle and started again. No record that was committed is lost or
 * counted twice, and the sums are equal to the nano-dollar, for each tenant and target.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { openReader } from '../../src/observe/ledger/report.ts';
import { namedValues } from '../../src/observe/ledger/segment.ts';
import { ask, send } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { type SidecarProcess, spawnSidecar } from '../support/sidecar.ts';

const requests = 100_000;
/** Requests that are under way at once. */
const atOnce = 48;
const tenants = ['red', 'green', 'blue', 'black', 'white'];
const everything = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };
/** Two tokens, four for the message and its role, three before the reply: what is counted where nobody states it. */
const prompt = 'Hello there';
const promptTokens = 2 + 3 + 1 + 3;
const twoTokens = 'one two';
/** Nano-dollars a token of the prompt; four times as much one of the reply. */
const prices: Readonly<Record<string, number>> = { 'first/small': 1000, 'second/large': 10_000 };

/** What a provider says that it billed for one call. */
interface Billed {
  readonly target: string;
  readonly input: number;
  readonly output: number;
}

/** What becomes of a request, by its number. */
const fates = [
  'fallback',
  'fails',
  'cut',
  'hangs_up',
  'stream',
  'stream',
  ...Array(10).fill('whole'),
] as const;
type Fate = 'fallback' | 'fails' | 'cut' | 'hangs_up' | 'stream' | 'whole';
/** A number that looks random, but is the same in each run. */
const mixed = (i: number): number => Math.imul(i + 1, 2_654_435_761) >>> 8;
const fateOf = (i: number): Fate => fates[mixed(i) % fates.length] ?? 'whole';

/** Two providers behind one port, and their own count by the id of each call. */
async function startProviders(): Promise<{
  url: string;
  billed: Map<string, Billed>;
  calls(): number;
}> {
  const billed = new Map<string, Billed>();
  let calls = 0;
  const first = new Set<number>();
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { seed, stream } = JSON.parse(Buffer.concat(chunks).toString()) as {
        seed: number;
        stream?: boolean;
      };
      const target = req.url?.startsWith('/first/') === true ? 'first/small' : 'second/large';
      const id = `call-${calls++}`;
      res.setHeader('x-request-id', id);
      const isFirst = !first.has(seed);
      first.add(seed);
      answer(res, { seed, stream: stream === true, isFirst }, (input, output) =>
        billed.set(id, { target, input, output }),
      );
    });
    res.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, billed, calls: () => calls };
}

function answer(
  res: ServerResponse,
  { seed, stream, isFirst }: { seed: number; stream: boolean; isFirst: boolean },
  bill: (input: number, output: number) => void,
): void {
  const fate = fateOf(seed);
  if (fate === 'fails' || (fate === 'fallback' && isFirst)) {
    res.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{"message":"out of order"}}');
    return;
  }
  const [input, output] = [1 + (mixed(seed) % 5000), 1 + (mixed(seed * 7) % 2000)];
  if (!stream) {
    bill(input, output);
    const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
    const body = JSON.stringify({ ...JSON.parse(openaiWire.whole('hello')), usage });
    res.writeHead(200, { 'content-type': 'application/json' }).end(body);
    return;
  }
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.write(openaiWire.opening + openaiWire.text(twoTokens));
  if (fate !== 'stream') {
    // Nobody is told what it cost: the sidecar counts what came.
    bill(promptTokens, 2);
    // The connection breaks once the two tokens are on their way; or the client leaves, and the sidecar with it.
    if (fate === 'cut') setTimeout(() => res.socket?.end(), 5);
    return;
  }
  bill(input, output);
  const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
  const last = `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [], usage })}\n\n`;
  res.end(openaiWire.finish() + last + openaiWire.end);
}

const configOf = (providers: string, ledger: string): string =>
  stringify({
    listen: { port: 0 },
    admin: { port: 0 },
    cache: { enabled: false },
    observe: { logShare: 0, ledger: { path: ledger } },
    authenticate: {
      keys: tenants.map((tenant) => ({
        id: tenant,
        sha256: createHash('sha256').update(`key of ${tenant}`).digest('hex'),
        tenant,
      })),
    },
    providers: Object.fromEntries(
      ['first', 'second'].map((name) => [name, { dialect: 'openai', baseUrl: `${providers}/${name}/v1` }]),
    ),
    catalog: {
      models: Object.entries(prices).map(([target, nano]) => ({
        model: target.split('/')[1],
        inputUsdPerMTok: nano / 1000,
        outputUsdPerMTok: (4 * nano) / 1000,
      })),
    },
    routes: [
      {
        model: 'chat',
        targets: [
          { provider: 'first', model: 'small' },
          { provider: 'second', model: 'large' },
        ],
      },
    ],
    // On a busy machine the tokenizer takes long to load, and an estimate isn't what was sent.
    count: { deadlineMs: 60_000 },
    // Faults are spread evenly here, so what protects from outages would only hide them.
    attempt: {
      retriesMax: 0,
      retryBudget: { ratio: 1, minPerSecond: 1000 },
      breaker: { failures: 1000 },
    },
  });

/** Sends one request as its fate has it; whether it succeeds doesn't matter here. */
async function sendOne(url: string, i: number): Promise<void> {
  const fate = fateOf(i);
  const stream = fate === 'stream' || fate === 'cut' || fate === 'hangs_up';
  const more = {
    model: 'chat',
    seed: i,
    ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
  };
  const sending = {
    body: openaiWire.request(prompt, more),
    headers: { authorization: `Bearer key of ${tenants[i % tenants.length]}` },
  };
  if (fate !== 'hangs_up') return void (await ask(url, openaiWire.path, sending).catch(() => null));
  const sent = send(url, openaiWire.path, sending);
  const reply = await sent.reply.catch(() => null);
  await reply?.sees(twoTokens).catch(() => {});
  sent.hangUp();
}

/** Sends the requests of a range, so many at once, until `isOver`; gives the number of the next one. */
async function sendAll(url: string, from: number, to: number, isOver: () => boolean): Promise<number> {
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to && !isOver()) await sendOne(url, next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return next;
}

test(`of ${requests} requests with faults and hang-ups, none that was committed is lost or counted twice`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-ledger-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'ledger.db');
  const providers = await startProviders();
  const start = (): Promise<SidecarProcess> => spawnSidecar(configOf(providers.url, path));

  const killed = await start();
  let over = false;
  const half = sendAll(killed.url, 0, requests, () => over);
  const idsNow = async (): Promise<string[]> => {
    const reader = await openReader(path);
    const ids = [...reader.rows(everything)].map((row) => String(namedValues(row).request_id));
    reader.close();
    return ids;
  };
  while (providers.billed.size < requests / 2) await new Promise((resolve) => setTimeout(resolve, 100));
  // Whatever is in the file now has been committed.
  const acknowledged = await idsNow();
  killed.child.kill('SIGKILL');
  over = true;
  const next = await half;
  await killed.stop();
  expect(acknowledged.length).toBeGreaterThan(requests / 4);
  const callsBefore = providers.calls();

  const second = await start();
  await sendAll(second.url, next, requests, () => false);
  expect(await second.stop()).toBe(0);

  const reader = await openReader(path);
  onTestFinished(() => reader.close());
  const seen = new Set<string>();
  const expected = new Map<string, [number, number, number]>();
  let rows = 0;
  const ids = new Set<string>();
  for (const row of reader.rows(everything)) {
    const { request_id: id, tenant } = namedValues(row);
    rows += 1;
    ids.add(String(id));
    for (const step of row.steps) {
      const call = providers.billed.get(step.id);
      if (call === undefined) continue;
      expect(seen.has(step.id)).toBe(false);
      seen.add(step.id);
      const key = `${tenant} ${call.target}`;
      const [input, output, cost] = expected.get(key) ?? [0, 0, 0];
      const nano = (prices[call.target] ?? 0) * (call.input + 4 * call.output);
      expected.set(key, [input + call.input, output + call.output, cost + nano]);
    }
  }
  expect(ids.size).toBe(rows);
  expect(acknowledged.filter((id) => !ids.has(id))).toEqual([]);
  // Of what the second process sent, nothing is missing; of what the first did, only what wasn't committed yet.
  const missing = [...providers.billed.keys()].filter((id) => !seen.has(id));
  expect(missing.filter((id) => Number(id.slice('call-'.length)) >= callsBefore)).toEqual([]);
  const sums = reader
    .costs(['tenant', 'target'], everything)
    .filter(({ values }) => values[1] !== '')
    .map(({ values, inputTokens, outputTokens, costNanoUsd }) => [
      values.join(' '),
      [inputTokens, outputTokens, costNanoUsd].map(Number),
    ]);
  expect(new Map(sums as [string, number[]][])).toEqual(expected);
  console.log(
    `${requests} requests, ${providers.billed.size} billed calls; ${acknowledged.length} committed before the kill, ` +
      `${rows} rows at the end, ${missing.length} calls in flight or not yet committed when it was killed`,
  );
}, 900_000);
