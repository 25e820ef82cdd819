/** How much Claude is to think. https://platform.claude.com/docs/en/build-with-claude/extended-thinking */

import { type Json, listOf } from '../../base/json.ts';
import { budgetOf, type ChatRequest, type Effort, effortOf, type Notes, noteDropped } from '../chat.ts';
import type { Destination } from '../wire.ts';
import { effortFor, isAdaptive } from './models.ts';

/** The least the provider lets a model think, in tokens. */
const budgetMinTokens = 1024;
/** The limit of a reply counts what is thought, so that something of it must be left for the answer. */
const budgetShareMax = 0.8;

export interface Thinking {
  readonly thinking: Json | null;
  readonly effort: Effort | null;
}

const nothing: Thinking = { thinking: null, effort: null };

/** @param messages the conversation as it is written */
export function writeThinking(
  { reasoning, toolChoice, names }: ChatRequest,
  messages: readonly Json[],
  maxTokens: number,
  { model, reasons }: Destination,
  notes: Notes,
): Thinking {
  if (reasoning === null) return nothing;
  const effort = effortOf(reasoning);
  if (effort === 'none')
    return reasons === false ? nothing : { thinking: { type: 'disabled' }, effort: null };
  // A model that thinks may choose its tools itself, and only so; some don't think at all.
  const barred = reasons === false || toolChoice?.kind === 'required' || toolChoice?.kind === 'tool';
  if (!barred && isAdaptive(model))
    return { thinking: { type: 'adaptive' }, effort: effortFor(effort, model) };
  const wanted = reasoning.budgetTokens ?? budgetOf[effort ?? 'medium'];
  const budget = Math.min(wanted, Math.floor(maxTokens * budgetShareMax));
  if (!barred && budget >= budgetMinTokens && !hasForgotten(messages))
    return { thinking: { type: 'enabled', budget_tokens: budget }, effort: null };
  noteDropped(notes, names.reasoning);
  return nothing;
}

/**
 * Whether the model is amid calls of tools without what it thought before them: another model made them, or the app's
 * dialect has no place for it. With a budget of thinking that is refused.
 */
function hasForgotten(messages: readonly Json[]): boolean {
  const [before, last] = messages.slice(-2);
  if (!listOf(last?.content).some(({ type }) => type === 'tool_result')) return false;
  const [first] = listOf(before?.content);
  return first?.type !== 'thinking' && first?.type !== 'redacted_thinking';
}
