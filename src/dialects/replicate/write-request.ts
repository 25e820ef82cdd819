/** Writes a chat request as the input of a prediction. https://replicate.com/docs/reference/http#predictions.create */

import { type Json, withoutNulls } from '../../base/json.ts';
import {
  type ChatMessage,
  type ChatRequest,
  effortOf,
  type Notes,
  noteDropped,
  noteInvalid,
  noteUnsupported,
  type Part,
} from '../chat.ts';
import { writeImageUrl } from '../openai/parts.ts';
import type { ChatCall, Destination } from '../wire.ts';
import { endpointOf, type Inputs, inputsOf } from './models.ts';

/** The longest time that Replicate keeps a request open. */
const waitS = 60;

/** Replicate cancels a prediction that isn't finished by then, so that no unused work is billed. */
const headers = ['prefer', `wait=${waitS}`, 'cancel-after', `${waitS}s`];

/** Writes a request from the neutral form. */
export function writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const inputs = inputsOf(to.model);
  const endpoint = endpointOf(to.model);
  if (endpoint === null)
    noteInvalid(notes, 'model', 'must name a model of Replicate: owner/name, or owner/name:version');
  noteUnsupportedFields(request, notes);
  const { messages, names } = request;
  const system = messages.filter(({ role }) => role === 'system' || role === 'developer');
  const input = withoutNulls({
    prompt: writePrompt(messages, notes),
    [inputs.system]: system.length === 0 ? null : system.map(({ parts }) => textIn(parts)).join('\n\n'),
    [inputs.maxTokens]: request.maxTokens,
    ...writeSampling(request, inputs, notes),
    ...writeStop(request, inputs, notes),
    ...writeImages(messages, inputs, notes),
  });
  const effort = request.reasoning === null ? null : effortOf(request.reasoning);
  if (effort !== null && inputs.effort !== undefined) input[inputs.effort] = effort;
  else if (request.reasoning !== null && effort !== 'none') noteDropped(notes, names.reasoning);
  const body = withoutNulls({ version: endpoint?.version, input });
  return { path: endpoint?.path ?? '/predictions', body, headers };
}

/** Notes fields for which predictions have no input. */
function noteUnsupportedFields({ names, tools, output, user, metadata }: ChatRequest, notes: Notes): void {
  if (tools.length > 0) noteUnsupported(notes, names.tools);
  if (output !== null) noteUnsupported(notes, names.output);
  if (user !== null) noteDropped(notes, names.user);
  if (metadata !== null) noteDropped(notes, names.metadata);
}

const samplings = ['temperature', 'topP', 'topK', 'frequencyPenalty', 'presencePenalty', 'seed'] as const;

function writeSampling(request: ChatRequest, inputs: Inputs, notes: Notes): Json {
  const written: Json = {};
  for (const field of samplings) {
    const name = inputs[field];
    if (request[field] === null) continue;
    if (name === undefined) noteDropped(notes, request.names[field]);
    else written[name] = request[field];
  }
  return written;
}

/** The sequences as one text, separated by commas, so none of them may contain a comma. */
function writeStop({ stop, names }: ChatRequest, { stop: name }: Inputs, notes: Notes): Json {
  if (stop.length === 0) return {};
  if (name !== undefined && !stop.some((text) => text.includes(','))) return { [name]: stop.join(',') };
  noteUnsupported(notes, names.stop);
  return {};
}

function writeImages(messages: readonly ChatMessage[], { images }: Inputs, notes: Notes): Json {
  const parts = messages.flatMap((message) => message.parts.filter((part) => part.kind === 'image'));
  const urls = parts.flatMap((part, index) => {
    const url = images !== null && (images.many || index === 0) ? writeImageUrl(part) : null;
    if (url === null) noteUnsupported(notes, part.at);
    return url === null ? [] : [url];
  });
  if (images === null || urls.length === 0) return {};
  return { [images.name]: images.many ? urls : urls[0] };
}

/** A single question is sent as it is; in a conversation each turn gets a label, as the models' pages advise. */
function writePrompt(messages: readonly ChatMessage[], notes: Notes): string {
  const turns = messages.filter(({ role }) => role === 'user' || role === 'assistant');
  for (const { parts } of messages) for (const part of parts) notePart(part, notes);
  const [only] = turns;
  if (turns.length === 1 && only?.role === 'user') return textIn(only.parts);
  const lines = turns.map(({ role, parts }) => `${role === 'user' ? 'User' : 'Assistant'}: ${textIn(parts)}`);
  return [...lines, 'Assistant:'].join('\n\n');
}

/** Notes a part, other than an image, that can't be put into a prompt's text. */
function notePart(part: Part, notes: Notes): void {
  if (part.kind === 'document' ? part.source.kind !== 'text' : hasNoText.includes(part.kind))
    noteUnsupported(notes, 'at' in part ? part.at : '');
}

const hasNoText: readonly Part['kind'][] = ['audio', 'tool_call', 'tool_result'];

function textIn(parts: readonly Part[]): string {
  const texts = parts.flatMap((part): string[] => {
    if (part.kind === 'text' || part.kind === 'refusal') return part.text === '' ? [] : [part.text];
    return part.kind === 'document' && part.source.kind === 'text' ? [part.source.text] : [];
  });
  // A single text, which may be long, is not copied.
  return texts.length === 1 ? (texts[0] ?? '') : texts.join('\n\n');
}
