/** How much Claude thinks. https://platform.claude.com/docs/en/build-with-claude/extended-thinking */

import type { Json } from '../../base/json.ts';
import {
  budgetOf,
  type ChatMessage,
  type ChatRequest,
  type Effort,
  effortOf,
  type Notes,
  noteDropped,
  type Part,
} from '../chat.ts';
import { nearestEffort, refusesOf } from '../refuses.ts';
import type { Destination } from '../wire.ts';
import { isAdaptive, omitsThinking } from './models.ts';

/** The smallest budget the provider accepts. */
const budgetMinTokens = 1024;
/** `max_tokens` includes thinking, so part of it must be left for the answer. */
const budgetShareMax = 0.8;

/** The fields that control thinking; null: left out. */
export interface Thinking {
  readonly thinking: Json | null;
  readonly effort: Effort | null;
}

const nothing: Thinking = { thinking: null, effort: null };

/** Writes the fields that control thinking. @param takes whether the provider takes a thought of the conversation */
export function writeThinking(
  { reasoning, toolChoice, names, messages }: ChatRequest,
  takes: (part: Part) => boolean,
  maxTokens: number,
  to: Destination,
  notes: Notes,
): Thinking {
  if (reasoning === null) return nothing;
  const { served, reasons } = to;
  const refuses = refusesOf(to);
  const effort = effortOf(reasoning);
  if (effort === 'none') {
    if (refuses.reasonsAlways === true) return { thinking: null, effort: nearestEffort(effort, refuses) };
    return reasons === false ? nothing : { thinking: { type: 'disabled' }, effort: null };
  }
  const { display } = reasoning;
  // What a model does unasked need not be said; earlier ones summarize.
  const shown = display === null || (display === 'summarized' && !omitsThinking(served)) ? {} : { display };
  // Thinking can't be combined with a forced tool choice; some models don't think at all.
  const barred = reasons === false || toolChoice?.kind === 'required' || toolChoice?.kind === 'tool';
  if (!barred && isAdaptive(served))
    return {
      thinking: { type: 'adaptive', ...shown },
      effort: effort === null ? null : nearestEffort(effort, refuses),
    };
  const wanted = reasoning.budgetTokens ?? budgetOf[effort ?? 'medium'];
  const budget = Math.min(wanted, Math.floor(maxTokens * budgetShareMax));
  if (!barred && budget >= budgetMinTokens && !lacksThinking(messages, takes))
    return { thinking: { type: 'enabled', budget_tokens: budget, ...shown }, effort: null };
  noteDropped(notes, names.reasoning);
  return nothing;
}

/**
 * Whether the last turn answers tool calls whose thinking is missing: another model made them, or the client's dialect
 * can't carry it. The provider refuses that together with a thinking budget.
 */
function lacksThinking(messages: readonly ChatMessage[], takes: (part: Part) => boolean): boolean {
  const turns = messages.filter(({ role }) => role === 'user' || role === 'assistant');
  const at = turns.findLastIndex(({ role }) => role === 'assistant');
  const answers = turns.slice(at + 1).some(({ parts }) => parts.some(({ kind }) => kind === 'tool_result'));
  if (!answers) return false;
  const isThought = ({ kind }: Part): boolean => kind === 'reasoning' || kind === 'redacted';
  const first = turns[at]?.parts.find((part) => !isThought(part) || takes(part));
  return first === undefined || !isThought(first);
}
