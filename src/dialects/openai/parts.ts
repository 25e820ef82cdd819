/** What OpenAI's chat dialect and its Responses API have in common: names, marks, files, results, forms of output. */
import { hash } from 'node:crypto';
import { isObject, type Json, objectOf, said, textOf } from '../../base/json.ts';
import { plainCallId } from '../call-id.ts';
import {
  type CacheMark,
  type ChatField,
  type ChatRequest,
  type DocumentPart,
  type Effort,
  effortOf,
  efforts,
  type ImagePart,
  type Notes,
  noteCannot,
  noteDropped,
  type OutputForm,
  type Part,
  type Source,
  type TextPart,
  type ToolResultPart,
} from '../chat.ts';
import type { Destination } from '../wire.ts';
import { readDataUrl, writeDataUrl } from './data-url.ts';
import { effortFor, isOpenAi, takesSampling } from './models.ts';

/** OpenAI's own names of fields. */
export const openaiNames: Readonly<Record<ChatField, string>> = {
  tools: 'tools',
  toolChoice: 'tool_choice',
  parallelToolCalls: 'parallel_tool_calls',
  stop: 'stop',
  maxTokens: 'max_completion_tokens',
  temperature: 'temperature',
  topP: 'top_p',
  topK: 'top_k',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty',
  seed: 'seed',
  output: 'response_format',
  reasoning: 'reasoning_effort',
  user: 'user',
  metadata: 'metadata',
};

/** Who asks, and labels of the app's own. */
export function readCaller(body: Json): { user: string | null; metadata: Record<string, string> | null } {
  // What is no text is refused by whoever knows the field; here it is nothing.
  const told = Object.entries(objectOf(body.metadata)).filter(([, value]) => typeof value === 'string');
  return {
    user: textOf(body.user) ?? textOf(body.safety_identifier),
    metadata: told.length === 0 ? null : (Object.fromEntries(told) as Record<string, string>),
  };
}

/** `prompt_cache_breakpoint`, and Anthropic's `cache_control`, which apps send through OpenAI's SDK as well. */
export function readMark({ prompt_cache_breakpoint: own, cache_control: other }: Json): CacheMark | null {
  if (isObject(own)) return { ttlS: own.ttl === '12h' ? 43_200 : own.ttl === '30m' ? 1800 : null };
  if (isObject(other)) return { ttlS: other.ttl === '1h' ? 3600 : other.ttl === '5m' ? 300 : null };
  return null;
}

/** Models that take marks; others keep prompts by themselves, and refuse them. */
export const takesMarks = (model: string): boolean => /^gpt-(?:5\.[6-9]|5\.\d\d|[6-9])/.test(model);

/** @param marks whether the model takes them */
export function writeMark(cache: CacheMark | null, marks: boolean): Json {
  if (cache === null || !marks) return {};
  const ttl = cache.ttlS === null || cache.ttlS <= 300 ? null : cache.ttlS <= 1800 ? '30m' : '12h';
  return { prompt_cache_breakpoint: said({ mode: 'explicit', ttl }) };
}

/** An effort by its name; what nobody knows is named as dropped. */
export function readEffort(value: unknown, field: string, notes: Notes): Effort | null {
  const effort = efforts.find((name) => name === value) ?? null;
  if (effort === null && (value ?? null) !== null) noteDropped(notes, field);
  return effort;
}

/** Null: it holds bytes in a form that nobody reads. */
export const readImageUrl = (url: string): Source | null =>
  readDataUrl(url) ?? (url.startsWith('data:') ? null : { kind: 'url', url });

/** Null: text is no picture. */
export function writeImageUrl({ source }: ImagePart): string | null {
  if (source.kind === 'text') return null;
  return source.kind === 'url' ? source.url : writeDataUrl(source.mediaType, source.data);
}

/** The bytes of `file_data`; without a media type they are a PDF's. Null: in a form that nobody reads. */
export function readFileData(data: string): Source | null {
  const read = readDataUrl(data);
  if (read === null && data.startsWith('data:')) return null;
  const source = read ?? { kind: 'base64' as const, mediaType: 'application/pdf', data };
  return source.mediaType.startsWith('text/plain')
    ? { kind: 'text', text: Buffer.from(source.data, 'base64').toString('utf8') }
    : source;
}

