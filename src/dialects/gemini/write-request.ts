/** Writes a request for a Gemini provider: AI Studio or Vertex. https://ai.google.dev/api/generate-content */

import { entryOf, type Json, parseObject, said } from '../../base/json.ts';
import { ownCallId } from '../call-id.ts';
import {
  type AudioPart,
  type ChatMessage,
  type ChatRequest,
  type DocumentPart,
  type ImagePart,
  type Notes,
  noteCannot,
  noteDetail,
  noteDropped,
  noteInvalid,
  type Part,
  type Signature,
  systemTexts,
  type Tool,
  type ToolCallPart,
  type ToolChoice,
  type ToolResultPart,
} from '../chat.ts';
import type { ChatCall, Destination } from '../wire.ts';
import { fetchesUrls, isThird, mixesSchemaAndTools } from './models.ts';
import { writeSchema } from './schema.ts';
import { writeThinking } from './thinking.ts';

/** What follows a provider's base URL. */
export const pathOf = (model: string, stream: boolean): string =>
  `/models/${encodeURIComponent(model)}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`;

export function writeRequest(request: ChatRequest, to: Destination, notes: Notes): ChatCall {
  const { names, tools, messages } = request;
  if (request.user !== null) noteDropped(notes, names.user);
  if (request.metadata !== null) noteDropped(notes, names.metadata);
  // The model itself decides whether it makes several calls at once.
  if (request.parallelToolCalls === false && tools.length > 0) noteDropped(notes, names.parallelToolCalls);
  const system = systemTexts(messages, notes).flatMap(({ text }) => writeText(text));
  const generationConfig = writeConfig(request, to, notes);
  const body = said({
    systemInstruction: system.length === 0 ? null : { parts: system },
    contents: messages.flatMap((message) => writeMessage(message, to.model, notes)),
    tools: tools.length === 0 ? null : [{ functionDeclarations: tools.map(writeTool) }],
    toolConfig: writeChoice(request.toolChoice, tools),
    generationConfig: Object.keys(generationConfig).length === 0 ? null : generationConfig,
  });
  return { path: pathOf(to.model, request.stream), body, headers: [] };
}

/** The most stop sequences that are taken. */
const stopMax = 5;

function writeConfig(request: ChatRequest, to: Destination, notes: Notes): Json {
  const { output, stop, names } = request;
  if (stop.length > stopMax) noteCannot(notes, names.stop);
  if (output !== null && request.tools.length > 0 && !mixesSchemaAndTools(to.model))
    noteCannot(notes, names.output);
  return said({
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
  said({ name, description, parametersJsonSchema: parameters === null ? null : writeSchema(parameters) });

/** Arguments that must fit their schemas are asked for by a mode, not by the tool. */
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

function writeMessage({ role, parts }: ChatMessage, model: string, notes: Notes): Json[] {
  if (role === 'system' || role === 'developer') return [];
  const written = role === 'assistant' ? writeAssistant(parts, model, notes) : writeUser(parts, model, notes);
  return written.length === 0 ? [] : [{ role: role === 'assistant' ? 'model' : 'user', parts: written }];
}

/** Empty texts say nothing, and are refused. */
const writeText = (text: string): Json[] => (text === '' ? [] : [{ text }]);

function writeUser(parts: readonly Part[], model: string, notes: Notes): Json[] {
  const third = isThird(model);
  const results = parts.filter((part) => part.kind === 'tool_result');
  // Older models take no pictures inside a result: they follow it.
  const shown = third ? [] : results.flatMap(({ content }) => content.filter(({ kind }) => kind !== 'text'));
  return [
    ...results.map((result) => writeResult(result, third, model, notes)),
    ...[...shown, ...parts].flatMap((part): Json[] => {
      if (part.kind === 'text' || part.kind === 'refusal') return writeText(part.text);
      const media = part.kind === 'image' || part.kind === 'document' || part.kind === 'audio';
      return media ? writeMedia(part, model, notes) : [];
    }),
  ];
}

/** A tool that gave an object is quoted with it; other text stands under the name the API documents for it. */
function writeResult(
  { callId, name, content, isError, at }: ToolResultPart,
  third: boolean,
  model: string,
  notes: Notes,
): Json {
  if (name === null) noteInvalid(notes, at, 'must answer a call that stands before it');
  const text = content.flatMap((part) => (part.kind === 'text' ? [part.text] : [])).join('\n');
  const object = isError ? null : parseObject(text);
  const media = third ? content.flatMap((part) => (part.kind === 'text' ? [] : [part])) : [];
  const parts = media.flatMap((part) => writeMedia(part, model, notes));
  return {
    functionResponse: said({
      id: ownCallId(callId),
      name,
      response: object ?? { [isError ? 'error' : 'output']: text },
      parts: parts.length === 0 ? null : parts,
    }),
  };
}

/** Documented for calls that another model made, which have no signature: the API then doesn't ask for one. */
const skipSignature = 'skip_thought_signature_validator';

/** What the model said. Signatures return to the parts they came with. */
function writeAssistant(parts: readonly Part[], model: string, notes: Notes): Json[] {
  const written: Json[] = [];
  /** A signature that came on its own, for the next part that has none. */
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
        // Of calls made at once only the first is signed.
        const signature = own(part.signature) ?? loose ?? (isThird(model) && !called ? skipSignature : null);
        loose = null;
        called = true;
        written.push(...writeCall(part, signature, notes));
        break;
      }
      case 'image':
      case 'document':
      case 'audio':
        written.push(...writeMedia(part, model, notes));
        break;
    }
  }
  if (loose !== null) sign(written, loose);
  return written;
}

/** A signature that belongs to no call stands on the last part, as it came. */
function sign(written: Json[], thoughtSignature: string): void {
  const last = written.at(-1);
  if (last === undefined || last.thoughtSignature !== undefined) written.push({ text: '', thoughtSignature });
  else last.thoughtSignature = thoughtSignature;
}

/** Null where another provider signed: it would be refused. */
const own = (signature: Signature | null): string | null =>
  signature?.by === 'gemini' ? signature.value : null;

function writeCall(part: ToolCallPart, thoughtSignature: string | null, notes: Notes): Json[] {
  const args = part.arguments.trim() === '' ? {} : parseObject(part.arguments);
  if (args === null) noteInvalid(notes, part.at, 'must have arguments that are a JSON object');
  const functionCall = said({ id: ownCallId(part.id), name: part.name, args });
  return [said({ functionCall, thoughtSignature })];
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

/** The API wants a file's type beside its address; where its name doesn't tell, the likeliest. */
function typeOf(url: string, kind: 'image' | 'document'): string {
  const ending = /\.([a-z0-9]{2,4})(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? '';
  const type = entryOf(typesByEnding, ending);
  // A picture is one, whatever its address ends in: the end of a host may look like a file's.
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
  noteCannot(notes, part.at);
  return [];
}
