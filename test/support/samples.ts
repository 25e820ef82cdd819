/** Sample values of one request, for tests of a single stage: each test names only the fields it is about. */

import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { anonymousIdentity } from '../../src/authenticate/keyring.ts';
import { Cancellation } from '../../src/base/cancellation.ts';
import { silent } from '../../src/base/telemetry.ts';
import type { CacheDeps } from '../../src/cache/cache.ts';
import { type ModelFacts, unknownFacts } from '../../src/catalog/facts.ts';
import { type Endpoint, endpoints } from '../../src/exchange/endpoint.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import type { Identity } from '../../src/exchange/identity.ts';
import type { StoredReply } from '../../src/exchange/reply.ts';
import type { ModelRequest } from '../../src/exchange/request.ts';
import type { Asking } from '../../src/limit/asking.ts';
import { noFindings } from '../../src/native/pii.ts';
import type { Plan, Target } from '../../src/upstream/target.ts';

/** What a cache works with that is by itself. */
export const cacheAlone: CacheDeps = {
  telemetry: silent,
  random: () => 0.5,
  clock: () => 0,
  peers: { tell: () => {} },
  provider: () => undefined,
};

/** The endpoint with this name. */
export function sampleEndpoint(name: Exclude<Endpoint['name'], 'models'>): Endpoint {
  const found = endpoints.find((endpoint) => endpoint.name === name);
  if (found === undefined) throw new Error(`no endpoint ${name}`);
  return found;
}

/** The fields of a sample exchange that a test may set. */
export interface ExchangeSample {
  readonly endpoint?: Exclude<Endpoint['name'], 'models'>;
  readonly headers?: IncomingHttpHeaders;
  readonly body?: string;
}

/** A request as received. */
export function sampleExchange({
  endpoint = 'chat',
  headers = {},
  body = '{}',
}: ExchangeSample = {}): Exchange {
  return {
    id: 'req_sample',
    endpoint: sampleEndpoint(endpoint),
    path: `/v1${sampleEndpoint(endpoint).upstreamPath}`,
    query: '',
    headers,
    body: Buffer.from(body),
    cancellation: new Cancellation(),
    startedMs: 0,
    holdReply: () => true,
    detach: () => {},
    park: () => {},
  };
}

/** A sample caller. */
export function sampleIdentity(part: Partial<Identity> = {}): Identity {
  return { ...anonymousIdentity('acme'), ...part };
}

/** The facts of a body; `text` is its prompt, which determines its digest. */
export function sampleRequest({
  text = 'hello',
  ...part
}: Partial<ModelRequest> & { text?: string } = {}): ModelRequest {
  const body = Buffer.from(
    JSON.stringify({ model: part.model ?? 'm', messages: [{ role: 'user', content: text }] }),
  );
  return {
    body,
    model: 'm',
    stream: false,
    wantsUsage: false,
    maxTokens: null,
    flags: 0,
    tier: null,
    choices: 1,
    textBytes: Buffer.byteLength(text),
    textCharacters: [...text].length,
    serverTools: false,
    findings: noFindings,
    masked: null,
    digest: createHash('sha256').update(body).digest('hex'),
    keyedDigest: '',
    modelStart: 10,
    modelEnd: 11,
    streamOptionsStart: 0,
    streamOptionsEnd: 0,
    firstField: 1,
    questionStart: 0,
    questionEnd: 0,
    images: 0,
    ...part,
  };
}

/** A plan whose targets have these prices and limits; only what a limiter reads is real. */
export function samplePlan(facts: readonly Partial<ModelFacts>[] = [{}], pattern = 'm'): Plan {
  const steps = facts.map((known, group) => {
    const target = { label: `p/${group}`, model: null, facts: { ...unknownFacts, ...known } };
    return { target: target as unknown as Target, on: null, group, depth: 1 };
  });
  return {
    pattern,
    steps,
    fixed: true,
    version: '',
    tier: null,
    priority: 'interactive',
    drops: false,
    defaultMaxTokens: null,
  };
}

/** Arguments of a limiter's decision. */
export function sampleAsking(part: Partial<Asking> = {}): Asking {
  return {
    endpoint: sampleEndpoint('chat'),
    identity: sampleIdentity(),
    request: sampleRequest(),
    plan: samplePlan(),
    priority: 'interactive',
    deadlineMs: Number.POSITIVE_INFINITY,
    ...part,
  };
}

/** A reply in the form the stores keep. */
export function sampleReply(body: string, part: Partial<StoredReply> = {}): StoredReply {
  return {
    status: 200,
    contentType: 'application/json',
    body: Buffer.from(body),
    stream: false,
    target: 'p/m',
    costNanoUsd: 0,
    ...part,
  };
}
