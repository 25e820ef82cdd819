/** Translates chat requests into a provider's dialect, and the provider's errors into the client's. */
import { Refusal } from '../base/errors.ts';
import { type Json, parseObject } from '../base/json.ts';
import { areTooComplex, partsMax } from '../base/parts.ts';
import { apiOf } from '../exchange/dialects.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { type ChatRequest, chatFields, copyNotes, createNotes, type Notes, noteDropped } from './chat.ts';
import type { ReplyContext } from './chat-reply.ts';
import type { Dialect } from './dialect.ts';
import {
  endsWithTurn,
  withJsonInWords,
  withJsonNamed,
  withoutOwnMedia,
  withoutRefused,
  withoutVainChoice,
  withQuestion,
  withTrimmedEnd,
} from './fit.ts';
import { passHeaders } from './headers.ts';
import { hasMark, type LongTexts, putTexts, takeTexts } from './long-texts.ts';
import { translatedReading } from './read-reply.ts';
import type { AcrossChat } from './reading.ts';
import type { ChatClient, ChatProvider } from './sides.ts';
import { originsOf, withFunctions, withTakenNames } from './tool-kinds.ts';
import { settleTurns, type TurnRules } from './turns.ts';
import type { ChatCall, Destination, UpstreamRequest } from './wire.ts';

/** A request in neutral form, read once for any number of targets. */
export interface ReadRequest {
  readonly request: ChatRequest;
  readonly notes: Notes;
  /** What replies say again of it. */
  readonly echo?: Json | undefined;
  /** Its long texts, where only marks stand in it; undefined: it has none. */
  readonly aside?: {
    readonly texts: LongTexts['texts'];
    /** The same request with its texts inside. */
    whole(): ReadRequest | Refusal;
  };
}

/** A request as a provider reads it, and what was left out of it. */
export interface WrittenRequest {
  readonly kind: 'written';
  /** After the base path. */
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly dropped: readonly string[];
  /** How many more fields were left out. */
  readonly droppedMore: number;
}

/** The field that can't be translated. */
export interface Untranslatable {
  readonly kind: 'cannot';
  readonly field: string;
}

/** A chat as a provider reads it, or why it can't. */
export type Written =
  | (WrittenRequest & { readonly origins: ReplyContext['origins']; readonly echo?: Json | undefined })
  | Untranslatable;

/** The translated request and what was left out of it, or the field that can't be translated. */
export type Translated =
  | {
      readonly kind: 'sent';
      readonly sent: UpstreamRequest;
      readonly dropped: readonly string[];
      /** How many more fields were left out. */
      readonly droppedMore: number;
      /** Headers that were left out. SDKs send them by default, so no request is refused because of them. */
      readonly lost: readonly string[];
    }
  | Untranslatable
  /** The client's own mistake. */
  | { readonly kind: 'invalid'; readonly refusal: Refusal };

/** Whether a provider of one dialect can serve a client's endpoint of another. */
export function canServe(
  provider: Dialect,
  { kind }: Pick<Exchange['endpoint'], 'kind'>,
  client: Dialect,
): boolean {
  if (provider.name === client.name) return true;
  if (kind === 'session') return apiOf(provider.name) === apiOf(client.name);
  if (kind === 'embedding') return client.embedClient !== undefined && provider.embedProvider !== undefined;
  return (
    (kind === 'chat' || kind === 'models') && client.chatClient !== null && provider.chatProvider !== null
  );
}

/** Reads a client's body; refuses an invalid one. @param drops leave out essential fields that no dialect shares */
export function readRequest(
  client: ChatClient,
  asked: Pick<ModelRequest, 'body' | 'stream'>,
  drops: boolean,
): ReadRequest | Refusal {
  const long = takeTexts(asked.body);
  if (long === null) return readWhole(client, asked, drops);
  const { rest, texts } = long;
  const whole = (): ReadRequest | Refusal => readWhole(client, asked, drops);
  const read = readWhole(client, { ...asked, body: rest }, drops);
  if (read instanceof Refusal) return read;
  // What replies repeat is written by others, who know nothing of marks, and ids are made of what calls say.
  const isRead =
    (read.echo !== undefined && hasMark(JSON.stringify(read.echo))) || callsWithMark(read.request);
  return isRead ? whole() : { ...read, aside: { texts, whole } };
}

