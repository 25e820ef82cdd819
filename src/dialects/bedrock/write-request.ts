/** Writes a request for Bedrock's Converse. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html */

import { type Json, withoutNulls } from '../../base/json.ts';
import { createSchemaWriter, type SchemaWriter } from '../anthropic/schema.ts';
import { type ChatMessage, type ChatRequest, type Notes, noteDropped, noteUnsupported } from '../chat.ts';
import { fit } from '../fit.ts';
import type { ChatCall, Destination } from '../wire.ts';
import { createContentWriter, writeMark } from './content.ts';
import { type Family, familyOf } from './models.ts';
import { writeOwnFields } from './own-fields.ts';

/** More stop sequences than this are refused. */
const stopMax = 2500;

/** Escapes a model id like the AWS SDKs, including the slashes and colons of ARNs. */
const escapeModel = (model: string): string =>
  encodeURIComponent(model).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** The path after a provider's base URL. */
export const pathOf = (model: string, stream: boolean): string =>
  `/model/${escapeModel(model)}/${stream ? 'converse-stream' : 'converse'}`;

/** Writes a request from the neutral form. */
export function writeRequest(asked: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const request = fit(asked, { stopMax, outputWithTools: true }, notes);
  const { names, messages } = request;
  for (const field of ['frequencyPenalty', 'presencePenalty', 'seed'] as const) {
    if (request[field] !== null) noteDropped(notes, names[field]);
  }
  const family = familyOf(to.served);
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
  const schemas = createSchemaWriter(notes);
  const outputConfig = writeFormat(request, schemas);
  const body = withoutNulls({
    system: filled(system),
    messages: writeMessages(messages, family, notes),
    toolConfig: writeTools(request, family, own.choice !== null, schemas, notes),
    inferenceConfig: members({
      maxTokens: own.maxTokens,
      temperature: own.temperature,
      topP: own.topP,
      stopSequences: filled(request.stop),
    }),
    outputConfig,
    additionalModelRequestFields: members(own.fields),
    // The stop sequence that ended a reply is reported only on request.
    additionalModelResponseFieldPaths:
      family === 'claude' && request.stop.length > 0 ? ['/stop_sequence'] : null,
    requestMetadata: writeMetadata(request, notes),
  });
  return { path: pathOf(to.model, request.stream), body, headers: [] };
}

const filled = <T>(list: readonly T[]): readonly T[] | null => (list.length === 0 ? null : list);

function members(fields: Json): Json | null {
  const kept = withoutNulls(fields);
  return Object.keys(kept).length === 0 ? null : kept;
}

/** Consecutive messages of one role are joined, since turns must alternate, beginning with the user. */
function writeMessages(messages: readonly ChatMessage[], family: Family, notes: Notes): Json[] {
  const writer = createContentWriter(family, notes);
  const turns: { readonly role: string; readonly content: Json[] }[] = [];
  for (const { role, parts } of messages) {
    if (role !== 'user' && role !== 'assistant') continue;
    const content = parts.flatMap(writer.write);
    if (content.length === 0) continue;
    const last = turns.at(-1);
    if (last?.role !== role) turns.push({ role, content });
    // One by one: as arguments of one call, very many blocks would overflow the stack.
    else for (const block of content) last.content.push(block);
  }
  return turns;
}

/** An entry of the list of tools. */
const writeTool = (name: string, description: string | null, json: Json, strict: boolean): Json => ({
  toolSpec: withoutNulls({
    name,
    description: description === '' ? null : description,
    inputSchema: { json },
    strict: strict ? true : null,
  }),
});

/**
 * Writes tools and tool choice. A conversation with calls is refused without tools, so if the client sends none, the
 * tools that were called are listed. Converse has no choice `none`: the tools are left out instead, unless some were
 * called.
 * @param chosen the choice is expressed in the model's own fields
 */
function writeTools(
  request: ChatRequest,
  family: Family,
  chosen: boolean,
  schemas: SchemaWriter,
  notes: Notes,
): Json | null {
  const { tools, toolChoice, messages, names } = request;
  const called = new Set(
    messages.flatMap(({ parts }) => parts.flatMap((part) => (part.kind === 'tool_call' ? [part.name] : []))),
  );
  const none = toolChoice?.kind === 'none';
  if (none && called.size > 0 && !chosen) noteUnsupported(notes, names.toolChoice);
  if (called.size === 0 && (none || tools.length === 0)) return null;
  const list =
    tools.length === 0
      ? [...called].map((name) => writeTool(name, null, { type: 'object', properties: {} }, false))
      : tools.flatMap((tool, index) => {
          const { schema, strict } = schemas.input(tool, `${names.tools}[${index}]`);
          return [writeTool(tool.name, tool.description, schema, strict), ...writeMark(tool.cache, family)];
        });
  return withoutNulls({ tools: list, toolChoice: chosen ? null : writeChoice(request) });
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

function writeFormat(request: ChatRequest, schemas: SchemaWriter): Json | null {
  const { output } = request;
  const schema = schemas.answer(request);
  if (output?.kind !== 'schema' || schema === null) return null;
  const { name, description } = output;
  const jsonSchema = withoutNulls({ schema: JSON.stringify(schema), name, description });
  return { textFormat: { type: 'json_schema', structure: { jsonSchema } } };
}

/** Most entries of the metadata that appear in invocation logs. */
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
