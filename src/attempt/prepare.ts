/** What is sent to a target: the request as it came, or translated into the target's dialect. */
import { presentedKey } from '../authenticate/authenticate.ts';
import { Refusal } from '../errors.ts';
import type { Exchange, ModelRequest } from '../exchange.ts';
import { type Inspection, inspect } from '../native.ts';
import { withoutForeign } from '../providers/foreign.ts';
import { dialects } from '../providers/index.ts';
import type { DialectName } from '../providers/names.ts';
import type { Destination, UpstreamRequest } from '../providers/provider.ts';
import { type ReadRequest, readRequest, translate } from '../providers/translate.ts';
import type { Target } from '../route/plan.ts';

/** A request made ready for one target. */
export interface Prepared {
  readonly sent: UpstreamRequest;
  /** Advisory fields and headers that the target's dialect has no words for. */
  readonly dropped: readonly string[];
}

/** Gives what is sent to a target, its credential aside, or a refusal that names the field it can't be told. */
export type Prepare = (target: Target) => Prepared | Refusal;

const none: readonly string[] = [];

/**
 * @param chosen the client chose the one target itself, so that nothing may be left out
 * @param wallClock Unix ms, for replies that carry a time
 */
export function createPrepare(
  exchange: Exchange,
  request: ModelRequest,
  chosen: boolean,
  wallClock: () => number,
): Prepare {
  const client = dialects[exchange.endpoint.dialect];
  // Read at the first target that needs it, and once for all of them.
  let read: ReadRequest | Refusal | null = null;
  let own: ModelRequest | null = null;
  // Made once for a target, however often that is called in a row.
  let last: { readonly target: Target; readonly prepared: Prepared | Refusal } | null = null;

  const across = (target: Target, to: Destination): Prepared | Refusal => {
    const { chatClient } = client;
    const { chatProvider, name } = target.provider.dialect;
    if (chatClient === null || chatProvider === null)
      throw new Error(`no way from ${client.name} to ${name}`);
    read ??= readRequest(chatClient, request);
    if (read instanceof Refusal) return read;
    const translated = translate(read, chatClient, chatProvider, exchange, to, {
      model: request.model,
      requestId: exchange.id,
      createdS: Math.floor(wallClock() / 1000),
      wantsUsage: request.wantsUsage,
    });
    if (translated.kind === 'invalid') return translated.refusal;
    if (translated.kind === 'cannot') return unsupported(translated.field, target);
    const { sent, dropped, lost } = translated;
    const [first] = dropped;
    return chosen && first !== undefined
      ? unsupported(first, target)
      : { sent, dropped: lost.length === 0 ? dropped : [...dropped, ...lost] };
  };

  const written = (target: Target): Prepared | Refusal => {
    const to = destinationOf(target, exchange, request);
    const { dialect } = target.provider;
    if (dialect.name !== client.name) return across(target, to);
    own ??= ownRequest(exchange, request, dialect.name);
    return { sent: dialect.encode(exchange.endpoint, own, exchange.headers, to), dropped: none };
  };

  const prepare = (target: Target): Prepared | Refusal => {
    const prepared = written(target);
    const { query } = target.provider;
    if (query === '' || prepared instanceof Refusal) return prepared;
    const { sent } = prepared;
    const path = `${sent.path}${sent.path.includes('?') ? '&' : '?'}${query}`;
    return { ...prepared, sent: { ...sent, path } };
  };

  return (target) => {
    if (last === null || last.target !== target) last = { target, prepared: prepare(target) };
    return last.prepared;
  };
}

/** The request as a provider of the client's own dialect may see it: without reasoning that others signed. */
function ownRequest({ endpoint }: Exchange, request: ModelRequest, name: DialectName): ModelRequest {
  const body = withoutForeign(request.body, name);
  if (body === request.body) return request;
  // Its places have moved.
  const found = inspect(body, endpoint.inspectId, 0, noKey);
  return 'kind' in found ? request : { ...request, ...placesOf(found), body };
}

/** Nobody sees the digest of this second look. */
const noKey = Buffer.alloc(32);

const placesOf = (found: Inspection): Partial<ModelRequest> => ({
  modelStart: found.modelStart,
  modelEnd: found.modelEnd,
  streamOptionsStart: found.streamOptionsStart,
  streamOptionsEnd: found.streamOptionsEnd,
  firstField: found.firstField,
});

function destinationOf(
  { provider, model, facts }: Target,
  exchange: Exchange,
  request: ModelRequest,
): Destination {
  const headers: string[] = [];
  if (provider.clientCredential) {
    const key = presentedKey(exchange.headers);
    if (key !== null) headers.push(...provider.dialect.credential(key, provider.quirks));
  }
  const simulate = exchange.headers['x-simulate'];
  if (provider.simulated && typeof simulate === 'string') headers.push('x-simulate', simulate);
  return {
    basePath: provider.basePath,
    model: model ?? request.model,
    headers,
    quirks: provider.quirks,
    outputMaxTokens: facts.outputMaxTokens,
    reasons: facts.capabilities?.has('reasoning') ?? null,
  };
}

const unsupported = (field: string, { label, provider }: Target): Refusal =>
  new Refusal(
    'unsupported_field',
    `The field "${field}" can't be told to ${label}, which speaks ${provider.dialect.name}.`,
    { param: field },
  );
