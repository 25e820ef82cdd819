/** Reads a Gemini `generateContent` request. https://ai.google.dev/api/generate-content */

import { isObject, type Json, listOf, numberOf, objectOf, textOf } from '../../base/json.ts';
import { makeCallId } from '../call-id.ts';
import {
  type ChatField,
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  type ImagePart,
  type Notes,
  noteDropped,
  noteInvalid,
  noteUnsupported,
  type OutputForm,
  type Part,
  resultsFirst,
  type TextPart,
  type Tool,
  type ToolCallPart,
  type ToolChoice,
  type ToolResultPart,
} from '../chat.ts';
import { noneEssential, noteRest, readItems } from '../members.ts';
import { noteHosted } from '../tool-kinds.ts';
import { createOpenCalls, type OpenCalls } from './open-calls.ts';
import { readCall } from './reply.ts';
import { readSchema } from './schema.ts';
import { readSignature, readThought } from './signature.ts';
import { readThinking } from './thinking.ts';

const names: Readonly<Record<ChatField, string>> = {
  tools: 'tools',
  toolChoice: 'toolConfig',
  parallelToolCalls: 'toolConfig',
  stop: 'generationConfig.stopSequences',
  maxTokens: 'generationConfig.maxOutputTokens',
  temperature: 'generationConfig.temperature',
  topP: 'generationConfig.topP',
  topK: 'generationConfig.topK',
  frequencyPenalty: 'generationConfig.frequencyPenalty',
  presencePenalty: 'generationConfig.presencePenalty',
  seed: 'generationConfig.seed',
  output: 'generationConfig.responseSchema',
  reasoning: 'generationConfig.thinkingConfig',
  user: 'labels',
  metadata: 'labels',
};

/** `model` is repeated by some SDKs; the path's counts. */
/** Where the media type alone asks for JSON. */
const namesOfType = { ...names, output: 'generationConfig.responseMimeType' };

/** Names in both spellings that the API takes. */
const inBoth = (names: readonly string[]): ReadonlySet<string> =>
  new Set([...names, ...names.map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))]);

const known = inBoth(['contents', 'systemInstruction', 'tools', 'toolConfig', 'generationConfig', 'model']);
const essential = inBoth(['cachedContent', 'modelArmorConfig']);
const knownConfig = inBoth([
  'maxOutputTokens',
  'temperature',
  'topP',
  'topK',
  'frequencyPenalty',
  'presencePenalty',
  'seed',
  'stopSequences',
  'responseMimeType',
  'responseSchema',
  'responseJsonSchema',
  'thinkingConfig',
  'candidateCount',
  'responseModalities',
]);
const knownOfMedia = new Set(['inlineData', 'fileData', 'thought', 'thoughtSignature']);
const knownOfTools = new Set(['name', 'description', 'parameters', 'parametersJsonSchema']);
const essentialConfig = inBoth(['speechConfig', 'imageConfig', 'responseFormat']);

/**
 * Renames an object's `snake_case` members, which the API accepts too; their values are not changed.
 * @param of those that are wanted: of objects in which others are noted otherwise
 */
function camel(value: unknown, of?: ReadonlySet<string>): Json {
  const object = objectOf(value);
  const read: Json = {};
  for (const key in object) {
    if (of?.has(key) === false) continue;
    read[key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())] = object[key];
  }
  return read;
}

/** Reads a request into the neutral form. */
export function readRequest(given: Json, notes: Notes): ChatRequest {
  const body = camel(given, known);
  const config = camel(body.generationConfig, knownConfig);
  noteRest(given, known, essential, notes);
  noteConfig(objectOf(body.generationConfig), config, notes);
  const stop = config.stopSequences;
  const output = readOutput(config, notes);
  return {
    // The field to change, if no schema is given.
    names: output?.kind === 'json' ? namesOfType : names,
    // Set by the caller, as the path says whether to stream.
    stream: false,
    messages: [...readSystem(body.systemInstruction), ...readContents(body.contents, notes)],
    tools: readTools(body.tools, objectOf(body.toolConfig), notes),
    toolChoice: readChoice(camel(body.toolConfig), notes),
    parallelToolCalls: null,
    stop: Array.isArray(stop) ? stop.filter((text) => typeof text === 'string') : [],
    maxTokens: numberOf(config.maxOutputTokens),
    temperature: numberOf(config.temperature),
    topP: numberOf(config.topP),
    topK: numberOf(config.topK),
    frequencyPenalty: numberOf(config.frequencyPenalty),
    presencePenalty: numberOf(config.presencePenalty),
    seed: numberOf(config.seed),
    output,
    reasoning: readThinking(config.thinkingConfig),
    user: null,
    metadata: null,
  };
}

