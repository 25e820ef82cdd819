/** What models take beyond Converse's own settings, in their makers' words. */

import { type Json, said } from '../../base/json.ts';
import { writeThinking } from '../anthropic/thinking.ts';
import { writeChoice, writeSampling } from '../anthropic/write-request.ts';
import { type ChatRequest, type Effort, effortOf, type Notes, noteDropped } from '../chat.ts';
import type { Destination } from '../wire.ts';
import { type Family, isThinkingNova } from './models.ts';

export interface OwnFields {
  readonly maxTokens: number | null;
  readonly temperature: unknown;
  readonly topP: unknown;
  /** A choice of tools that Converse has no words for; it stands among the fields. */
  readonly choice: Json | null;
  readonly fields: Json;
}

export function writeOwnFields(
  request: ChatRequest,
  to: Destination,
  family: Family,
  notes: Notes,
): OwnFields {
  if (family === 'claude') return writeClaude(request, to, notes);
  const { temperature, topP, topK, maxTokens, names } = request;
  if (request.parallelToolCalls === false && request.tools.length > 0)
    noteDropped(notes, names.parallelToolCalls);
  if (topK !== null && family !== 'nova') noteDropped(notes, names.topK);
  const fields = said({
    inferenceConfig: topK !== null && family === 'nova' ? { topK } : null,
    ...writeEffort(request, to.model, family, notes),
  });
  return { maxTokens, temperature, topP, choice: null, fields };
}

/** A limit that every Claude which thinks by a budget takes; the budget counts into it. */
const thinkingMaxTokens = 32_000;

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html */
function writeClaude(request: ChatRequest, to: Destination, notes: Notes): OwnFields {
  const room = request.maxTokens ?? to.outputMaxTokens ?? thinkingMaxTokens;
  const { thinking, effort } = writeThinking(request, [], room, to, notes);
  const thinks = thinking !== null && thinking.type !== 'disabled';
  const { temperature, top_p, top_k } = writeSampling(request, thinks, to.model, notes);
  const choice = claudeChoice(request);
  const config = effort === null ? null : { effort };
  return {
    maxTokens: request.maxTokens ?? (thinking?.type === 'enabled' ? room : null),
    temperature,
    topP: top_p,
    choice,
    fields: said({ thinking, output_config: config, top_k, tool_choice: choice }),
  };
}

/** What Converse has no word for: calls one by one, and none at all. Null: its own words do; both at once are refused. */
function claudeChoice(request: ChatRequest): Json | null {
  const { tools, toolChoice, parallelToolCalls, messages } = request;
  if (tools.length > 0 && toolChoice?.kind !== 'none')
    return parallelToolCalls === false ? writeChoice(request) : null;
  const called = messages.some(({ parts }) => parts.some(({ kind }) => kind === 'tool_call'));
  return called ? { type: 'none' } : null;
}

const levels: Readonly<Record<Effort, 'low' | 'medium' | 'high'>> = {
  none: 'low',
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high',
};

/** Models that aren't known to think are told nothing of it, as they would refuse. */
function writeEffort({ reasoning, names }: ChatRequest, model: string, family: Family, notes: Notes): Json {
  if (reasoning === null) return {};
  const effort = effortOf(reasoning);
  const level = levels[effort ?? 'medium'];
  if (family === 'gpt-oss') return { reasoning_effort: level };
  if (family === 'nova' && isThinkingNova(model))
    return {
      reasoningConfig:
        effort === 'none' ? { type: 'disabled' } : { type: 'enabled', maxReasoningEffort: level },
    };
  if (effort !== 'none') noteDropped(notes, names.reasoning);
  return {};
}
