/** Reads replies of dialects that the native core knows, and passes them on as they are. */

import { parseObject } from '../base/json.ts';
import {
  inspectReply,
  type NativeDialect,
  noFacts,
  type ReplyFacts,
  replyText,
  StreamScanner,
} from '../native/reply.ts';
import type { Arrived, ReplyReading } from './reading.ts';

const sseType = 'text/event-stream';

/** Replies up to this size are parsed. */
const parsedMaxBytes = 64 * 1024;

/** Members of which every reply of a dialect has at least one. */
const marks: Readonly<Partial<Record<NativeDialect, readonly string[]>>> = {
  openai: ['choices', 'data', 'object'],
  anthropic: ['content', 'input_tokens'],
  gemini: ['candidates', 'promptFeedback', 'totalTokens', 'embedding', 'embeddings'],
};

/** Whether a reply that has no content in the expected dialect is a reply of another one. */
function isForeign(facts: ReplyFacts, body: Buffer, dialect: NativeDialect): boolean {
  const own = marks[dialect];
  if (own === undefined || facts.finish !== 'none' || facts.tool || facts.error) return false;
  // Embeddings have no finish reason but do state their usage, so they need not be parsed again.
  if (facts.textBytes > 0 || facts.inputTokens > 0 || facts.outputTokens > 0) return false;
  const has = membersOf(body);
  return !own.some(has) && Object.values(marks).some((others) => others.some(has));
}

/** Tells which members a reply has. A large one is only searched for their names: parsing it may take a second. */
function membersOf(body: Buffer): (name: string) => boolean {
  if (body.length > parsedMaxBytes) return (name) => body.includes(`"${name}"`);
  const json = parseObject(body.toString('utf8')) ?? {};
  return (name) => Object.hasOwn(json, name);
}

/** Whether a reply has neither content nor an end that anybody knows. */
const isNothing = ({ finish, textBytes, tool }: ReplyFacts): boolean =>
  finish === 'other' && textBytes === 0 && !tool;

/**
 * Reads dialects that the native core knows; bytes pass unchanged.
 * @param stripUsage remove OpenAI's usage event
 * @param member that a reply must have, unless it is an error; null: none
 */
export function nativeReading(
  dialect: NativeDialect,
  stripUsage: boolean,
  member: string | null = null,
): ReplyReading {
  return {
    streamType: sseType,
    wholeToo: 'ended',
    apart: { native: dialect, member },
    whole(body) {
      if (member !== null && !body.includes(`"${member}"`) && !body.includes('"error"')) return null;
      const facts = inspectReply(body, dialect);
      if (facts === null || isNothing(facts) || isForeign(facts, body, dialect)) return null;
      return { body, facts, text: () => replyText(body, dialect) };
    },
    arrived: (body) => arrivedOf(body, dialect, inspectReply(body, dialect)),
    stream: ({ eventMaxBytes, textMaxBytes, choices }) =>
      new StreamScanner(dialect, stripUsage, eventMaxBytes, textMaxBytes, choices),
  };
}

/** A body with neither text nor usage is more likely a proxy's error page than a truncated reply. */
export function arrivedOf(body: Buffer, dialect: NativeDialect, facts: ReplyFacts | null): Arrived | null {
  if (facts?.error) return null;
  const text = replyText(body, dialect);
  if (text.length === 0 && !facts?.usage) return null;
  return { facts: facts ?? { ...noFacts, textBytes: text.length }, text: () => text };
}
