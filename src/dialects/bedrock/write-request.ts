/** Writes a request for Bedrock's Converse. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */

import { type Json, said } from '../../base/json.ts';
import { type ChatMessage, type ChatRequest, type Notes, noteCannot, noteDropped } from '../chat.ts';
import type { ChatCall, Destination } from '../wire.ts';
import { createContentWriter, writeMark } from './content.ts';
import { type Family, familyOf } from './models.ts';
import { writeOwnFields } from './own-fields.ts';

/** As AWS' SDKs write it: also the slashes and colons of ARNs are escaped. */
const escapeModel = (model: string): string =>
  encodeURIComponent(model).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** What follows a provider's base URL. */
export const pathOf = (model: string, stream: boolean): string =>
  `/model/${escapeModel(model)}/${stream ? 'converse-stream' : 'converse'}`;

export function writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const { names, messages } = request;
  for (const field of ['frequencyPenalty', 'presencePenalty', 'seed'] as const) {
    if (request[field] !== null) noteDropped(notes, names[field]);
  }
  const family = familyOf(to.model);
  const own = writeOwnFields(request, to, family, notes);
  const system = messages
    .filter(({ role }) => role === 'system' || role === 'developer')
    .flatMap(({ parts }) =>
      parts.flatMap((part) =>
        part.kind === 'text' && part.text.trim() !== ''
          ? [{ text: part.text }, ...writeMark(part.cache, family)]
          : [],
      ),
    );
  const body = said({
    system: filled(system),
    messages: writeMessages(messages, family, notes),
    toolConfig: writeTools(request, family, own.choice !== null, notes),
    inferenceConfig: members({
      maxTokens: own.maxTokens,
      temperature: own.temperature,
      topP: own.topP,
      stopSequences: filled(request.stop),
    }),
    outputConfig: writeFormat(request, notes),
    additionalModelRequestFields: members(own.fields),
    // Which of them was met is not told unasked.
    additionalModelResponseFieldPaths:
      family === 'claude' && request.stop.length > 0 ? ['/stop_sequence'] : null,
    requestMetadata: writeMetadata(request, notes),
  });
  return { path: pathOf(to.model, request.stream), body, headers: [] };
}

const filled = <T>(list: readonly T[]): readonly T[] | null => (list.length === 0 ? null : list);

function members(fields: Json): Json | null {
  const kept = said(fields);
  return Object.keys(kept).length === 0 ? null : kept;
}

/** Turns must alternate, and begin with the user's. */
function writeMessages(messages: readonly ChatMessage[], family: Family, notes: Notes): Json[] {
  const writer = createContentWriter(family, notes);
  const turns: { readonly role: string; readonly content: Json[] }[] = [];
  for (const { role, parts } of messages) {
    if (role !== 'user' && role !== 'assistant') continue;
    const content = parts.flatMap(writer.write);
    if (content.length === 0) continue;
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...content);
    else turns.push({ role, content });
  }
  return turns;
}

/** A tool as its list names it. */
const writeTool = (
  name: string,
  description: string | null,
  parameters: Json | null,
  strict: boolean | null,
): Json => ({
  toolSpec: said({
    name,
    description: description === '' ? null : description,
    inputSchema: {
      json: parameters === null ? { type: 'object', properties: {} } : { type: 'object', ...parameters },
    },
    strict: strict === true ? true : null,
  }),
});

/**
 * Conversations with calls are refused without tools, so those that were called are named where the app names none.
 * "None" has no word here: then the tools stay away, but for those.
 * @param chosen the choice is told in the model's own words
 */
function writeTools(request: ChatRequest, family: Family, chosen: boolean, notes: Notes): Json | null {
  const { tools, toolChoice, messages, names } = request;
  const called = new Set(
    messages.flatMap(({ parts }) => parts.flatMap((part) => (part.kind === 'tool_call' ? [part.name] : []))),
  );
  const none = toolChoice?.kind === 'none';
  if (none && called.size > 0 && !chosen) noteCannot(notes, names.toolChoice);
  if (called.size === 0 && (none || tools.length === 0)) return null;
  const list =
    tools.length === 0
      ? [...called].map((name) => writeTool(name, null, null, null))
      : tools.flatMap(({ name, description, parameters, strict, cache }) => [
          writeTool(name, description, parameters, strict),
          ...writeMark(cache, family),
        ]);
  return said({ tools: list, toolChoice: chosen ? null : writeChoice(request) });
}

function writeChoice({ toolChoice, tools }: ChatRequest): Json | null {
  if (toolChoice === null || tools.length === 0) return null;
  switch (toolChoice.kind) {
    case 'auto':
      return { auto: {} };
    case 'required':
      return { any: {} };
    case 'tool':
      return { tool: { name: toolChoice.name } };
    default:
      return null;
  }
}

function writeFormat({ output, names }: ChatRequest, notes: Notes): Json | null {
  if (output === null) return null;
  if (output.kind === 'json') {
    // JSON of any shape can't be asked for.
    noteCannot(notes, names.output);
    return null;
  }
  const { schema, name, description } = output;
  const jsonSchema = said({ schema: JSON.stringify(schema), name, description });
  return { textFormat: { type: 'json_schema', structure: { jsonSchema } } };
}

/** What invocation logs are told apart by. */
const metadataMax = 16;
const metadataText = /^[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}$/;

function writeMetadata({ metadata, user, names }: ChatRequest, notes: Notes): Json | null {
  const written: Json = {};
  const entries = Object.entries(metadata ?? {});
  const room = user === null ? metadataMax : metadataMax - 1;
  const fits = entries.every(
    ([key, value]) => key !== '' && metadataText.test(key) && metadataText.test(value),
  );
  if (fits && entries.length <= room) Object.assign(written, metadata);
  else noteDropped(notes, names.metadata);
  if (user !== null) {
    if (metadataText.test(user) && !Object.hasOwn(written, 'user')) written.user = user;
    else noteDropped(notes, names.user);
  }
  return members(written);
}