const callsWithMark = ({ messages }: ChatRequest): boolean =>
  messages.some(({ parts }) => parts.some((part) => part.kind === 'tool_call' && hasMark(part.arguments)));

function readWhole(
  client: ChatClient,
  { body, stream }: Pick<ModelRequest, 'body' | 'stream'>,
  drops: boolean,
): ReadRequest | Refusal {
  const json = parseObject(body.toString('utf8'));
  if (json === null) return new Refusal('invalid_json', 'The body is not a JSON object.');
  const notes = createNotes(drops);
  // Not every dialect's body says whether to stream.
  const request = { ...client.readRequest(json, notes), stream };
  if (request.tools.length > toolsMax) return tooManyTools(request.names.tools);
  // Fewer bytes can't hold too much.
  if (body.length > partsMax && areTooComplex(parsedTexts(request))) return tooComplex;
  return invalidIn(notes) ?? { request, notes, echo: client.echoOf?.(json, body.length) };
}

/** Far more tools than any provider takes. Those whose names differ at the provider are kept until the reply is read. */
const toolsMax = 10_000;

const tooManyTools = (field: string): Refusal =>
  new Refusal('invalid_field', `The field "${field}" has more than ${toolsMax} tools: send fewer.`, {
    param: field,
  });

const tooComplex = new Refusal(
  'body_too_complex',
  `The calls and results of tools have more than ${partsMax} objects, lists and members.`,
);