/** Notes members of `generationConfig` that the neutral form lacks. @param config those that it has */
function noteConfig(given: Json, config: Json, notes: Notes): void {
  noteRest(given, knownConfig, essentialConfig, notes, 'generationConfig.');
  if ((numberOf(config.candidateCount) ?? 1) > 1) noteUnsupported(notes, 'generationConfig.candidateCount');
  const modalities = config.responseModalities;
  if (Array.isArray(modalities) && modalities.some((name) => name !== 'TEXT'))
    noteUnsupported(notes, 'generationConfig.responseModalities');
}

function readSystem(value: unknown): ChatMessage[] {
  const texts =
    typeof value === 'string' ? [value] : listOf(objectOf(value).parts).map(({ text }) => textOf(text));
  const parts = texts.flatMap((text): TextPart[] =>
    text === null || text === '' ? [] : [{ kind: 'text', text, cache: null }],
  );
  return parts.length === 0 ? [] : [{ role: 'system', parts, name: null }];
}

/** A turn as far as it is read. */
interface Turn {
  readonly role: 'user' | 'assistant';
  readonly parts: Part[];
  /** It consists of results only. */
  results: boolean;
}

function readContents(value: unknown, notes: Notes): ChatMessage[] {
  if (!Array.isArray(value)) noteInvalid(notes, 'contents', 'must be a list of contents');
  const calls = createOpenCalls();
  const items = Array.isArray(value) ? readItems(value, 'contents', notes) : [];
  const turns: Turn[] = [];
  for (const [index, content] of items.entries()) {
    const at = `contents[${index}]`;
    const role = content.role === 'model' ? 'assistant' : 'user';
    const roles: readonly unknown[] = ['user', 'model', 'function', undefined, null, ''];
    if (!roles.includes(content.role)) noteInvalid(notes, `${at}.role`, 'must be "user" or "model"');
    const parts = readItems(content.parts, `${at}.parts`, notes).flatMap((part, number) =>
      readPart(camel(part), role, `${at}.parts[${number}]`, calls, notes),
    );
    // Google's SDKs keep each event of a stream as a content of its own, and results may be as many contents.
    const last = turns.at(-1);
    const joins = last?.role === role && (role === 'assistant' || last.results);
    const turn: Turn = joins ? last : { role, parts: [], results: true };
    if (!joins) turns.push(turn);
    for (const part of parts) add(turn, part);
    turn.results &&= parts.every(({ kind }) => kind === 'tool_result');
  }
  return turns.map(({ role, parts }) => ({ role, parts: resultsFirst(parts), name: null }));
}

/** Adds a part to a turn; in the model's, texts and thoughts go on, and a thought's signature may come last. */
function add({ role, parts }: Turn, part: Part): void {
  const last = role === 'assistant' ? parts.at(-1) : undefined;
  if (last?.kind === 'text' && part.kind === 'text')
    parts[parts.length - 1] = { ...part, text: last.text + part.text };
  else if (last?.kind === 'reasoning' && last.signature === null && part.kind === 'reasoning')
    parts[parts.length - 1] = { ...part, text: last.text + part.text };
  else parts.push(part);
}

function readPart(
  part: Json,
  role: 'user' | 'assistant',
  at: string,
  calls: OpenCalls,
  notes: Notes,
): Part[] {
  if (part.thought === true && role === 'assistant') return [readThought(part)];
  const signature = readSignature(part);
  if (isObject(part.functionCall)) {
    const call: ToolCallPart = { ...readCall(part.functionCall, at), signature, at };
    calls.add(call);
    return [call];
  }
  if (isObject(part.functionResponse)) return [readResult(camel(part.functionResponse), at, calls, notes)];
  const text = textOf(part.text);
  if (text !== null) {
    const read: Part[] = text === '' ? [] : [{ kind: 'text', text, cache: null }];
    if (signature !== null) read.push({ kind: 'redacted', data: signature });
    return read;
  }
  const media = readMedia(part, at);
  noteRest(part, knownOfMedia, noneEssential, notes, `${at}.`);
  if (media === null) noteUnsupported(notes, at);
  return media === null ? [] : [media];
}

