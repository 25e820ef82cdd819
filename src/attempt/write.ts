/** Translates a request for a provider of another dialect: here, or as the work of another thread. */
import type { Work, Worked } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { dialects } from '../dialects/index.ts';
import { readRequest, type Written, writeRequest } from '../dialects/translate.ts';
import type { Destination } from '../dialects/wire.ts';
import type { DialectName } from '../exchange/dialects.ts';

/** A translation, without the body. */
export interface ToTranslate {
  readonly client: DialectName;
  readonly provider: DialectName;
  readonly stream: boolean;
  /** Essential fields that the provider's dialect can't express are left out, instead of refused. */
  readonly drops: boolean;
  readonly to: Destination;
}

/** `Written`, without the body. */
export type Translation =
  | Omit<Extract<Written, { kind: 'written' }>, 'body'>
  | Extract<Written, { kind: 'cannot' }>;

/** Reads a request and writes it. */
export const work: Work<ToTranslate, Translation> = (body, { client, provider, stream, drops, to }) => {
  const { chatClient } = dialects[client];
  const { chatProvider } = dialects[provider];
  if (chatClient === null || chatProvider === null)
    throw new Error(`no translation from ${client} to ${provider}`);
  const read = readRequest(chatClient, { body, stream }, drops);
  if (read instanceof Refusal) return read;
  const written = writeRequest(read, chatProvider, to);
  if (written instanceof Refusal) return written;
  if (written.kind === 'cannot') return { value: written, body: null };
  const { body: made, ...value } = written;
  return { value, body: made };
};

/** The written request, as it came from a thread. */
export function writtenBy(done: Worked<Translation> | Refusal): Written | Refusal {
  if (done instanceof Refusal) return done;
  const { value, body } = done;
  if (value.kind === 'cannot') return value;
  if (body === null) throw new Error('a translation without a body');
  return { ...value, body };
}
