/** The way out: counts, restores and keeps a reply, and closes the request when its last byte is known. */
import type { AttemptReply } from './attempt/answer.ts';
import type { Bill } from './count/usage.ts';
import type { Reply, StoredReply } from './exchange.ts';
import { followRecording, mayCache, passStream, streamType } from './flow.ts';
import type { KeptReply, Passage } from './passage.ts';
import type { Seen } from './replay/replay.ts';
import { requestIdHeaders } from './respond.ts';
import { createRestorer } from './scrub/restore.ts';
import { restoreBody, type Vault } from './scrub/scrub.ts';

const jsonType = 'application/json';

/** Answers from the cache or for an idempotency key: no provider is asked, nothing is charged but the request. */
export function deliverStored(
  stored: StoredReply,
  from: 'hit' | 'replay',
  vault: Vault | null,
  passage: Passage,
): Reply {
  const { exchange } = passage;
  const replayed = from === 'replay';
  const headers = replyHeaders(
    passage,
    stored.contentType,
    stored.target,
    replayed ? 'sidegate; detail=replay' : 'sidegate; hit',
  );
  if (replayed) headers.push('idempotent-replayed', 'true');
  if (!stored.stream) headers.push('x-sidegate-cost-usd', dollars(0));
  const keep = replayed ? null : stored;
  passage.close({
    status: stored.status,
    target: stored.target,
    cache: replayed ? 'bypass' : 'hit',
    replayed,
    savedNanoUsd: stored.costNanoUsd,
    keep,
  });
  if (vault === null || !stored.stream) {
    const body = vault === null ? stored.body : restoreBody(stored.body, vault);
    return { kind: 'whole', status: stored.status, headers, body };
  }
  const restorer = createRestorer(exchange.endpoint.dialect, vault);
  const body = Buffer.concat([restorer.push(stored.body), restorer.finish()]);
  return { kind: 'whole', status: stored.status, headers, body };
}

/** Answers with the stream that the first request with the same idempotency key is being given. */
export function deliverRunning(
  { recording, left }: Seen & { readonly kind: 'running' },
  vault: Vault | null,
  passage: Passage,
): Reply {
  const { status, contentType, target } = recording.head;
  const headers = replyHeaders(passage, contentType, target, 'sidegate; detail=replay');
  headers.push('idempotent-replayed', 'true');
  return { kind: 'stream', status, headers, chunks: followRecording(recording, vault, passage, left) };
}

/** Passes a provider's reply on. */
export function deliverAnswer(answer: AttemptReply, vault: Vault | null, passage: Passage): Reply {
  const { exchange, stages } = passage;
  const upstreamMs = stages.clock() - answer.begunMs;
  const type = answer.kind === 'stream' ? streamType : (answer.headers['content-type'] ?? jsonType);
  const headers = replyHeaders(passage, type, answer.target.label, cacheStatus(passage));
  headers.push(
    'x-sidegate-attempts',
    String(answer.trail.calls),
    'server-timing',
    serverTiming(passage, upstreamMs),
  );
  addProviderHeaders(answer, headers);
  if (answer.kind === 'stream') {
    const chunks = passStream(answer, vault, passage, upstreamMs);
    return { kind: 'stream', status: answer.status, headers, chunks };
  }
  const { status, body, facts, target } = answer;
  if (facts === null) {
    headers.push('x-should-retry', 'false');
    if (status === 429) addRetryAfter(answer, stages.clock(), headers);
    passage.close({ status, target: target.label, upstreamMs });
  } else {
    const keep: KeptReply = { status, contentType: type, body, stream: false, target: target.label };
    const cacheable = mayCache(facts, exchange.endpoint.name === 'embeddings');
    addCost(passage.close({ status, target: target.label, upstreamMs, keep, cacheable }), headers);
  }
  return { kind: 'whole', status, headers, body: vault === null ? body : restoreBody(body, vault) };
}

function replyHeaders(passage: Passage, contentType: string, target: string, cache: string): string[] {
  const { endpoint, id } = passage.exchange;
  const headers = ['content-type', contentType, ...requestIdHeaders(endpoint.dialect, id)];
  headers.push('x-sidegate-target', headerText(target), 'cache-status', cache);
  if (passage.plan?.tier) headers.push('x-sidegate-tier', passage.plan.tier);
  if (passage.permit !== null) headers.push(...passage.permit.headers);
  const { observed } = passage;
  if (observed !== '') headers.push('x-sidegate-observed', observed);
  return headers;
}

/** A label as a header can carry it: models may be named in any script. */
const headerText = (label: string): string =>
  /^[\x20-\x7e]*$/.test(label) ? label : encodeURI(label.toWellFormed());

const cacheStatus = (passage: Passage): string =>
  passage.cacheUse === 'miss' ? 'sidegate; fwd=uri-miss' : 'sidegate; fwd=bypass';

/** Server-Timing: what the gateway took, and what the provider took until its reply began, in ms. */
function serverTiming(passage: Passage, upstreamMs: number): string {
  const totalMs = passage.stages.clock() - passage.exchange.startedMs;
  const { queuedMs } = passage;
  const ownMs = Math.max(0, totalMs - upstreamMs - queuedMs).toFixed(3);
  const queue = queuedMs > 0 ? `queue;dur=${queuedMs.toFixed(3)}, ` : '';
  return `sidegate;dur=${ownMs}, ${queue}upstream;dur=${upstreamMs.toFixed(3)}`;
}

/** Those of the provider's headers that say something to the client; its own request id takes the place of ours. */
function addProviderHeaders({ target, headers: given }: AttemptReply, headers: string[]): void {
  for (const name in given) {
    if (!target.provider.dialect.passesBack(name)) continue;
    const value = given[name];
    if (typeof value !== 'string') continue;
    const ours = headers.indexOf(name);
    if (ours < 0) headers.push(name, value);
    else headers[ours + 1] = value;
  }
}

/** A provider may send one of the two, or none; clients get both. */
function addRetryAfter({ target, headers: given }: AttemptReply, nowMs: number, headers: string[]): void {
  const waitMs = Math.max(1, Math.ceil(target.health.restsUntilMs - nowMs));
  if (given['retry-after'] === undefined) headers.push('retry-after', String(Math.ceil(waitMs / 1000)));
  if (given['retry-after-ms'] === undefined) headers.push('retry-after-ms', String(waitMs));
}

/** Without an exponent, to the nano-dollar. */
const dollars = (nanoUsd: number): string => (nanoUsd / 1e9).toFixed(9);

/** What a reply cost, where that is certain: stated by the provider, and priced. */
function addCost({ usage, costNanoUsd, priced }: Bill, headers: string[]): void {
  if (priced && usage.known) headers.push('x-sidegate-cost-usd', dollars(costNanoUsd));
}
