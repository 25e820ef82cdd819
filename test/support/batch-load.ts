/**
 * Thousands of batch requests in addition to interactive traffic, on real sockets. The sidecar, the batch clients, and
 * the provider with the interactive client are one process each, so that none holds both ends of the waiting
 * connections. Every other interactive request goes to a second sidecar without batch requests, so that other load on
 * the machine affects both numbers.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Orders, Outcome } from './batch-clients.ts';
import { metricIn } from './chain.ts';
import { ask } from './client.ts';
import { type LoggedRecord, recordsIn } from './log-line.ts';
import { openaiWire, testModel } from './replies.ts';
import { spawnSidecar } from './sidecar.ts';
import { answers, type Script, startUpstream } from './upstream.ts';

/** Size of the load. */
export interface BatchLoad {
  readonly patient: number;
  readonly urgent: number;
  readonly urgentEveryMs: number;
  readonly deadlinesMs: readonly number[];
  readonly concurrencyMax: number;
  /** Time the provider takes for a request. */
  readonly serviceMs: number;
  /** Duration of interactive traffic alone, before and after. */
  readonly quietMs: number;
}

/** Interactive latencies of one phase, ms. */
export interface Phase {
  readonly tookMs: number[];
  /** Of these, time spent in the gateway. */
  readonly ownMs: number[];
}

/** Interactive latencies of the same moments, with and without batch requests in the sidecar. */
export interface Paired {
  readonly batch: Phase;
  readonly none: Phase;
}

/** What the load measured. */
export interface BatchResult {
  /** Before and after the batch requests. */
  readonly quiet: Phase;
  /** While they arrive, and while the full queue is drained. */
  readonly filling: Paired;
  readonly draining: Paired;
  readonly interactiveFailed: number;
  readonly told: readonly Outcome[];
  /** Most requests waiting at once, according to the metric. */
  readonly waitingMax: number;
  /** Tenants of the calls that reached the provider, in order. */
  readonly order: readonly number[];
  /** Most batch calls in flight at the provider at once. */
  readonly batchAtOnceMax: number;
  readonly records: readonly LoggedRecord[];
  /** From the first batch request to the last answer. */
  readonly tookMs: number;
  readonly residentBytesMax: number;
}

const interactiveEveryMs = 10;
const keys = ['sk-tenant-0', 'sk-tenant-1', 'sk-interactive'];

/** The value below which `share` (0–1) of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** For each tenth of the drain: the first tenant's requests, relative to an even split (1). */
export function sharesByTenth(order: readonly number[]): number[] {
  return Array.from({ length: 10 }, (_, tenth) => {
    const part = order.slice(
      Math.floor((order.length * tenth) / 10),
      Math.floor((order.length * (tenth + 1)) / 10),
    );
    return (2 * part.filter((tenant) => tenant === 0).length) / part.length;
  });
}

