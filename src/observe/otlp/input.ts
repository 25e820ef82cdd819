/** What a request says, as messages by OpenTelemetry's conventions for generative AI. */
import type { Json } from '../../base/json.ts';
import type { ChatMessage, ChatRequest, Part } from '../../dialects/chat.ts';
import { type Message, partsOf } from './parts.ts';

/** The conversation, and the instructions that stand apart from it. */
export interface Input {
  readonly system: Json[];
  readonly input: Message[];
}

/** @param within instructions are a part of the conversation */
export function inputOf({ messages }: ChatRequest, within: boolean): Input {
  const after = messages.findIndex(({ role }) => role !== 'system');
  const apart = within ? 0 : after < 0 ? messages.length : after;
  return {
    system: messages.slice(0, apart).flatMap(({ parts }) => parts.flatMap(partsOf)),
    input: messages.slice(apart).flatMap(messagesOf),
  };
}

/** The results of tools are messages of their own. */
function messagesOf({ role, parts, name }: ChatMessage): Message[] {
  const isResult = ({ kind }: Part): boolean => kind === 'tool_result';
  const results = parts.filter(isResult);
  const others = parts.filter((part) => !isResult(part));
  const named = name === null ? {} : { name };
  const made: Message[] = [];
  if (results.length > 0) made.push({ role: 'tool', parts: results.flatMap(partsOf) });
  if (others.length > 0 || results.length === 0)
    made.push({ role, parts: others.flatMap(partsOf), ...named });
  return made;
}
