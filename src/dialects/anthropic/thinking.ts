/** How much Claude thinks. https://platform.claude.com/docs/en/build-with-claude/extended-thinking */

import { type Json, listOf } from '../../base/json.ts';
import { budgetOf, type ChatRequest, type Effort, effortOf, type Notes, noteDropped } from '../chat.ts';
import type { Destination } from '../wire.ts';
import { effortFor, isAdaptive } from './models.ts';

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

/** Writes the fields that control thinking. @param messages the conversation as written for the provider */
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
  // Thinking can't be combined with a forced tool choice; some models don't think at all.
  const barred = reasons === false || toolChoice?.kind === 'required' || toolChoice?.kind === 'tool';
  if (!barred && isAdaptive(model))
    return { thinking: { type: 'adaptive' }, effort: effortFor(effort, model) };
  const wanted = reasoning.budgetTokens ?? budgetOf[effort ?? 'medium'];
  const budget = Math.min(wanted, Math.floor(maxTokens * budgetShareMax));
  if (!barred && budget >= budgetMinTokens && !lacksThinking(messages))
    return { thinking: { type: 'enabled', budget_tokens: budget }, effort: null };
  noteDropped(notes, names.reasoning);
  return nothing;
}

/**
 * Whether the last turn answers tool calls whose thinking is missing: another model made them, or the client's dialect
 * can't carry it. The provider refuses that together with a thinking budget.
 */
function lacksThinking(messages: readonly Json[]): boolean {
  const [before, last] = messages.slice(-2);
  if (!listOf(last?.content).some(({ type }) => type === 'tool_result')) return false;
  const [first] = listOf(before?.content);
  return first?.type !== 'thinking' && first?.type !== 'redacted_thinking';
}
