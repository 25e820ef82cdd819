/** Prepares what is sent to a target: the request as received, or translated into the target's dialect. */

import type { Aside, Waits, Worked } from '../base/aside.ts';
import { type ErrorCode, Refusal } from '../base/errors.ts';
import { entryOf } from '../base/json.ts';
import { scriptOf } from '../base/place.ts';
import type { Dialect } from '../dialects/dialect.ts';
import type { EmbedClient, EmbedProvider } from '../dialects/embed.ts';
import { translatedEmbeddings, type WrittenVectors, writeEmbeddings } from '../dialects/embeddings.ts';
import { passHeaders } from '../dialects/headers.ts';
import { dialects } from '../dialects/index.ts';
import { encodeObject } from '../dialects/pass-through.ts';
import { encodeSession, sessionQuery } from '../dialects/session.ts';
import type { ChatClient, ChatProvider } from '../dialects/sides.ts';
import {
  ownTurnRulesOf,
  type ReadRequest,
  readRequest,
  type Translated,
  translated,
  type Written,
  writeRequest,
} from '../dialects/translate.ts';
import type { Destination, UpstreamRequest } from '../dialects/wire.ts';
import { isOwnKey, presentedKey } from '../exchange/credential.ts';
import { isOfProvider } from '../exchange/endpoint.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { bodyFlags } from '../native/inspect.ts';
import type { Target } from '../upstream/target.ts';
import type { AttemptDeps } from './deps.ts';
import { type Freed, work as free, type ToFree } from './own.ts';
import { nothingBetween, type ToTranslate, type Translation, writtenBy } from './write.ts';

/** A request prepared for one target. */
export interface Prepared {
  readonly sent: UpstreamRequest;
  /** Advisory fields and headers that the target's dialect has no equivalent for. */
  readonly dropped: readonly string[];
}

const none: readonly string[] = [];

const badModel = 'The field "model" must not name "." or ".." at the provider.';

/** Bodies up to this size are translated at once: that takes 30 ms where each byte takes longest. */
const atOnceMaxBytes = 64 * 1024;
/** Those for a provider of the client's dialect are only searched, which takes 2 ms. */
const ownAtOnceMaxBytes = 128 * 1024;
/** A call and its hedge. */
const preparedMax = 2;

const writeModule = scriptOf('attempt/write').href;
const ownModule = scriptOf('attempt/own').href;

/** A result that may have to be waited for. */
type Later<T> = T | Promise<T>;

/** Prepares a request for each target, except for credentials. A class, since each request makes one. */
export class Preparation {
  readonly #exchange: Exchange;
  readonly #request: ModelRequest;
  readonly #drops: boolean;
  readonly #wallClock: () => number;
  readonly #aside: Aside;
  readonly #waits: Waits;
  readonly #client: Dialect;
  // Parsed once, when the first target needs it.
  #read: ReadRequest | Refusal | null = null;
  readonly #own = new Map<string, OwnRequest>();
  /** Of the last targets, which may be called several times in a row. */
  readonly #prepared = new Map<Target, Prepared | Refusal>();

  /**
   * @param drops essential fields that a target's dialect can't express are left out, instead of refused
   * @param deadlineMs monotonic ms
   * @param deps the clock, Unix ms, is for replies that carry a time; large bodies are worked on aside
   */
  constructor(
    exchange: Exchange,
    request: ModelRequest,
    drops: boolean,
    deadlineMs: number,
    { wallClock, aside }: Pick<AttemptDeps, 'wallClock' | 'aside'>,
  ) {
    this.#exchange = exchange;
    this.#request = request;
    this.#drops = drops;
    this.#wallClock = wallClock;
    this.#aside = aside;
    this.#waits = { cancellation: exchange.cancellation, deadlineMs };
    this.#client = dialects[exchange.endpoint.dialect];
  }

