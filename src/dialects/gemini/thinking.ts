/** How much a Gemini model thinks. https://ai.google.dev/gemini-api/docs/thinking */

import { entryOf, type Json, numberOf, objectOf, textOf } from '../../base/json.ts';
import {
  budgetOf,
  type ChatRequest,
  type Effort,
  effortOf,
  type Notes,
  noteDropped,
  type ReasoningSettings,
} from '../chat.ts';
import { nearestEffort, refusesOf } from '../refuses.ts';
import type { Destination } from '../wire.ts';
import { budgetRange, isGemini3 } from './models.ts';

/** The nearest level of Gemini 3; its Pro models lack `MINIMAL`, and the first one also `MEDIUM`. */
function levelOf(effort: Effort, model: string): string {
  const pro = model.includes('pro');
  if (effort === 'none' || effort === 'minimal') return pro ? 'LOW' : 'MINIMAL';
  if (effort === 'low') return 'LOW';
  if (effort === 'medium') return /gemini-3-pro/.test(model) ? 'HIGH' : 'MEDIUM';
  return 'HIGH';
}

/** Writes `thinkingConfig`; null: left out. */
export function writeThinking({ reasoning, names }: ChatRequest, to: Destination, notes: Notes): Json | null {
  if (reasoning === null) return null;
  const { served: model, reasons } = to;
  const effort = effortOf(reasoning);
  if (reasons === false) {
    // Models that don't think refuse the field.
    if (effort !== 'none') noteDropped(notes, names.reasoning);
    return null;
  }
  // Summaries of thoughts are requested only if the client asked for thinking.
  const includeThoughts = effort !== 'none' && reasoning.display !== 'omitted';
  if (isGemini3(model)) {
    const known = effort === null ? null : nearestEffort(effort, refusesOf(to));
    return known === null ? { includeThoughts } : { includeThoughts, thinkingLevel: levelOf(known, model) };
  }
  const { min, max, off } = budgetRange(model);
  if (effort === 'none') return { includeThoughts, thinkingBudget: off };
  const wanted = reasoning.budgetTokens ?? (effort === null ? -1 : budgetOf[effort]);
  return { includeThoughts, thinkingBudget: wanted < 0 ? -1 : Math.min(max, Math.max(min, wanted)) };
}

const levels: Readonly<Record<string, Effort>> = {
  MINIMAL: 'minimal',
  LOW: 'low',
  MEDIUM: 'medium',
  HIGH: 'high',
};

/** Reads a client's `thinkingConfig`. */
export function readThinking(value: unknown): ReasoningSettings | null {
  const config = objectOf(value);
  const budget = numberOf(config.thinkingBudget) ?? numberOf(config.thinking_budget);
  const level = textOf(config.thinkingLevel) ?? textOf(config.thinking_level) ?? '';
  const shown = config.includeThoughts === true || config.include_thoughts === true;
  const display = shown ? 'summarized' : null;
  if (budget === 0) return { effort: 'none', budgetTokens: null, adaptive: false, display: null };
  const effort = entryOf(levels, level.toUpperCase()) ?? null;
  if (budget !== null && budget > 0) return { effort, budgetTokens: budget, adaptive: false, display };
  if (effort !== null) return { effort, budgetTokens: null, adaptive: false, display };
  return budget === -1 || shown ? { effort: null, budgetTokens: null, adaptive: true, display } : null;
}
