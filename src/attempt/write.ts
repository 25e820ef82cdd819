/** Translates a request for a provider of another dialect: here, or as the work of another thread. */
import type { Work, Worked } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { type WrittenVectors, writeEmbeddings } from '../dialects/embeddings.ts';
import { dialects } from '../dialects/index.ts';
import { readRequest, type Written, writeRequest } from '../dialects/translate.ts';
import type { Destination } from '../dialects/wire.ts';
import type { DialectName } from '../exchange/dialects.ts';

/** A translation, without the body. */
export interface ToTranslate {
  readonly client: DialectName;
  readonly provider: DialectName;
  readonly to: Destination;
  /** What only chat has; null: it is a request for embeddings. */
  readonly chat: {
    readonly stream: boolean;
    /** Essential fields that the provider's dialect can't express are left out, instead of refused. */
    readonly drops: boolean;
  } | null;
}

type Any = Written | WrittenVectors;

/** What was written, without the body. */
export type Translation<W extends Any = Any> =
  | Omit<Extract<W, { kind: 'written' }>, 'body'>
  | Extract<W, { kind: 'cannot' }>;

/** Reads a request and writes it. */
export const work: Work<ToTranslate, Translation> = (body, order) => {
  const written = order.chat === null ? vectorsOf(body, order) : chatOf(body, order, order.chat);
  if (written instanceof Refusal) return written;
  if (written.kind === 'cannot') return { value: written, body: null };
  const { body: made, ...value } = written;
  return { value, body: made };
};

function chatOf(
  body: Buffer,
  { client, provider, to }: ToTranslate,
  { stream, drops }: NonNullable<ToTranslate['chat']>,
): Written | Refusal {
  const { chatClient } = dialects[client];
  const { chatProvider } = dialects[provider];
  if (chatClient === null || chatProvider === null) throw nothingBetween(client, provider);
  const read = readRequest(chatClient, { body, stream }, drops);
  return read instanceof Refusal ? read : writeRequest(read, chatProvider, to);
}

function vectorsOf(body: Buffer, { client, provider, to }: ToTranslate): WrittenVectors | Refusal {
  const { embedClient } = dialects[client];
  const { embedProvider } = dialects[provider];
  if (embedClient === undefined || embedProvider === undefined) throw nothingBetween(client, provider);
  return writeEmbeddings(body, embedClient, embedProvider, to);
}

/** A request came this far that nothing translates. */
export const nothingBetween = (client: DialectName, provider: DialectName): Error =>
  new Error(`no translation from ${client} to ${provider}`);

/** The written request, as it came from a thread. */
export function writtenBy<W extends Any>(done: Worked<Translation<W>> | Refusal): W | Refusal {
  if (done instanceof Refusal) return done;
  const { value, body } = done;
  if (value.kind === 'cannot') return value as W;
  if (body === null) throw new Error('a translation without a body');
  return { ...value, body } as W;
}
