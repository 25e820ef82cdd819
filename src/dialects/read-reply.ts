/** Reads a provider's reply, and passes it on unchanged or translated into the client's dialect. */

import { isUtf8 } from 'node:buffer';
import { type Json, parseObject } from '../base/json.ts';
import { noFacts, type ReplyFacts } from '../native/reply.ts';
import type { ChatReply, ChatStreamWriter, ReplyContext, ReplyPart } from './chat-reply.ts';
import { cutText } from './cut-text.ts';
import { arrivedOf } from './native-reading.ts';
import { ReadStream } from './read-stream.ts';
import type { Arrived, ReplyReading, WholeReading } from './reading.ts';
import { correctedReason, finishes, isWhole, noArguments, statedOf } from './reply-facts.ts';
import type { ChatClient, ChatProvider } from './sides.ts';
import { ownName } from './tool-kinds.ts';

/** Reads a dialect that the native core doesn't know; bytes pass unchanged. */
export function observedReading(provider: ChatProvider, client: ChatClient): ReplyReading {
  return {
    streamType: provider.streamType,
    wholeToo: 'ended',
    statedIn: provider.statedIn,
    whole(body) {
      const reply = readWhole(body, provider);
      if (reply === null || typeof reply === 'string') return failed(reply);
      return reply.finish === 'failed' ? failed('error') : { body, ...arrivedReply(reply) };
    },
    arrived: (body) => arrivedAcross(body, provider),
    stream: (bounds) => new ReadStream(provider, client, null, bounds),
  };
}

/** Reads the provider's dialect and writes the client's. */
export function translatedReading(
  provider: ChatProvider,
  client: ChatClient,
  context: ReplyContext,
): ReplyReading {
  return {
    streamType: provider.streamType,
    statedIn: provider.statedIn,
    whole(body) {
      const reply = readWhole(body, provider);
      if (reply === null || typeof reply === 'string') return failed(reply);
      if (reply.finish === 'failed') return failed('error');
      const written = client.writeReply(withOwnNames(reply, context), context);
      if (written === null) return null;
      return { body: Buffer.from(JSON.stringify(written)), ...arrivedReply(reply) };
    },
    arrived: (body) => arrivedAcross(body, provider),
    stream: (bounds) =>
      new ReadStream(provider, client, ownNaming(client.createWriter(context), context), bounds),
  };
}

/** A reply whose calls have the names that the client knows. */
const withOwnNames = (reply: ChatReply, { origins }: ReplyContext): ChatReply =>
  origins === undefined
    ? reply
    : {
        ...reply,
        parts: reply.parts.map((part) =>
          part.kind === 'tool_call' ? { ...part, name: ownName(part.name, origins) } : part,
        ),
      };

/** A writer whose calls have the names that the client knows. */
function ownNaming(writer: ChatStreamWriter, { origins }: ReplyContext): ChatStreamWriter {
  if (origins === undefined) return writer;
  return {
    write(event) {
      if (event.kind !== 'begin' || event.block.kind !== 'tool_call') return writer.write(event);
      const { block } = event;
      return writer.write({ ...event, block: { ...block, name: ownName(block.name, origins) } });
    },
  };
}

const failed = (why: 'error' | 'unfinished' | null): WholeReading | 'unfinished' | null =>
  why === 'error' ? { body: none, facts: { ...noFacts, error: true }, text: () => none } : why;

const none = Buffer.alloc(0);

/** Larger replies are only looked through where the native core can: nobody waits for them any more. */
const parsedMaxBytes = 64 * 1024;

function arrivedAcross(body: Buffer, provider: ChatProvider): Arrived | null {
  if (provider.native !== 'any' && body.length > parsedMaxBytes)
    return arrivedOf(body, provider.native, null);
  const reply = readWhole(body, provider);
  if (typeof reply === 'string') return null;
  if (reply !== null) return arrivedReply(reply);
  if (provider.native !== 'any') return arrivedOf(body, provider.native, null);
  const text = Buffer.from(cutText(body.toString('utf8')));
  return text.length === 0 ? null : { facts: { ...noFacts, textBytes: text.length }, text: () => text };
}

function readWhole(body: Buffer, provider: ChatProvider): ChatReply | 'error' | 'unfinished' | null {
  const json = isUtf8(body) ? parseObject(body.toString('utf8')) : null;
  if (json === null) return null;
  if (isError(json)) return 'error';
  const reply = provider.readReply(json);
  if (reply === null || reply === 'unfinished') return reply;
  const called = reply.parts.some(({ kind }) => kind === 'tool_call');
  const finish = correctedReason(reply.finish, called);
  // Neither content nor an end that anybody knows: no answer, and nothing but its usage is true.
  const isEmpty = reply.parts.every((part) => !isWhole(part.kind) && textOfPart(part) === '');
  const parts = reply.parts.map(withArguments);
  return {
    ...reply,
    parts,
    finish: finish === 'other' && isEmpty && reply.promised !== true ? 'failed' : finish,
  };
}

const withArguments = (part: ReplyPart): ReplyPart =>
  part.kind === 'tool_call' && part.arguments.trim() === '' ? { ...part, arguments: noArguments } : part;

const isError = ({ error, type }: Json): boolean => (error ?? null) !== null || type === 'error';

/** So much of a reply's text is kept, as in the native core. */
const textMaxBytes = 128 * 1024;

function arrivedReply(reply: ChatReply): Arrived {
  const text = Buffer.from(reply.parts.map(textOfPart).join(''));
  return { facts: factsOf(reply, text.length), text: () => text.subarray(0, textMaxBytes) };
}

const textOfPart = (part: ReplyPart): string =>
  part.kind === 'tool_call'
    ? part.arguments
    : part.kind === 'redacted' || part.kind === 'picture'
      ? ''
      : part.text;

const factsOf = (
  { parts, finish, usage, promised, acted, model }: ChatReply,
  textBytes: number,
): ReplyFacts => ({
  error: false,
  tool: acted === true || parts.some(({ kind }) => kind === 'tool_call'),
  refused: finish === 'refusal' || parts.some(({ kind }) => kind === 'refusal'),
  usage: usage !== null,
  inputTokens: usage?.inputTokens ?? 0,
  outputTokens: usage?.outputTokens ?? 0,
  cachedInputTokens: usage?.cachedInputTokens ?? 0,
  cacheWriteTokens: usage?.cacheWriteTokens ?? 0,
  ...statedOf(usage?.reasoningTokens, model),
  finish: finishes[finish],
  textBytes,
  ...(usage?.pricing === undefined ? {} : { pricing: usage.pricing }),
  ...(usage?.media === undefined ? {} : { media: usage.media }),
  ...(promised === undefined ? {} : { promised }),
});
