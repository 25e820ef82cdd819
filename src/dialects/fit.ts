/** Fits a request in neutral form to what its destination accepts, before it is written. */
import {
  type ChatMessage,
  type ChatRequest,
  effortOf,
  type Notes,
  noteDropped,
  noteUnsupported,
  type Part,
} from './chat.ts';
import { type RefusedField, reasonsWith } from './refuses.ts';
import { goOn } from './turns.ts';
import type { Destination } from './wire.ts';

/** What a destination accepts of a request. */
export interface Accepted {
  /** Most stop sequences. */
  readonly stopMax: number;
  /** A format of the answer beside tools. */
  readonly outputWithTools: boolean;
}

/** The request without what the destination would refuse, which is noted. */
export function fit(request: ChatRequest, { stopMax, outputWithTools }: Accepted, notes: Notes): ChatRequest {
  const { names, tools } = request;
  let { stop, output } = request;
  if (stop.length > stopMax) {
    noteUnsupported(notes, names.stop);
    stop = stop.slice(0, stopMax);
  }
  if (output !== null && tools.length > 0 && !outputWithTools) {
    noteUnsupported(notes, names.output);
    output = null;
  }
  return { ...request, stop, output };
}

/** What a model is told if JSON of any form is asked for, and the provider knows JSON by a schema only, or none. */
const jsonOnly =
  'Answer with one JSON object and nothing else: no text before or after it, no Markdown around it.';

/** The request with the wish for JSON of any form in words, which is noted, as nothing enforces it then. */
export function withJsonInWords(request: ChatRequest, notes: Notes): ChatRequest {
  const { output, messages, names } = request;
  if (output?.kind !== 'json') return request;
  noteDropped(notes, names.output);
  const parts = [{ kind: 'text', text: jsonOnly, cache: null }] as const;
  return { ...request, output: null, messages: [...messages, { role: 'system', parts, name: null }] };
}

/**
 * The request with its wish for JSON in a message, as OpenAI and many servers of its dialects demand: it is a 400
 * otherwise. Added to the first message if that is the system's, since some servers take only one.
 */
export function withJsonNamed(request: ChatRequest): ChatRequest {
  const { output, messages } = request;
  if (output?.kind !== 'json' || messages.some(saysJson)) return request;
  const part = { kind: 'text', text: jsonOnly, cache: null } as const;
  const [first, ...others] = messages;
  const isSystem = first?.role === 'system' || first?.role === 'developer';
  const named = isSystem
    ? [{ ...first, parts: [...first.parts, part] }, ...others]
    : [{ role: 'system', parts: [part], name: null } as const, ...messages];
  return { ...request, messages: named };
}

const saysJson = ({ parts }: ChatMessage): boolean =>
  parts.some((part) => part.kind === 'text' && /json/i.test(part.text));

/** The request with something asked: the last system message, if nothing else is said. */
export function withQuestion(request: ChatRequest): ChatRequest {
  const { messages } = request;
  const last = messages.at(-1);
  if (last === undefined || messages.some(({ role }) => role === 'user' || role === 'assistant'))
    return request;
  return { ...request, messages: [...messages.slice(0, -1), { ...last, role: 'user' }] };
}

const isMedia = ({ kind }: Part): boolean => kind === 'image' || kind === 'document' || kind === 'audio';

/** The request without pictures and the like in turns of the model, where most dialects can't say them. */
export function withoutOwnMedia(request: ChatRequest, notes: Notes): ChatRequest {
  const isOwn = ({ role, parts }: ChatMessage): boolean => role === 'assistant' && parts.some(isMedia);
  if (!request.messages.some(isOwn)) return request;
  const messages = request.messages.map((message) => {
    if (!isOwn(message)) return message;
    for (const part of message.parts) if (isMedia(part) && 'at' in part) noteUnsupported(notes, part.at);
    return { ...message, parts: message.parts.filter((part) => !isMedia(part)) };
  });
  return { ...request, messages };
}

/** Values that mean the same as leaving the field out. */
const defaults: Readonly<Partial<Record<RefusedField, number | boolean>>> = {
  temperature: 1,
  topP: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  parallelToolCalls: true,
};

/**
 * The request without fields that the model refuses: those that matter are noted as unsupported, so that another target
 * answers, the others as dropped.
 */
export function withoutRefused(request: ChatRequest, to: Destination, notes: Notes): ChatRequest {
  const { refuses } = to;
  if (refuses === undefined) return request;
  const { names, toolChoice } = request;
  const asked = request.reasoning === null ? null : effortOf(request.reasoning);
  const reasons = refuses.reasoning !== undefined && to.reasons !== false && reasonsWith(asked, refuses);
  const gone = [...(refuses.always ?? []), ...(reasons ? (refuses.reasoning ?? []) : [])];
  const left: { -readonly [Field in keyof ChatRequest]?: ChatRequest[Field] } = {};
  for (const field of gone) {
    if (field === 'stop') {
      if (request.stop.length > 0) noteUnsupported(notes, names.stop);
      left.stop = [];
      continue;
    }
    const value = request[field];
    if (value === null) continue;
    if (value !== defaults[field]) noteDropped(notes, names[field]);
    left[field] = null;
  }
  const forced = toolChoice?.kind === 'required' || toolChoice?.kind === 'tool';
  if (forced && refuses.forcedChoice === true) {
    noteUnsupported(notes, names.toolChoice);
    left.toolChoice = { kind: 'auto' };
  }
  if (refuses.strictTools === true && request.tools.some(({ strict }) => strict === true)) {
    noteDropped(notes, `${names.tools}.strict`);
    left.tools = request.tools.map((tool) => ({ ...tool, strict: null }));
  }
  if (refuses.prefill === true && endsWithTurn(request)) {
    const parts = [{ kind: 'text', text: goOn, cache: null }] as const;
    left.messages = [...request.messages, { role: 'user', parts, name: null }];
  }
  return Object.keys(left).length === 0 ? request : { ...request, ...left };
}

/** The request without white space at the end of a turn that the model is to go on with, which Claude refuses. */
export function withTrimmedEnd(request: ChatRequest): ChatRequest {
  if (!endsWithTurn(request)) return request;
  const at = request.messages.findLastIndex(({ role }) => role === 'assistant');
  const last = request.messages[at];
  const part = last?.parts.at(-1);
  if (last === undefined || part?.kind !== 'text' || !/\s$/.test(part.text)) return request;
  const parts = [...last.parts.slice(0, -1), { ...part, text: part.text.trimEnd() }];
  return { ...request, messages: request.messages.with(at, { ...last, parts }) };
}

/** Whether the last turn is the model's own, and no call that waits for its result. */
export function endsWithTurn({ messages }: ChatRequest): boolean {
  const last = messages.findLast(({ role }) => role === 'user' || role === 'assistant');
  return last?.role === 'assistant' && !last.parts.some(({ kind }) => kind === 'tool_call');
}

/** The request without a choice of tools if there are none, which providers refuse: all may have been left out. */
export function withoutVainChoice(request: ChatRequest, notes: Notes): ChatRequest {
  const { names, tools, toolChoice } = request;
  if (toolChoice === null || tools.length > 0) return request;
  if (toolChoice.kind !== 'auto' && toolChoice.kind !== 'none') noteDropped(notes, names.toolChoice);
  return { ...request, toolChoice: null };
}
