/** Prepares what is sent to a target: the request as received, or translated into the target's dialect. */

import { Refusal } from '../base/errors.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { translateEmbeddings } from '../dialects/embeddings.ts';
import { withoutForeign } from '../dialects/foreign.ts';
import { dialects } from '../dialects/index.ts';
import { type ReadRequest, readRequest, type Translated, translate } from '../dialects/translate.ts';
import type { Destination, UpstreamRequest } from '../dialects/wire.ts';
import { isOwnKey, presentedKey } from '../exchange/credential.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { type Inspection, inspect } from '../native/inspect.ts';
import { findNothing } from '../native/pii.ts';
import type { Target } from '../upstream/target.ts';

/** A request prepared for one target. */
export interface Prepared {
  readonly sent: UpstreamRequest;
  /** Advisory fields and headers that the target's dialect has no equivalent for. */
  readonly dropped: readonly string[];
}

const none: readonly string[] = [];

const badModel = 'The field "model" must not name "." or ".." at the provider.';

/** Prepares a request for each target, except for credentials. A class, since each request makes one. */
export class Preparation {
  readonly #exchange: Exchange;
  readonly #request: ModelRequest;
  readonly #drops: boolean;
  readonly #wallClock: () => number;
  readonly #client: Dialect;
  // Parsed once, when the first target needs it.
  #read: ReadRequest | Refusal | null = null;
  readonly #own = new Map<boolean, OwnRequest>();
  // The last target's, which may be called several times in a row.
  #target: Target | null = null;
  #prepared: Prepared | Refusal | null = null;

  /**
   * @param drops essential fields that a target's dialect can't express are left out, instead of refused
   * @param wallClock Unix ms, for replies that carry a time
   */
  constructor(exchange: Exchange, request: ModelRequest, drops: boolean, wallClock: () => number) {
    this.#exchange = exchange;
    this.#request = request;
    this.#drops = drops;
    this.#wallClock = wallClock;
    this.#client = dialects[exchange.endpoint.dialect];
  }

  /** What is sent to a target, or a refusal that names a field its dialect has no equivalent for. */
  for(target: Target): Prepared | Refusal {
    if (this.#target === target && this.#prepared !== null) return this.#prepared;
    const prepared = this.#withQuery(target, this.#written(target));
    this.#target = target;
    this.#prepared = prepared;
    return prepared;
  }

  #written(target: Target): Prepared | Refusal {
    if (target.provider.clientCredential && isOwnKey(presentedKey(this.#exchange.headers) ?? ''))
      return new Refusal(
        'wrong_key',
        `${target.label} takes the app's own key, and this is one of Sidegate.`,
      );
    const to = destinationOf(target, this.#exchange, this.#request);
    // A path of dots would leave the provider's base path.
    if (/^\.{1,2}$/.test(to.model)) return new Refusal('invalid_field', badModel, { param: 'model' });
    const { dialect } = target.provider;
    if (dialect.name !== this.#client.name) return this.#across(target, to);
    const { endpoint, headers } = this.#exchange;
    const isClaude = dialect.name === 'anthropic' || to.model.includes('claude');
    let own = this.#own.get(isClaude);
    if (own === undefined) {
      own = ownRequest(this.#exchange, this.#request, dialect.name, isClaude);
      this.#own.set(isClaude, own);
    }
    return { sent: dialect.encode(endpoint, own.request, headers, to), dropped: own.dropped };
  }

  #withQuery({ provider: { query } }: Target, prepared: Prepared | Refusal): Prepared | Refusal {
    if (query === '' || prepared instanceof Refusal) return prepared;
    const { sent } = prepared;
    const path = `${sent.path}${sent.path.includes('?') ? '&' : '?'}${query}`;
    return { ...prepared, sent: { ...sent, path } };
  }

  #across(target: Target, to: Destination): Prepared | Refusal {
    const exchange = this.#exchange;
    const request = this.#request;
    const { chatClient, embedClient, name: clientName } = this.#client;
    const { chatProvider, embedProvider, name } = target.provider.dialect;
    if (exchange.endpoint.kind === 'embedding' && embedClient !== undefined && embedProvider !== undefined)
      return this.#checked(translateEmbeddings(request, embedClient, embedProvider, exchange, to), target);
    if (chatClient === null || chatProvider === null)
      throw new Error(`no translation from ${clientName} to ${name}`);
    this.#read ??= readRequest(chatClient, request, this.#drops);
    if (this.#read instanceof Refusal) return this.#read;
    const translated = translate(this.#read, chatClient, chatProvider, exchange, to, {
      model: request.model,
      requestId: exchange.id,
      createdS: Math.floor(this.#wallClock() / 1000),
      wantsUsage: request.wantsUsage,
    });
    return this.#checked(translated, target);
  }

  #checked(translated: Translated, target: Target): Prepared | Refusal {
    if (translated.kind === 'invalid') return translated.refusal;
    if (translated.kind === 'cannot') return unsupported(translated.field, target);
    const { sent, dropped, droppedMore, lost } = translated;
    const more = droppedMore === 0 ? none : [`and ${droppedMore} more`];
    return { sent, dropped: [...dropped, ...lost, ...more] };
  }
}

/** A request as passed to a provider of the client's own dialect, and what was left out of it. */
interface OwnRequest {
  readonly request: ModelRequest;
  readonly dropped: readonly string[];
}

/** The request for a provider of the client's dialect: without reasoning blocks that other providers signed. */
function ownRequest(
  { endpoint }: Exchange,
  request: ModelRequest,
  name: DialectName,
  isClaude: boolean,
): OwnRequest {
  // Only chat has a conversation.
  if (endpoint.auxiliary !== undefined) return { request, dropped: none };
  const { body, dropped } = withoutForeign(request.body, name, isClaude);
  if (body === request.body) return { request, dropped };
  // The offsets of its fields have changed.
  const found = inspect(body, endpoint.inspectedAs, findNothing, false, noKey);
  return 'kind' in found
    ? { request, dropped: none }
    : { request: { ...request, ...offsetsOf(found), body }, dropped };
}

/** Key for the digest of this second inspection, which is never used. */
const noKey = Buffer.alloc(32);

const offsetsOf = (found: Inspection): Partial<ModelRequest> => ({
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
    maxTokens: request.limited === true ? request.maxTokens : null,
  };
}

const unsupported = (field: string, { label, provider }: Target): Refusal =>
  new Refusal(
    'unsupported_field',
    `The field "${field}" has no equivalent in the dialect ${provider.dialect.name} of ${label}.`,
    { param: field },
  );