/** Null: the document is elsewhere, under a URL. */
export function writeFileData({ source, name }: DocumentPart): Json | null {
  if (source.kind === 'url') return null;
  if (source.kind === 'base64')
    return { filename: name ?? 'document.pdf', file_data: writeDataUrl(source.mediaType, source.data) };
  const data = Buffer.from(source.text).toString('base64');
  return { filename: name ?? 'document.txt', file_data: writeDataUrl('text/plain', data) };
}

/** First text of a failed tool's result: there is no field for it. */
export const toolFailed = '[tool error]';

const isShown = (part: Part): part is ToolResultPart['content'][number] =>
  part.kind === 'text' || part.kind === 'image' || part.kind === 'document';

/** A tool's result out of its content; `whole`: all of that could be read. */
export function readToolResult(
  parts: readonly Part[],
  callId: string,
  calls: ReadonlyMap<string, string>,
  at: string,
): { readonly result: ToolResultPart; readonly whole: boolean } {
  const content = parts.filter(isShown);
  const [first] = content;
  const isError = first?.kind === 'text' && first.text === toolFailed;
  const result: ToolResultPart = {
    kind: 'tool_result',
    callId,
    name: calls.get(callId) ?? null,
    content: isError ? content.slice(1) : content,
    isError,
    cache: null,
    at,
  };
  return { result, whole: content.length === parts.length };
}

/** A text that may be none. */
export const plainText = (text: string): TextPart[] =>
  text === '' ? [] : [{ kind: 'text', text, cache: null }];

/** A form of output by its type; undefined: one that nobody else has. */
export function readOutput(type: unknown, fields: Json): OutputForm | null | undefined {
  if (type === undefined || type === 'text') return null;
  if (type === 'json_object') return { kind: 'json' };
  const { schema, name, description, strict } = fields;
  if (type !== 'json_schema' || !isObject(schema)) return undefined;
  return {
    kind: 'schema',
    schema,
    name: textOf(name),
    description: textOf(description),
    strict: typeof strict === 'boolean' ? strict : null,
  };
}

/** A schema as both write it; they demand a name, and OpenAI itself an object. */
export function writeSchema(
  { name, description, schema, strict }: OutputForm & { kind: 'schema' },
  model: string,
  field: string,
  notes: Notes,
): Json {
  if (isOpenAi(model) && schema.type !== undefined && schema.type !== 'object') noteCannot(notes, field);
  return said({ name: name ?? 'answer', description, schema, strict });
}

/** The longest name of a user that is taken, in characters. */
const userMaxLength = 64;

/** A longer name is told by its digest, which is as stable. */
export const writeUser = (user: string | null): string | null =>
  user === null || user.length <= userMaxLength ? user : hash('sha256', user);

/** Other servers want the id back in the form they gave it. */
export const writeCallId = (id: string, model: string): string => (isOpenAi(model) ? plainCallId(id) : id);

/** Models that don't reason refuse every word about it. */
export function writeEffort(
  { reasoning, names }: ChatRequest,
  { model, reasons }: Destination,
  notes: Notes,
): Effort | null {
  const effort = reasoning === null ? null : effortOf(reasoning);
  if (effort === null) return null;
  if (reasons !== false) return effortFor(effort, model);
  if (effort !== 'none') noteDropped(notes, names.reasoning);
  return null;
}

const sampling = {
  temperature: 'temperature',
  topP: 'top_p',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty',
} as const;
/** What they are where nothing is said of them. */
const plainly = { temperature: 1, topP: 1, frequencyPenalty: 0, presencePenalty: 0 } as const;

/** @param effort as it is told the model: while it reasons it takes no sampling */
export function writeSampling(
  request: ChatRequest,
  model: string,
  effort: Effort | null,
  notes: Notes,
): Json {
  const taken = takesSampling(model, effort);
  const written: Json = {};
  for (const field of ['temperature', 'topP', 'frequencyPenalty', 'presencePenalty'] as const) {
    const value = request[field];
    if (value === null) continue;
    if (taken) written[sampling[field]] = value;
    else if (value !== plainly[field]) noteDropped(notes, request.names[field]);
  }
  return written;
}