  /** What is sent to a target, or a refusal that names a field its dialect has no equivalent for. */
  for(target: Target): Later<Prepared | Refusal> {
    const known = this.#prepared.get(target);
    if (known !== undefined) return known;
    const written = this.#written(target);
    return written instanceof Promise
      ? written.then((later) => this.#keep(target, later))
      : this.#keep(target, written);
  }

  /** What was prepared for one of the last targets. */
  of(target: Target): Prepared {
    const prepared = this.#prepared.get(target);
    if (prepared === undefined || prepared instanceof Refusal)
      throw new Error(`nothing is prepared for ${target.label}`);
    return prepared;
  }

  #keep(target: Target, written: Prepared | Refusal): Prepared | Refusal {
    const prepared =
      written instanceof Refusal
        ? written
        : { ...written, sent: withQuery(written.sent, target.provider.query) };
    for (const [oldest] of this.#prepared) {
      if (this.#prepared.size < preparedMax) break;
      this.#prepared.delete(oldest);
    }
    this.#prepared.set(target, prepared);
    return prepared;
  }

  #written(target: Target): Later<Prepared | Refusal> {
    if (target.provider.clientCredential && isOwnKey(presentedKey(this.#exchange.headers) ?? ''))
      return new Refusal(
        'wrong_key',
        `${target.label} takes the app's own key, and this is one of Sidegate.`,
      );
    const to = destinationOf(target, this.#exchange, this.#request);
    // A path of dots would leave the provider's base path.
    if (/^\.{1,2}$/.test(to.model)) return new Refusal('invalid_field', badModel, { param: 'model' });
    const { dialect } = target.provider;
    const { endpoint, headers, query } = this.#exchange;
    if (endpoint.kind === 'session') {
      const sent = encodeSession(endpoint, headers, to);
      return { sent: asked(sent, sessionQuery(query), target), dropped: none };
    }
    if (isOfProvider(endpoint)) {
      const sent = encodeObject(endpoint, this.#request, headers, to);
      return { sent: asked(sent, query, target), dropped: none };
    }
    if (dialect.name !== this.#client.name) return this.#across(target, to);
    const encoded = ({ request, dropped }: OwnRequest): Prepared => ({
      sent: asked(dialect.encode(endpoint, request, headers, to), query, target),
      dropped,
    });
    const own = this.#ownRequest(dialect, to);
    if (!(own instanceof Promise)) return encoded(own);
    return own.then((later) => (later instanceof Refusal ? later : encoded(later)));
  }

  /** The request for a provider of the client's dialect: without what only others can read, and what it would refuse. */
  #ownRequest(dialect: Dialect, to: Destination): OwnRequest | Promise<OwnRequest | Refusal> {
    const { endpoint } = this.#exchange;
    const request = this.#request;
    // Only chat has a conversation.
    if (endpoint.auxiliary !== undefined) return { request, dropped: none };
    const isClaude = dialect.name === 'anthropic' || to.served.includes('claude');
    const calls = (request.flags & bodyFlags.tools) !== 0;
    const turns =
      endpoint.kind === 'chat' ? ownTurnRulesOf(dialect.chatProvider ?? {}, to, calls) : undefined;
    const signsCalls = dialect.chatProvider?.signsCalls?.(to) === true;
    const which = `${isClaude} ${signsCalls}`;
    const key = turns === undefined ? which : JSON.stringify([which, turns]);
    const known = this.#own.get(key);
    if (known !== undefined) return known;
    const keep = ({ value: { dropped, offsets }, body }: Worked<Freed>): OwnRequest => {
      const freed = offsets === null || body === null ? request : { ...request, ...offsets, body };
      const own = { request: freed, dropped };
      this.#own.set(key, own);
      return own;
    };
    const order = { dialect: dialect.name, isClaude, signsCalls, turns, inspectedAs: endpoint.inspectedAs };
    if (request.body.length <= ownAtOnceMaxBytes) return keep(free(request.body, order));
    return this.#aside
      .run<ToFree, Freed>(ownModule, request.body, order, this.#waits)
      .then((done) => (done instanceof Refusal ? done : keep(done)));
  }

  #across(target: Target, to: Destination): Later<Prepared | Refusal> {
    const { chatClient, embedClient, name: client } = this.#client;
    const { chatProvider, embedProvider, name: provider } = target.provider.dialect;
    const embeds = this.#exchange.endpoint.kind === 'embedding';
    if (embeds && embedClient !== undefined && embedProvider !== undefined)
      return this.#vectorsAcross(target, to, embedClient, embedProvider);
    if (chatClient === null || chatProvider === null) throw nothingBetween(client, provider);
    return this.#chatAcross(target, to, chatClient, chatProvider);
  }

  #vectorsAcross(
    target: Target,
    to: Destination,
    from: EmbedClient,
    by: EmbedProvider,
  ): Later<Prepared | Refusal> {
    const { body, model } = this.#request;
    const between = { client: this.#client.name, provider: target.provider.dialect.name };
    const finish = (written: WrittenVectors | Refusal): Prepared | Refusal =>
      this.#checked(
        translatedEmbeddings(written, from, by, this.#exchange, to, { ...between, model }),
        target,
      );
    if (body.length > atOnceMaxBytes)
      return this.#writtenAside<WrittenVectors>({ ...between, to, chat: null }).then(finish);
    return finish(writeEmbeddings(body, from, by, to));
  }

  #chatAcross(
    target: Target,
    to: Destination,
    from: ChatClient,
    by: ChatProvider,
  ): Later<Prepared | Refusal> {
    const { body, model, wantsUsage, stream } = this.#request;
    const between = { client: this.#client.name, provider: target.provider.dialect.name };
    const createdS = Math.floor(this.#wallClock() / 1000);
    const context = { model, requestId: this.#exchange.id, createdS, wantsUsage };
    const finish = (written: Written | Refusal): Prepared | Refusal =>
      this.#checked(translated(written, from, by, this.#exchange, to, { ...between, context }), target);
    if (body.length > atOnceMaxBytes) {
      const chat = { stream, drops: this.#drops };
      return this.#writtenAside<Written>({ ...between, to, chat }).then(finish);
    }
    this.#read ??= readRequest(from, this.#request, this.#drops);
    return this.#read instanceof Refusal ? this.#read : finish(writeRequest(this.#read, by, to));
  }

  /** What a thread writes. */
  #writtenAside<W extends Written | WrittenVectors>(order: ToTranslate): Promise<W | Refusal> {
    return this.#aside
      .run<ToTranslate, Translation<W>>(writeModule, this.#request.body, order, this.#waits)
      .then(writtenBy<W>);
  }

  #checked(translated: Translated, target: Target): Prepared | Refusal {
    if (translated.kind === 'invalid') return translated.refusal;
    if (translated.kind === 'cannot') {
      const { unsupportedCodes = {} } = this.#client.chatClient ?? {};
      const { field } = translated;
      return unsupported(entryOf(unsupportedCodes, field) ?? 'unsupported_field', field, target);
    }
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

/** The request with the client's query, but for what the provider's own query says. */
function asked(sent: UpstreamRequest, query: string, { provider }: Target): UpstreamRequest {
  if (query === '') return sent;
  const own = new Set(provider.query.split('&').map(nameOf));
  const free = query.split('&').filter((part) => !own.has(nameOf(part)));
  return withQuery(sent, free.join('&'));
}

const nameOf = (part: string): string => part.split('=', 1)[0] ?? '';

function withQuery(sent: UpstreamRequest, query: string): UpstreamRequest {
  if (query === '') return sent;
  return { ...sent, path: `${sent.path}${sent.path.includes('?') ? '&' : '?'}${query}` };
}

function destinationOf(
  { provider, model, served, facts }: Target,
  exchange: Exchange,
  request: ModelRequest,
): Destination {
  const headers: string[] = [];
  if (provider.clientCredential) {
    const key = presentedKey(exchange.headers);
    if (key !== null) headers.push(...provider.dialect.credential(key, provider.quirks));
    passHeaders(provider.dialect.billingHeaders, exchange.headers, headers);
  }
  const simulate = exchange.headers['x-simulate'];
  if (provider.simulated && typeof simulate === 'string') headers.push('x-simulate', simulate);
  return {
    basePath: provider.basePath,
    model: model ?? request.model,
    served: served ?? model ?? request.model,
    headers,
    quirks: provider.quirks,
    outputMaxTokens: facts.outputMaxTokens,
    reasons: facts.capabilities?.has('reasoning') ?? null,
    refuses: facts.refuses,
    maxTokens: request.limited === true ? request.maxTokens : null,
  };
}

const unsupported = (code: ErrorCode, field: string, { label, provider }: Target): Refusal =>
  new Refusal(
    code,
    `The field "${field}" has no equivalent in the dialect ${provider.dialect.name} of ${label}.`,
    { param: field },
  );