/** Inline bytes, or a file by its URL; null: unsupported. */
function readMedia(part: Json, at: string): Exclude<Part, { kind: 'text' }> | null {
  const blob = camel(part.inlineData);
  const data = textOf(blob.data);
  const file = camel(part.fileData);
  const url = textOf(file.fileUri);
  const mediaType = textOf(blob.mimeType) ?? textOf(file.mimeType) ?? '';
  const name = textOf(blob.displayName) ?? textOf(file.displayName);
  if (data !== null && mediaType.startsWith('audio/')) return { kind: 'audio', mediaType, data, at };
  // Files stored at Google can't be read by other providers.
  const isPublic =
    url !== null &&
    /^https?:/.test(url) &&
    !/^https?:\/\/(?:generativelanguage\.googleapis\.com|(?:www\.)?youtube\.com|youtu\.be)\//.test(url);
  if (data === null && !isPublic) return null;
  const source =
    data === null
      ? ({ kind: 'url', url: url ?? '' } as const)
      : mediaType === 'text/plain'
        ? ({ kind: 'text', text: Buffer.from(data, 'base64').toString('utf8') } as const)
        : ({ kind: 'base64', mediaType, data } as const);
  if (mediaType.startsWith('image/')) return { kind: 'image', source, detail: null, cache: null, at };
  if (/^(?:video|audio)\//.test(mediaType)) return null;
  return { kind: 'document', source, name, cache: null, at };
}

function readResult(result: Json, at: string, calls: OpenCalls, notes: Notes): ToolResultPart {
  const name = textOf(result.name) ?? '';
  const given = textOf(result.id) ?? '';
  const call = given === '' ? calls.takeNamed(name) : calls.take(given);
  const media = listOf(result.parts).flatMap((part, number): (ImagePart | DocumentPart)[] => {
    const place = `${at}.functionResponse.parts[${number}]`;
    const read = readMedia(camel(part), place);
    if (read?.kind === 'image' || read?.kind === 'document') return [read];
    noteUnsupported(notes, place);
    return [];
  });
  const { text, isError } = readResponse(objectOf(result.response));
  return {
    kind: 'tool_result',
    callId: call?.id ?? (given === '' ? makeCallId(at, name, '') : given),
    name: call?.name ?? name,
    content: [...(text === '' ? [] : [{ kind: 'text', text, cache: null } as const]), ...media],
    isError,
    cache: null,
    at,
  };
}

/** `output` and `error` are the documented members for results that are not objects. */
function readResponse(response: Json): { readonly text: string; readonly isError: boolean } {
  const [only, more] = Object.keys(response);
  if (only !== undefined && more === undefined && (only === 'output' || only === 'error')) {
    const value = response[only];
    return { text: typeof value === 'string' ? value : JSON.stringify(value), isError: only === 'error' };
  }
  return { text: JSON.stringify(response), isError: false };
}

function readTools(value: unknown, { functionCallingConfig }: Json, notes: Notes): Tool[] {
  const hosted: string[] = [];
  const tools = readItems(value, names.tools, notes).flatMap((given, index): Tool[] => {
    const { functionDeclarations, ...others } = camel(given);
    for (const name in others) if (isObject(others[name])) hosted.push(`tools[${index}].${name}`);
    return listOf(functionDeclarations).map((one, number): Tool => {
      const declaration = camel(one);
      const at = `tools[${index}].functionDeclarations[${number}].`;
      noteRest(declaration, knownOfTools, noneEssential, notes, at);
      const { parametersJsonSchema: schema, parameters } = declaration;
      return {
        name: textOf(declaration.name) ?? '',
        description: textOf(declaration.description),
        parameters: isObject(schema) ? schema : isObject(parameters) ? readSchema(parameters) : null,
        strict: null,
        cache: null,
      };
    });
  });
  // Choices are about functions only.
  const forced = camel(functionCallingConfig).mode === 'ANY';
  noteHosted(hosted, { functions: tools.length, forced }, notes);
  return tools;
}

function readChoice({ functionCallingConfig, retrievalConfig }: Json, notes: Notes): ToolChoice | null {
  if (isObject(retrievalConfig)) noteDropped(notes, 'toolConfig.retrievalConfig');
  const { mode, allowedFunctionNames: allowed } = camel(functionCallingConfig);
  switch (mode) {
    case 'NONE':
      return { kind: 'none' };
    case 'ANY': {
      const list = Array.isArray(allowed) ? allowed.filter((name) => typeof name === 'string') : [];
      const [first] = list;
      if (first !== undefined && list.length === 1) return { kind: 'tool', name: first };
      // No other dialect can require one of several tools but not of all.
      if (list.length > 1) noteUnsupported(notes, 'toolConfig.functionCallingConfig.allowedFunctionNames');
      return { kind: 'required' };
    }
    case 'AUTO':
    case 'VALIDATED':
      return { kind: 'auto' };
    default:
      return null;
  }
}

function readOutput(
  { responseMimeType: type, responseSchema, responseJsonSchema }: Json,
  notes: Notes,
): OutputForm | null {
  // Enums (`text/x.enum`), and anything else that is neither text nor JSON.
  if (![undefined, null, '', 'text/plain', 'application/json'].includes(type as string))
    noteUnsupported(notes, 'generationConfig.responseMimeType');
  const schema = isObject(responseJsonSchema)
    ? responseJsonSchema
    : isObject(responseSchema)
      ? readSchema(responseSchema)
      : null;
  if (schema !== null) return { kind: 'schema', schema, name: null, description: null, strict: null };
  return type === 'application/json' ? { kind: 'json' } : null;
}
