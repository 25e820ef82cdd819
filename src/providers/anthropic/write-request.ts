/** Writes a request for an Anthropic provider. https://docs.anthropic.com/en/api/messages */
import {
  budgetOf,
  type CacheMark,
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  type Effort,
  effortOf,
  type ImagePart,
  type Notes,
  noteCannot,
  noteDropped,
  noteInvalid,
  type Part,
  type TextPart,
  type Tool,
} from '../chat.ts';
import { type Json, parseObject, said } from '../json.ts';
import type { ChatCall, Destination } from '../provider.ts';

/** The dialect demands a limit; this one every model takes. Used where neither client nor catalogue knows one. */
const defaultMaxTokens = 4096;
/** The least the provider lets a model think, in tokens. */
const budgetMinTokens = 1024;

export function writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const { names } = request;
  for (const field of ['frequencyPenalty', 'presencePenalty', 'seed', 'metadata'] as const) {
    if (request[field] !== null) noteDropped(notes, names[field]);
  }
  const maxTokens = request.maxTokens ?? to.outputMaxTokens ?? defaultMaxTokens;
  const { thinking, effort } = writeReasoning(request, maxTokens, to.model, notes);
  const format = writeFormat(request, notes);
  const system = request.messages
    .filter(({ role }) => role === 'system' || role === 'developer')
    .flatMap(({ parts }) => parts.flatMap((part) => (part.kind === 'text' ? writeText(part) : [])));
  const config = said({ effort, format });
  const body = said({
    model: to.model,
    max_tokens: maxTokens,
    system: system.length === 0 ? null : system,
    messages: writeMessages(request.messages, notes),
    tools: request.tools.length === 0 ? null : request.tools.map(writeTool),
    tool_choice: writeChoice(request),
    stop_sequences: request.stop.length === 0 ? null : request.stop,
    ...writeSampling(request, thinking !== null && thinking.type !== 'disabled', to.model, notes),
    thinking,
    output_config: Object.keys(config).length === 0 ? null : config,
    metadata: request.user === null ? null : { user_id: request.user },
    stream: request.stream ? true : null,
  });
  return { path: '/messages', body, headers: ['anthropic-version', '2023-06-01'] };
}

/** From Claude 4.6 on the model itself decides how much it thinks, guided by an effort; before, it takes a budget. */
const isAdaptive = (model: string): boolean =>
  /claude-(?:opus|sonnet|haiku)-(?:4-[6-9](?!\d)|[5-9](?!\d)|\d\d(?!\d))|claude-(?:mythos|fable)/.test(model);

export interface Reasoning {
  readonly thinking: Json | null;
  readonly effort: Effort | null;
}

/** Whether and how a Claude thinks, wherever it runs. @param maxTokens the reply's limit, which thinking counts into */
export function writeReasoning(
  { reasoning, toolChoice, names }: ChatRequest,
  maxTokens: number,
  model: string,
  notes: Notes,
): Reasoning {
  const none: Reasoning = { thinking: null, effort: null };
  if (reasoning === null) return none;
  const effort = effortOf(reasoning);
  if (effort === 'none') return { thinking: { type: 'disabled' }, effort: null };
  // A model that thinks may choose its tools itself, and only so.
  if (toolChoice?.kind === 'required' || toolChoice?.kind === 'tool') {
    noteDropped(notes, names.reasoning);
    return none;
  }
  const wish = effort === 'minimal' ? 'low' : effort;
  if (isAdaptive(model) || reasoning.adaptive) return { thinking: { type: 'adaptive' }, effort: wish };
  const budget = Math.min(reasoning.budgetTokens ?? budgetOf[effort ?? 'medium'], maxTokens - 1);
  if (budget >= budgetMinTokens)
    return { thinking: { type: 'enabled', budget_tokens: budget }, effort: null };
  noteDropped(notes, names.reasoning);
  return none;
}

/** A model that thinks takes no sampling of its own; temperatures end at 1 here. */
export function writeSampling(
  { temperature, topP, topK, names }: ChatRequest,
  thinks: boolean,
  model: string,
  notes: Notes,
): Json {
  const sampling: Json = {};
  const put = (name: string, value: number | null, taken: boolean, client: string): void => {
    if (value === null) return;
    if (taken) sampling[name] = value;
    else noteDropped(notes, client);
  };
  put(
    'temperature',
    temperature,
    temperature === 1 || (!thinks && (temperature ?? 0) < 1),
    names.temperature,
  );
  // Since Claude 4 only one of the two is taken.
  const both = sampling.temperature !== undefined && !model.includes('claude-3');
  put('top_p', topP, !both && (!thinks || (topP ?? 0) >= 0.95), names.topP);
  put('top_k', topK, !thinks, names.topK);
  return sampling;
}