/** Runs the load; takes as long as the provider needs to answer it all. */
export async function runBatchLoad(load: BatchLoad): Promise<BatchResult> {
  const order: number[] = [];
  let atOnce = 0;
  let batchAtOnceMax = 0;
  const answer = answers(openaiWire, 'Done.');
  const script: Script = (call) => {
    const tenant = /"user":"tenant-(\d)"/.exec(call.body.toString('latin1'))?.[1];
    if (tenant !== undefined) {
      order.push(Number(tenant));
      atOnce += 1;
      batchAtOnceMax = Math.max(batchAtOnceMax, atOnce);
    }
    setTimeout(() => {
      if (tenant !== undefined) atOnce -= 1;
      answer(call);
    }, load.serviceMs);
  };
  const upstream = await startUpstream(script);
  const configs = [load.concurrencyMax, 1].map((most) => configText(load, upstream.baseUrl, most));
  const [full = '', slow = ''] = configs;
  const sidecar = await spawnSidecar(slow);
  const twin = await spawnSidecar(full);
  const interactive = startInteractive(sidecar.url, twin.url);
  try {
    // The duration of an answer is known from the first one on, so deadlines can be judged from the start.
    await ask(sidecar.url, openaiWire.path, {
      headers: { authorization: `Bearer ${keys[0]}`, 'x-sidegate-priority': 'batch' },
      body: openaiWire.request('The first of all.'),
    });
    await interactive.spend(load.quietMs);
    const before = interactive.next();
    const beganMs = performance.now();
    let waitingMax = 0;
    let residentBytesMax = 0;
    const look = async (): Promise<void> => {
      const text = await (await fetch(`${sidecar.adminUrl}/metrics`)).text();
      waitingMax = Math.max(waitingMax, metricIn(text, 'sidegate_batch_waiting') ?? 0);
      residentBytesMax = Math.max(residentBytesMax, metricIn(text, 'sidegate_resident_memory_bytes') ?? 0);
    };
    const orders = {
      ...load,
      url: sidecar.url,
      path: openaiWire.path,
      keys: keys.slice(0, 2),
      model: testModel,
    };
    let filling = interactive.next();
    const told = await runClients(orders, async () => {
      filling = interactive.next();
      await look();
      // The queue is full: from now on it drains at full speed.
      await writeFile(sidecar.configPath, full);
      sidecar.child.kill('SIGHUP');
    });
    await look();
    const tookMs = performance.now() - beganMs;
    const draining = interactive.next();
    await interactive.spend(load.quietMs);
    const after = interactive.next();
    const interactiveFailed = await interactive.stop();
    await sidecar.stop();
    const phase = (parts: readonly (Phase | undefined)[]): Phase => ({
      tookMs: parts.flatMap((part) => part?.tookMs ?? []),
      ownMs: parts.flatMap((part) => part?.ownMs ?? []),
    });
    return {
      quiet: phase([before[0], after[0]]),
      filling: { batch: phase([filling[0]]), none: phase([filling[1]]) },
      draining: { batch: phase([draining[0]]), none: phase([draining[1]]) },
      interactiveFailed,
      told,
      waitingMax,
      order,
      batchAtOnceMax,
      records: recordsIn(sidecar.output()),
      tookMs,
      residentBytesMax,
    };
  } finally {
    await interactive.stop();
    await sidecar.stop();
    await twin.stop();
    await upstream.close();
  }
}

function configText(load: BatchLoad, baseUrl: string, concurrencyMax: number): string {
  const tenants = ['batch-a', 'batch-b', 'shop'];
  return JSON.stringify({
    listen: { port: 0, drainMs: 0, connectionsMax: load.patient + load.urgent + 1000 },
    admin: { port: 0 },
    authenticate: {
      keys: keys.map((key, index) => ({
        id: `key-${index}`,
        sha256: createHash('sha256').update(key).digest('hex'),
        tenant: tenants[index],
      })),
    },
    cache: { enabled: false },
    batch: { queueMax: load.patient + load.urgent, concurrencyMax },
    providers: { own: { dialect: 'openai', baseUrl } },
    routes: [{ model: testModel, targets: [{ provider: 'own' }] }],
  });
}

