/** Reads Replicate's finished predictions. https://replicate.com/docs/topics/predictions */

import { countOf, type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import type { ChatEvent, ChatReply, ChatStreamReader, ChatUsage } from '../chat-reply.ts';
import { limitNames } from './models.ts';

/** Statuses of predictions that were not finished, or canceled, when the wait was over. */
const unfinished: readonly unknown[] = ['starting', 'processing', 'queued', 'canceled', 'aborted'];

/** Reads a prediction; null: it is invalid or failed. */
export function readReply(body: Json): ChatReply | 'unfinished' | null {
  if (typeof body.id !== 'string') return null;
  if (unfinished.includes(body.status)) return 'unfinished';
  const text = textIn(body.output);
  if (body.status !== 'succeeded' || text === null) return null;
  const usage = readUsage(objectOf(body.metrics));
  return {
    id: body.id,
    model: textOf(body.model) ?? '',
    parts: text === '' ? [] : [{ kind: 'text', text, cache: null }],
    finish: reachedLimit(objectOf(body.input), usage) ? 'length' : 'stop',
    stopSequence: null,
    usage,
  };
}

/** The text of an output, which is a string or a list of strings; null: neither. */
function textIn(output: unknown): string | null {
  if (output === null || output === undefined) return '';
  if (typeof output === 'string') return output;
  const isText = Array.isArray(output) && output.every((piece) => typeof piece === 'string');
  return isText ? output.join('') : null;
}

/** Reads usage, which only official language models report; others report only how long they took. */
function readUsage(metrics: Json): ChatUsage | null {
  const { input_token_count: input, output_token_count: output } = metrics;
  if (numberOf(input) === null && numberOf(output) === null) return null;
  return {
    inputTokens: countOf(input),
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: countOf(output),
    reasoningTokens: 0,
  };
}

/** Replicate sends no finish reason, but it repeats the input, and so the token limit. */
function reachedLimit(input: Json, usage: ChatUsage | null): boolean {
  if (usage === null) return false;
  return limitNames.some((name) => {
    const most = numberOf(input[name]);
    return most !== null && most > 0 && usage.outputTokens >= most;
  });
}

/** Reads a stream, which is the whole prediction in one event. */
export const createReader = (): ChatStreamReader => ({
  read({ data }) {
    const reply = readReply(data);
    if (reply === null) return [{ kind: 'error' }];
    if (reply === 'unfinished') return [{ kind: 'error', unfinished: true }];
    const events: ChatEvent[] = [{ kind: 'start', id: reply.id, model: reply.model }];
    for (const part of reply.parts) {
      if (part.kind !== 'text') continue;
      events.push({ kind: 'begin', index: 0, block: { kind: 'text' } });
      events.push({ kind: 'delta', index: 0, text: part.text }, { kind: 'end', index: 0 });
    }
    if (reply.usage !== null) events.push({ kind: 'usage', usage: reply.usage });
    events.push({ kind: 'finish', reason: reply.finish, stopSequence: null }, { kind: 'stop' });
    return events;
  },
});