function writeFormat({ output, names }: ChatRequest, notes: Notes): Json | null {
  if (output === null) return null;
  if (output.kind === 'schema') return { type: 'json_schema', schema: output.schema };
  // JSON of any shape can't be asked for.
  noteCannot(notes, names.output);
  return null;
}

export function writeChoice({ toolChoice, parallelToolCalls, tools }: ChatRequest): Json | null {
  const serial = parallelToolCalls === null ? {} : { disable_parallel_tool_use: !parallelToolCalls };
  if (toolChoice === null)
    return parallelToolCalls === null || tools.length === 0 ? null : { type: 'auto', ...serial };
  if (toolChoice.kind === 'none') return { type: 'none' };
  if (toolChoice.kind === 'tool') return { type: 'tool', name: toolChoice.name, ...serial };
  return { type: toolChoice.kind === 'required' ? 'any' : 'auto', ...serial };
}

const writeTool = ({ name, description, parameters, strict, cache }: Tool): Json =>
  said({
    name,
    description,
    input_schema:
      parameters === null ? { type: 'object', properties: {} } : { type: 'object', ...parameters },
    strict,
    ...writeMark(cache),
  });

const writeMark = (cache: CacheMark | null): Json =>
  cache === null
    ? {}
    : {
        cache_control: said({
          type: 'ephemeral',
          ttl: cache.ttlS === null ? null : cache.ttlS <= 300 ? '5m' : '1h',
        }),
      };

function writeMessages(messages: readonly ChatMessage[], notes: Notes): Json[] {
  return messages.flatMap(({ role, parts }): Json[] => {
    if (role !== 'user' && role !== 'assistant') return [];
    const content = parts.flatMap((part) => writePart(part, notes));
    return content.length === 0 ? [] : [{ role, content }];
  });
}

/** Empty texts are refused there, and say nothing. */
const writeText = ({ text, cache }: TextPart): Json[] =>
  text === '' ? [] : [{ type: 'text', text, ...writeMark(cache) }];

/** Claude's signatures hold wherever it runs. */
export const isSignedByClaude = (by: string): boolean => by === 'anthropic' || by === 'bedrock';

function writePart(part: Part, notes: Notes): Json[] {
  switch (part.kind) {
    case 'text':
      return writeText(part);
    case 'refusal':
      return part.text === '' ? [] : [{ type: 'text', text: part.text }];
    case 'image':
    case 'document':
      return writeAttachment(part, notes);
    case 'audio':
      noteCannot(notes, part.at);
      return [];
    // Without its signature it would be refused; what another provider thought is of no use here.
    case 'reasoning':
      return part.signature !== null && isSignedByClaude(part.signature.by)
        ? [{ type: 'thinking', thinking: part.text, signature: part.signature.value }]
        : [];
    case 'redacted':
      // Bedrock writes what is hidden in another way.
      return part.data.by === 'anthropic' ? [{ type: 'redacted_thinking', data: part.data.value }] : [];
    case 'tool_call': {
      const input = part.arguments.trim() === '' ? {} : parseObject(part.arguments);
      if (input === null) noteInvalid(notes, part.at, 'must have arguments that are a JSON object');
      return [{ type: 'tool_use', id: part.id, name: part.name, input, ...writeMark(part.cache) }];
    }
    case 'tool_result': {
      const content = part.content.flatMap((inner) =>
        inner.kind === 'text' ? writeText(inner) : writeAttachment(inner, notes),
      );
      return [
        said({
          type: 'tool_result',
          tool_use_id: part.callId,
          content: content.length === 0 ? null : content,
          is_error: part.isError ? true : null,
          ...writeMark(part.cache),
        }),
      ];
    }
  }
}

const imageTypes = /^image\/(?:jpeg|png|gif|webp)$/;

function writeAttachment(part: ImagePart | DocumentPart, notes: Notes): Json[] {
  const { source } = part;
  const mark = writeMark(part.cache);
  if (part.kind === 'image') {
    if (source.kind === 'url') return [{ type: 'image', source: { type: 'url', url: source.url }, ...mark }];
    if (source.kind === 'base64' && imageTypes.test(source.mediaType))
      return [{ type: 'image', source: writeBase64(source), ...mark }];
    noteCannot(notes, part.at);
    return [];
  }
  const written = writeDocument(part);
  if (written !== null) return [said({ type: 'document', source: written, title: part.name, ...mark })];
  noteCannot(notes, part.at);
  return [];
}

const writeBase64 = ({ mediaType, data }: { mediaType: string; data: string }): Json => ({
  type: 'base64',
  media_type: mediaType,
  data,
});

/** PDF in bytes or by URL, and plain text. */
function writeDocument({ source }: DocumentPart): Json | null {
  if (source.kind === 'url') return { type: 'url', url: source.url };
  if (source.kind === 'text') return { type: 'text', media_type: 'text/plain', data: source.text };
  return source.mediaType === 'application/pdf' ? writeBase64(source) : null;
}
