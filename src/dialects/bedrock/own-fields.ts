/** Model-specific fields in addition to Converse's own, in the native format of each model family. */

import { type Json, withoutNulls } from '../../base/json.ts';
import { writeThinking } from '../anthropic/thinking.ts';
import { writeChoice, writeSampling } from '../anthropic/write-request.ts';
import { type ChatRequest, type Effort, effortOf, type Notes, noteDropped } from '../chat.ts';
import type { Destination } from '../wire.ts';
import { takesThought } from './content.ts';
import { type Family, isThinkingNova } from './models.ts';

/** Fields of a request that depend on the model. */
export interface OwnFields {
  readonly maxTokens: number | null;
  readonly temperature: unknown;
  readonly topP: unknown;
  /** A tool choice that Converse doesn't have; also contained in `fields`. Null: Converse's own is used. */
  readonly choice: Json | null;
  readonly fields: Json;
}

/** Writes the fields that depend on the model. */
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
  const isTooHot = temperature !== null && temperature > temperatureMax;
  if (isTooHot) noteDropped(notes, names.temperature);
  const fields = withoutNulls({
    inferenceConfig: topK !== null && family === 'nova' ? { topK } : null,
    ...writeEffort(request, to.served, family, notes),
  });
  return { maxTokens, temperature: isTooHot ? temperatureMax : temperature, topP, choice: null, fields };
}

/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html */
const temperatureMax = 1;

/** Token limit that every Claude with a thinking budget accepts; the budget is part of it. */
const thinkingMaxTokens = 32_000;

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html */
function writeClaude(request: ChatRequest, to: Destination, notes: Notes): OwnFields {
  const room = request.maxTokens ?? to.outputMaxTokens ?? thinkingMaxTokens;
  const { thinking, effort } = writeThinking(
    request,
    (part) => takesThought(part, 'claude'),
    room,
    to,
    notes,
  );
  const thinks = thinking !== null && thinking.type !== 'disabled';
  const { temperature, top_p, top_k } = writeSampling(request, thinks, to.served, notes);
  const choice = claudeChoice(request);
  const config = effort === null ? null : { effort };
  return {
    maxTokens: request.maxTokens ?? (thinking?.type === 'enabled' ? room : null),
    temperature,
    topP: top_p,
    choice,
    fields: withoutNulls({ thinking, output_config: config, top_k, tool_choice: choice }),
  };
}

/** Choices that Converse lacks: no parallel calls, and no calls. Null: use Converse's; sending both is refused. */
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

/** Reasoning fields; none for models not known to think, which would refuse them. */
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
