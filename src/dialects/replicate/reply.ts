/** Predictions, as Replicate gives them when they are over. https://replicate.com/docs/topics/predictions */

import { countOf, type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import type { ChatEvent, ChatReply, ChatStreamReader, ChatUsage } from '../chat.ts';
import { limitNames } from './models.ts';

/** Still at work when the wait was over, or called off by then. */
const unfinished: readonly unknown[] = ['starting', 'processing', 'queued', 'canceled', 'aborted'];

/** Null: it is no prediction, or one that failed. */
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

/** Language models give a list of pieces, or one text; null: it is neither. */
function textIn(output: unknown): string | null {
  if (output === null || output === undefined) return '';
  if (typeof output === 'string') return output;
  const isText = Array.isArray(output) && output.every((piece) => typeof piece === 'string');
  return isText ? output.join('') : null;
}

/** Of official language models; others say only how long they took. */
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

/** No reason is given for the end of an output; the input stands beside it. */
function reachedLimit(input: Json, usage: ChatUsage | null): boolean {
  if (usage === null) return false;
  return limitNames.some((name) => {
    const most = numberOf(input[name]);
    return most !== null && most > 0 && usage.outputTokens >= most;
  });
}

/** A stream is the whole prediction in one event. */
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
