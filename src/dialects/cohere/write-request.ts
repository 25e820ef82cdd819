/** Writes a chat request for Cohere. https://docs.cohere.com/v2/reference/chat */

import { type Json, withoutNulls } from '../../base/json.ts';
import {
  budgetOf,
  type ChatMessage,
  type ChatRequest,
  effortOf,
  type Notes,
  noteDropped,
  noteUnsupported,
  type Part,
  type Tool,
  type ToolResultPart,
} from '../chat.ts';
import { fit } from '../fit.ts';
import { textOfDocument, toolFailed, writeImageUrl } from '../openai/parts.ts';
import type { ChatCall, Destination } from '../wire.ts';

/** More stop sequences than this are refused. */
const stopsMax = 5;
const topKMax = 500;
/** `p` must be in this range; its ends are practically the same as 0 and 1. */
const topPRange = { min: 0.01, max: 0.99 };

/** Writes a request from the neutral form. */
export function writeRequest(asked: ChatRequest, to: Destination, notes: Notes): ChatCall {
  // An output format can be combined with neither tools nor documents; documents can be put into the text instead.
  const request = fit(asked, { stopMax: stopsMax, outputWithTools: false }, notes);
  const { names, stop, output, topK } = request;
  if (request.user !== null) noteDropped(notes, names.user);
  if (request.metadata !== null) noteDropped(notes, names.metadata);
  // The API has no such setting: the model decides whether calls are parallel.
  if (request.parallelToolCalls === false && request.tools.length > 0)
    noteDropped(notes, names.parallelToolCalls);
  const documents = output === null ? request.messages.flatMap(({ parts }) => parts.flatMap(citable)) : [];
  const body = withoutNulls({
    model: to.model,
    messages: request.messages.flatMap((message) => writeMessage(message, output !== null, notes)),
    documents: documents.length === 0 ? null : documents,
    ...writeTools(request),
    response_format:
      output === null
        ? null
        : { type: 'json_object', ...(output.kind === 'schema' ? { json_schema: output.schema } : {}) },
    max_tokens: request.maxTokens,
    stop_sequences: stop.length === 0 ? null : stop,
    temperature: request.temperature,
    p: request.topP === null ? null : Math.min(topPRange.max, Math.max(topPRange.min, request.topP)),
    k: topK === null ? null : Math.min(topKMax, topK),
    frequency_penalty: penalty(request, 'frequencyPenalty', notes),
    presence_penalty: penalty(request, 'presencePenalty', notes),
    seed: request.seed,
    thinking: writeThinking(request, to.served, notes),
    stream: request.stream ? true : null,
  });
  return { path: '/chat', body, headers: [] };
}

/** Penalties range from 0 to 1 here; others are left out. */
function penalty(
  request: ChatRequest,
  field: 'frequencyPenalty' | 'presencePenalty',
  notes: Notes,
): number | null {
  const value = request[field];
  if (value === null || (value >= 0 && value <= 1)) return value;
  noteDropped(notes, request.names[field]);
  return null;
}

/** If a certain tool is required, only that one is sent: the API can't name it in the choice. */
function writeTools({ tools, toolChoice }: ChatRequest): Json {
  if (tools.length === 0) return {};
  const sent = toolChoice?.kind === 'tool' ? tools.filter(({ name }) => name === toolChoice.name) : tools;
  const choices = { auto: null, none: 'NONE', required: 'REQUIRED', tool: 'REQUIRED' } as const;
  return withoutNulls({
    tools: sent.map(writeTool),
    tool_choice: toolChoice === null ? null : choices[toolChoice.kind],
    strict_tools: sent.every(({ strict }) => strict === true) ? true : null,
  });
}

const writeTool = ({ name, description, parameters }: Tool): Json => ({
  type: 'function',
  function: withoutNulls({ name, description, parameters: parameters ?? { type: 'object', properties: {} } }),
});

/** Models known not to reason, which refuse reasoning fields; others are sent them. */
const neverReasons = (model: string): boolean =>
  /^(?:c4ai|command(?:$|-(?:r|light|nightly|a-(?:03|vision|translate))))/.test(model);

function writeThinking({ reasoning, names }: ChatRequest, model: string, notes: Notes): Json | null {
  if (reasoning === null) return null;
  const effort = effortOf(reasoning);
  if (neverReasons(model)) {
    if (effort !== 'none') noteDropped(notes, names.reasoning);
    return null;
  }
  if (effort === 'none') return { type: 'disabled' };
  const budget = reasoning.budgetTokens ?? (effort === null ? null : budgetOf[effort]);
  return withoutNulls({ type: 'enabled', token_budget: budget });
}

/** A plain text document as one that the model may cite; empty: the part is something else. */
function citable(part: Part): Json[] {
  if (part.kind !== 'document' || part.source.kind !== 'text') return [];
  return [{ data: withoutNulls({ title: part.name, text: part.source.text }) }];
}

function writeMessage({ role, parts }: ChatMessage, inline: boolean, notes: Notes): Json[] {
  if (role === 'assistant') return writeAssistant(parts);
  const results = parts.filter((part) => part.kind === 'tool_result');
  // Results can contain text only: other content follows in a message of the user.
  const shown = results.flatMap(({ content }) => content.filter(({ kind }) => kind !== 'text'));
  const content = [...shown, ...parts].flatMap((part) => writePart(part, inline, notes));
  const messages = results.map(writeResult);
  if (content.length > 0)
    messages.push({ role: role === 'user' ? 'user' : 'system', content: plain(content) });
  return messages;
}

/** A single text is written as a string. */
function plain(content: Json[]): unknown {
  const [first] = content;
  return content.length === 1 && first?.type === 'text' ? first.text : content;
}

const writeText = (text: string): Json => ({ type: 'text', text });

function writeResult({ callId, content, isError }: ToolResultPart): Json {
  const texts = content.flatMap((part) => (part.kind === 'text' ? [part.text] : []));
  const parts = (isError ? [toolFailed, ...texts] : texts).map(writeText);
  return { role: 'tool', tool_call_id: callId, content: parts.length === 0 ? '' : plain(parts) };
}

/** Text before calls is the tool plan. Reasoning is left out: the API doesn't require it back. */
function writeAssistant(parts: readonly Part[]): Json[] {
  const texts: string[] = [];
  const calls: Json[] = [];
  for (const part of parts) {
    if (part.kind === 'text' || part.kind === 'refusal') texts.push(part.text);
    else if (part.kind === 'tool_call') {
      const called = { name: part.name, arguments: part.arguments === '' ? '{}' : part.arguments };
      calls.push({ id: part.id, type: 'function', function: called });
    }
  }
  const written = texts.filter((text) => text !== '');
  if (calls.length > 0) {
    const plan = written.length === 0 ? {} : { tool_plan: written.join('\n') };
    return [{ role: 'assistant', tool_calls: calls, ...plan }];
  }
  return written.length === 0 ? [] : [{ role: 'assistant', content: plain(written.map(writeText)) }];
}

/** @param inline documents are put into the text */
function writePart(part: Part, inline: boolean, notes: Notes): Json[] {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return part.text === '' ? [] : [writeText(part.text)];
    case 'image': {
      const url = writeImageUrl(part);
      if (url === null) break;
      return [{ type: 'image_url', image_url: withoutNulls({ url, detail: part.detail }) }];
    }
    case 'document':
      if (part.source.kind !== 'text') break;
      return inline ? [writeText(textOfDocument(part) ?? '')] : [];
    case 'audio':
      break;
    default:
      return [];
  }
  noteUnsupported(notes, part.at);
  return [];
}