/** Texts that dialects with arguments and results in JSON parse. */
function* parsedTexts({ messages }: ChatRequest): Generator<string> {
  for (const { parts } of messages)
    for (const part of parts) {
      if (part.kind === 'tool_call') yield part.arguments;
      if (part.kind !== 'tool_result') continue;
      const text = part.content.map((each) => (each.kind === 'text' ? each.text : '')).join('');
      if (/^\s*[{[]/.test(text)) yield text;
    }
}

/** The refusal for the client's mistake, if it made one. */
export function invalidIn({ invalid }: Notes): Refusal | null {
  if (invalid === null) return null;
  const { field, message } = invalid;
  return new Refusal('invalid_field', `The field "${field}" ${message}.`, { param: field });
}

/** A translated request, and its tools that the client knows otherwise. */
export interface WrittenCall extends ChatCall {
  readonly origins: ReplyContext['origins'];
}

/** What a destination demands of turns; undefined: nothing. */
function turnRulesOf({ turns }: Pick<ChatProvider, 'turns'>, { quirks }: Destination): TurnRules | undefined {
  if (turns === undefined || quirks.turns === undefined) return quirks.turns ?? turns;
  return { ...turns, ...quirks.turns };
}

/**
 * The same of a body of its own dialect, in which ids of calls may be another provider's. @param calls it has tools: only
 * then are there any, and only then is a body looked at because of them
 */
export function ownTurnRulesOf(
  provider: Pick<ChatProvider, 'turns' | 'plainIds'>,
  to: Destination,
  calls: boolean,
): TurnRules | undefined {
  const rules = turnRulesOf(provider, to);
  return calls && provider.plainIds?.(to) === true ? { ...rules, plainIds: true } : rules;
}

/** Writes a request in the provider's dialect, fitted to the destination; adds what it can't express to the notes. */
export function writeCall(
  asked: ChatRequest,
  provider: ChatProvider,
  to: Destination,
  notes: Notes,
): WrittenCall {
  const request = fitted(asked, provider, to, notes);
  const call = provider.writeRequest(request, to, notes);
  if (provider.openai !== true) for (const { at } of request.openai ?? []) noteDropped(notes, at);
  for (const name of settleTurns(call.body, turnRulesOf(provider, to)).dropped) {
    const field = chatFields.find((one) => provider.names?.[one] === name);
    noteDropped(notes, field === undefined ? name : request.names[field]);
  }
  return { ...call, origins: originsOf(request) };
}

/** The request as the destination takes it. */
function fitted(request: ChatRequest, provider: ChatProvider, to: Destination, notes: Notes): ChatRequest {
  const limited = to.maxTokens == null ? request : { ...request, maxTokens: to.maxTokens };
  const told = provider.takesOwnMedia === true ? limited : withoutOwnMedia(limited, notes);
  const said = provider.systemApart === true ? withQuestion(told) : told;
  const worded = provider.jsonInWords === true ? withJsonInWords(said, notes) : said;
  const asked = provider.jsonNamed === true ? withJsonNamed(worded) : worded;
  const chosen = withoutVainChoice(withoutRefused(asked, to, notes), notes);
  const ended = provider.trimsEnd === true ? withTrimmedEnd(chosen) : chosen;
  const named = withTakenNames(ended, provider.toolNames);
  return provider.takesCustom?.(to) === true ? named : withFunctions(named, notes);
}

/** Writes a request in the provider's dialect; refuses one that it shows to be invalid. */
export function writeRequest(read: ReadRequest, provider: ChatProvider, to: Destination): Written | Refusal {
  const { request, notes: before, echo, aside } = read;
  const readsTexts =
    (provider.parsesResults === true && hasResults(request)) ||
    (provider.trimsEnd === true && endsWithTurn(request)) ||
    (provider.jsonNamed === true && request.output?.kind === 'json');
  if (aside !== undefined && readsTexts) return writeWhole(aside, provider, to);
  if (before.unsupported !== null) return { kind: 'cannot', field: before.unsupported };
  const notes = copyNotes(before);
  const { path, body, headers, origins } = writeCall(request, provider, to, notes);
  const refusal = invalidIn(notes);
  if (refusal !== null) return refusal;
  if (notes.unsupported !== null) return { kind: 'cannot', field: notes.unsupported };
  const { dropped, droppedMore } = notes;
  const json = JSON.stringify(body);
  const put = aside === undefined ? null : putTexts(json, aside.texts);
  if (put === null && aside !== undefined) return writeWhole(aside, provider, to);
  return {
    kind: 'written',
    path,
    headers,
    body: put ?? Buffer.from(json),
    dropped,
    droppedMore,
    origins,
    echo,
  };
}

function writeWhole(
  aside: NonNullable<ReadRequest['aside']>,
  provider: ChatProvider,
  to: Destination,
): Written | Refusal {
  const read = aside.whole();
  return read instanceof Refusal ? read : writeRequest(read, provider, to);
}

const hasResults = ({ messages }: ChatRequest): boolean =>
  messages.some(({ parts }) => parts.some(({ kind }) => kind === 'tool_result'));

/**
 * What is sent of a written request, and how its reply is read.
 * @param across how its reply is translated, but for the tools that the request names
 */
export function translated(
  written: Written | Refusal,
  client: ChatClient,
  provider: ChatProvider,
  exchange: Exchange,
  to: Destination,
  across: AcrossChat,
): Translated {
  if (written instanceof Refusal) return { kind: 'invalid', refusal: written };
  if (written.kind === 'cannot') return written;
  const { path, headers, body, dropped, droppedMore, origins, echo } = written;
  const sent = [...to.headers, ...headers];
  passHeaders(['traceparent', 'tracestate'], exchange.headers, sent);
  const context = { ...across.context, origins, echo };
  const reading = { ...translatedReading(provider, client, context), apart: { ...across, context } };
  return {
    kind: 'sent',
    sent: { path: to.basePath + path, headers: sent, body, reading },
    dropped,
    droppedMore,
    lost: lostHeaders(client, exchange),
  };
}

/** The request's headers that only the client's dialect has, which are left out. */
export const lostHeaders = (
  { ownHeaders = [] }: Pick<ChatClient, 'ownHeaders'>,
  { headers }: Exchange,
): string[] => ownHeaders.filter((name) => headers[name] !== undefined);

/** A provider's error body in the client's dialect; the status stays the same. */
export function translateError(
  status: number,
  body: Buffer,
  provider: ChatProvider,
  client: ChatClient,
  requestId: string,
): Buffer {
  return Buffer.from(JSON.stringify(client.writeError(provider.readError(status, body), requestId)));
}