/** Sends one request every 10 ms, to each sidecar in turn, on persistent connections. */
function startInteractive(...urls: readonly string[]) {
  const agent = new Agent({ keepAlive: true });
  let phases = urls.map((): Phase => ({ tookMs: [], ownMs: [] }));
  let failed = 0;
  let count = 0;
  const underWay = new Set<Promise<void>>();
  const body = JSON.stringify({ model: testModel, messages: [{ role: 'user', content: 'Now, please.' }] });
  const once = (url: string, into: Phase): Promise<void> => {
    const beganMs = performance.now();
    return new Promise((resolve) => {
      const req = request(new URL(openaiWire.path, url), {
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          authorization: `Bearer ${keys[2]}`,
        },
      });
      req.on('error', () => {
        failed += 1;
        resolve();
      });
      req.on('response', (res) => {
        res.resume();
        res.on('end', () => {
          if (res.statusCode !== 200) failed += 1;
          into.tookMs.push(performance.now() - beganMs);
          into.ownMs.push(Number(/sidegate;dur=([\d.]+)/.exec(String(res.headers['server-timing']))?.[1]));
          resolve();
        });
      });
      req.end(body);
    });
  };
  const timer = setInterval(() => {
    const turn = count++ % urls.length;
    const [url, phase] = [urls[turn], phases[turn]];
    if (url === undefined || phase === undefined) return;
    const asked = once(url, phase).finally(() => underWay.delete(asked));
    underWay.add(asked);
  }, interactiveEveryMs);
  return {
    spend: (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms)),
    /** Ends a phase; returns its latencies for each sidecar. */
    next(): Phase[] {
      const ended = phases;
      phases = urls.map(() => ({ tookMs: [], ownMs: [] }));
      return ended;
    },
    async stop(): Promise<number> {
      clearInterval(timer);
      await Promise.all(underWay);
      agent.destroy();
      return failed;
    },
  };
}

/** @param onFilled called once all requests without deadline have been sent */
function runClients(orders: Orders, onFilled: () => Promise<void>): Promise<readonly Outcome[]> {
  const program = fileURLToPath(new URL('batch-clients.ts', import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(orders)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    if (!text.includes('filled') && chunk.includes('filled')) void onFilled();
    text += chunk;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      const last = text.trim().split('\n').at(-1) ?? '';
      if (last.startsWith('{"told"')) resolve(JSON.parse(last).told);
      else reject(new Error(`the batch clients ended early: ${last.slice(0, 200)}`));
    });
  });
}

/** Interactive p95 with batch requests, relative to the same moments through a sidecar without any. */
export const p95Ratio = ({ batch, none }: Paired): number =>
  quantile(batch.tookMs, 0.95) / quantile(none.tookMs, 0.95);

/** The result as lines of text. */
export function reportOf(result: BatchResult): string[] {
  const { quiet, filling, draining, told, order } = result;
  const ms = (value: number): string => `${value.toFixed(2)} ms`;
  const row = (name: string, { tookMs, ownMs }: Phase): string =>
    `${name}: ${tookMs.length} interactive requests, p50 ${ms(quantile(tookMs, 0.5))}, ` +
    `p95 ${ms(quantile(tookMs, 0.95))}; in the gateway p50 ${ms(quantile(ownMs, 0.5))}, p95 ${ms(quantile(ownMs, 0.95))}`;
  const urgent = told.filter(({ deadlineMs }) => deadlineMs > 0);
  const refused = urgent.filter(({ status }) => status === 503);
  const kept = urgent.filter(({ status, tookMs, deadlineMs }) => status === 200 && tookMs <= deadlineMs);
  const seen = result.records.filter(({ error }) => error === 'batch_deadline');
  return [
    row('before and after                  ', quiet),
    row('while they come                   ', filling.batch),
    row('  the same moments, without batch  ', filling.none),
    row('while the queue is drained         ', draining.batch),
    row('  the same moments, without batch  ', draining.none),
    `interactive p95 to that without batch in the same moments: while they come ${p95Ratio(filling).toFixed(3)}, ` +
      `while the queue is drained ${p95Ratio(draining).toFixed(3)}`,
    `batch: ${told.length} requests, at most ${result.waitingMax} waiting and ${result.batchAtOnceMax} at the ` +
      `provider at once, all answered in ${(result.tookMs / 1000).toFixed(1)} s, at most ` +
      `${(result.residentBytesMax / 1024 ** 2).toFixed(0)} MiB resident`,
    `first tenant's share by tenth (1 is even): ${sharesByTenth(order)
      .map((share) => share.toFixed(3))
      .join(' ')}`,
    `deadlines of their own: ${urgent.length}; kept ${kept.length}, refused ${refused.length}, others ` +
      `${urgent.length - kept.length - refused.length}; refused after at most ` +
      `${ms(Math.max(0, ...seen.map(({ durationMs }) => durationMs)))} in the gateway`,
  ];
}
