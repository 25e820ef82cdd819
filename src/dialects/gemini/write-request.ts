/** Writes a request for a Gemini provider: AI Studio or Vertex. https://ai.google.dev/api/generate-content */

import { entryOf, type Json, parseObject, withoutNulls } from '../../base/json.ts';
import { ownCallId } from '../call-id.ts';
import {
  type AudioPart,
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  type ImagePart,
  type Notes,
  noteDetail,
  noteDropped,
  noteInvalid,
  noteUnsupported,
  type Part,
  type Signature,
  systemTexts,
  type Tool,
  type ToolCallPart,
  type ToolChoice,
  type ToolResultPart,
} from '../chat.ts';
import { fit } from '../fit.ts';
import { opening } from '../turns.ts';
import type { ChatCall, Destination } from '../wire.ts';
import { fetchesUrls, isGemini3, mixesSchemaAndTools } from './models.ts';
import { writeSchema } from './schema.ts';
import { skipSignature } from './signature.ts';
import { writeThinking } from './thinking.ts';

/** More stop sequences than this are refused. */
const stopMax = 5;

/** The path after a provider's base URL. */
export const pathOf = (model: string, stream: boolean): string =>
  `/models/${encodeURIComponent(model)}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;

/** Writes a request from the neutral form. */
export function writeRequest(asked: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const request = fit(asked, { stopMax, outputWithTools: mixesSchemaAndTools(to.served) }, notes);
  const { names, tools, messages } = request;
  if (request.user !== null) noteDropped(notes, names.user);
  if (request.metadata !== null) noteDropped(notes, names.metadata);
  // The API has no such setting: the model decides whether calls are parallel.
  if (request.parallelToolCalls === false && tools.length > 0) noteDropped(notes, names.parallelToolCalls);
  const system = systemTexts(messages, notes).flatMap(({ text }) => writeText(text));
  const generationConfig = writeConfig(request, to, notes);
  const body = withoutNulls({
    systemInstruction: system.length === 0 ? null : { parts: system },
    contents: writeMessages(messages, to.served, notes),
    tools: tools.length === 0 ? null : [{ functionDeclarations: tools.map(writeTool) }],
    toolConfig: writeChoice(request.toolChoice, tools),
    generationConfig: Object.keys(generationConfig).length === 0 ? null : generationConfig,
  });
  return { path: pathOf(to.model, request.stream), body, headers: [] };
}

function writeConfig(request: ChatRequest, to: Destination, notes: Notes): Json {
  const { output, stop } = request;
  return withoutNulls({
    maxOutputTokens: request.maxTokens,
    temperature: request.temperature,
    topP: request.topP,
    topK: request.topK,
    frequencyPenalty: request.frequencyPenalty,
    presencePenalty: request.presencePenalty,
    seed: request.seed,
    stopSequences: stop.length === 0 ? null : stop,
    responseMimeType: output === null ? null : 'application/json',
    responseJsonSchema: output?.kind === 'schema' ? writeSchema(output.schema) : null,
    thinkingConfig: writeThinking(request, to, notes),
  });
}

const writeTool = ({ name, description, parameters }: Tool): Json =>
  withoutNulls({
    name,
    description,
    parametersJsonSchema: parameters === null ? null : writeSchema(parameters),
  });

/** Writes `toolConfig`; strict arguments are requested by a mode for all tools. Null: left out. */
function writeChoice(choice: ToolChoice | null, tools: readonly Tool[]): Json | null {
  const strict = tools.some((tool) => tool.strict === true);
  const mode = (name: string, more: Json = {}): Json => ({ functionCallingConfig: { mode: name, ...more } });
  switch (choice?.kind) {
    case 'none':
      return mode('NONE');
    case 'required':
      return mode('ANY');
    case 'tool':
      return mode('ANY', { allowedFunctionNames: [choice.name] });
    default:
      if (strict) return mode('VALIDATED');
      return choice === null ? null : mode('AUTO');
  }
}

/**
 * Turns of the model are joined, and all results of a turn are in one content, even if the client sent them in several: a
 * turn that calls must follow the user's, and have as many results as calls.
 */
function writeMessages(messages: readonly ChatMessage[], model: string, notes: Notes): Json[] {
  const contents: { readonly role: string; readonly parts: Json[] }[] = [];
  /** Whether the last content consists of results only. */
  let results = false;
  for (const { role, parts } of messages) {
    if (role !== 'user' && role !== 'assistant') continue;
    const written =
      role === 'assistant' ? writeAssistant(parts, model, notes) : writeUser(parts, model, notes);
    if (written.length === 0) continue;
    const speaker = role === 'assistant' ? 'model' : 'user';
    const last = contents.at(-1);
    if (last?.role === speaker && (role === 'assistant' || results))
      for (const part of written) last.parts.push(part);
    else {
      contents.push({ role: speaker, parts: written });
      results = true;
    }
    results &&= written.every(({ functionResponse }) => functionResponse !== undefined);
  }
  // Nor may a conversation begin with a call.
  const [first] = contents;
  const calls = first?.role === 'model' && first.parts.some(({ functionCall }) => functionCall !== undefined);
  return calls ? [{ role: 'user', parts: [{ text: opening }] }, ...contents] : contents;
}

/** Empty texts are refused, so they are left out. */
const writeText = (text: string): Json[] => (text === '' ? [] : [{ text }]);

function writeUser(parts: readonly Part[], model: string, notes: Notes): Json[] {
  const gemini3 = isGemini3(model);
  const results = parts.filter((part) => part.kind === 'tool_result');
  // Older models don't accept images inside a result, so they follow it.
  const shown = gemini3
    ? []
    : results.flatMap(({ content }) => content.filter(({ kind }) => kind !== 'text'));
  return [
    ...results.map((result) => writeResult(result, gemini3, model, notes)),
    ...[...shown, ...parts].flatMap((part): Json[] => {
      if (part.kind === 'text' || part.kind === 'refusal') return writeText(part.text);
      const media = part.kind === 'image' || part.kind === 'document' || part.kind === 'audio';
      return media ? writeMedia(part, model, notes) : [];
    }),
  ];
}

/** Writes a tool's result: a JSON object unchanged, other text in the member that the API documents for it. */
function writeResult(
  { callId, name, content, isError, at }: ToolResultPart,
  gemini3: boolean,
  model: string,
  notes: Notes,
): Json {
  if (name === null) noteInvalid(notes, at, 'must refer to a preceding tool call');
  const text = content.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('\n');
  const object = isError ? null : parseObject(text);
  const media = gemini3 ? content.flatMap((part) => (part.kind === 'text' ? [] : [part])) : [];
  const parts = media.flatMap((part) => writeMedia(part, model, notes));
  return {
    functionResponse: withoutNulls({
      id: ownCallId(callId),
      name,
      response: object ?? { [isError ? 'error' : 'output']: text },
      parts: parts.length === 0 ? null : parts,
    }),
  };
}

/** Writes a turn of the model; signatures go back to the parts they came with. */
function writeAssistant(parts: readonly Part[], model: string, notes: Notes): Json[] {
  const written: Json[] = [];
  /** A signature that came as a separate part, for the next part without one. */
  let loose: string | null = null;
  let called = false;
  for (const part of parts) {
    switch (part.kind) {
      case 'text':
      case 'refusal':
        written.push(...writeText(part.text));
        break;
      case 'reasoning': {
        const value = own(part.signature);
        if (value !== null) written.push({ text: part.text, thought: true, thoughtSignature: value });
        break;
      }
      case 'redacted':
        loose = own(part.data) ?? loose;
        break;
      case 'tool_call': {
        // Only the first of several parallel calls is signed.
        const signature =
          own(part.signature) ?? loose ?? (isGemini3(model) && !called ? skipSignature : null);
        loose = null;
        called = true;
        written.push(...writeCall(part, signature, notes));
        break;
      }
      case 'image':
      case 'document':
      case 'audio':
        for (const media of writeMedia(part, model, notes))
          written.push(isGemini3(model) ? { ...media, thoughtSignature: skipSignature } : media);
        break;
    }
  }
  if (loose !== null) sign(written, loose);
  return written;
}

/** Adds a signature that belongs to no call to the last part, where it came from. */
function sign(written: Json[], thoughtSignature: string): void {
  const last = written.at(-1);
  if (last === undefined || last.thoughtSignature !== undefined) written.push({ text: '', thoughtSignature });
  else last.thoughtSignature = thoughtSignature;
}

/** Gemini's own signature; null: another provider's, which would be refused. */
const own = (signature: Signature | null): string | null =>
  signature?.by === 'gemini' ? signature.value : null;

function writeCall(part: ToolCallPart, thoughtSignature: string | null, notes: Notes): Json[] {
  const args = part.arguments.trim() === '' ? {} : parseObject(part.arguments);
  if (args === null) noteInvalid(notes, part.at, 'must have arguments that are a JSON object');
  const functionCall = withoutNulls({ id: ownCallId(part.id), name: part.name, args });
  return [withoutNulls({ functionCall, thoughtSignature })];
}

const typesByEnding: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  heif: 'image/heif',
  pdf: 'application/pdf',
  txt: 'text/plain',
  md: 'text/markdown',
  html: 'text/html',
  csv: 'text/csv',
};

/** The API requires the media type of a URL: guessed from its extension, otherwise the likeliest of its kind. */
function typeOf(url: string, kind: 'image' | 'document'): string {
  const ending = /\.([a-z0-9]{2,4})(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? '';
  const type = entryOf(typesByEnding, ending);
  // An image is an image whatever its URL ends in: a top-level domain may look like an extension.
  const fits = type?.startsWith('image/') === (kind === 'image');
  return type !== undefined && fits ? type : kind === 'image' ? 'image/jpeg' : 'application/pdf';
}

function writeMedia(part: ImagePart | DocumentPart | AudioPart, model: string, notes: Notes): Json[] {
  if (part.kind === 'audio') return [{ inlineData: { mimeType: part.mediaType, data: part.data } }];
  const { source } = part;
  if (part.kind === 'image') noteDetail(part, notes);
  if (source.kind === 'base64') return [{ inlineData: { mimeType: source.mediaType, data: source.data } }];
  if (source.kind === 'text') {
    const data = Buffer.from(source.text).toString('base64');
    return [{ inlineData: { mimeType: 'text/plain', data } }];
  }
  if (fetchesUrls(model))
    return [{ fileData: { mimeType: typeOf(source.url, part.kind), fileUri: source.url } }];
  noteUnsupported(notes, part.at);
  return [];
}
