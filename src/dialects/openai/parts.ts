/** What OpenAI's chat and Responses APIs share: field names, cache breakpoints, files, results, output formats. */
import { hash } from 'node:crypto';
import { isObject, type Json, objectOf, textOf, withoutNulls } from '../../base/json.ts';
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
  noteDropped,
  noteUnsupported,
  type OpenAiField,
  type OpenAiFieldName,
  type OutputForm,
  type Part,
  type Source,
  type TextPart,
  type ToolResultPart,
} from '../chat.ts';
import { nearestEffort, refusesOf } from '../refuses.ts';
import { asOneObject, withItems, withProperties } from '../tool-schema.ts';
import type { Destination } from '../wire.ts';
import { readDataUrl, writeDataUrl } from './data-url.ts';
import { isOpenAi } from './models.ts';

/** OpenAI's names for the neutral fields. */
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

const both: readonly OpenAiFieldName[] = [
  'prompt_cache_key',
  'prompt_cache_retention',
  'service_tier',
  'store',
  'verbosity',
];

/** Values that mean the same as leaving the field out. */
const unsaid: Readonly<Partial<Record<OpenAiFieldName, readonly unknown[]>>> = {
  service_tier: ['auto', 'default'],
  store: [false],
  verbosity: ['medium'],
};

/** Whether the model is OpenAI's own, at OpenAI or at Azure, where its name may be any. */
export const isOpenAis = ({ served, quirks }: Destination): boolean =>
  quirks.completionTokens === true || isOpenAi(served);

/** Reads what both of OpenAI's dialects have, and no other. @param verbosity where it is, as a path, and its value */
export function readShared(
  body: Json,
  verbosity: { readonly at: string; readonly value: unknown },
): Pick<ChatRequest, 'openai'> {
  const fields: OpenAiField[] = [];
  for (const name of both) {
    const value = name === 'verbosity' ? verbosity.value : body[name];
    if (value === undefined || value === null || unsaid[name]?.includes(value) === true) continue;
    fields.push({ name, value, at: name === 'verbosity' ? verbosity.at : name });
  }
  return fields.length === 0 ? nothing : { openai: fields };
}

const nothing = {};

/** What of it is sent; other servers than OpenAI's are not known to take it. */
export function writeShared(
  { openai: fields }: ChatRequest,
  to: Destination,
  notes: Notes,
): Readonly<Partial<Record<OpenAiFieldName, unknown>>> {
  if (fields === undefined) return nothing;
  const taken = isOpenAis(to);
  if (!taken) for (const { at } of fields) noteDropped(notes, at);
  return taken ? Object.fromEntries(fields.map(({ name, value }) => [name, value])) : {};
}

/** Reads the end user and the app's metadata. */
export function readCaller(body: Json): { user: string | null; metadata: Record<string, string> | null } {
  if (body.metadata === undefined)
    return { user: textOf(body.user) ?? textOf(body.safety_identifier), metadata: null };
  // A provider that knows the field would refuse other values; here they are ignored.
  const texts = Object.entries(objectOf(body.metadata)).filter(([, value]) => typeof value === 'string');
  return {
    user: textOf(body.user) ?? textOf(body.safety_identifier),
    metadata: texts.length === 0 ? null : (Object.fromEntries(texts) as Record<string, string>),
  };
}

/** Reads `prompt_cache_breakpoint`, or Anthropic's `cache_control`, which apps send through OpenAI's SDK too. */
export function readMark({ prompt_cache_breakpoint: own, cache_control: other }: Json): CacheMark | null {
  if (isObject(own)) return { ttlS: own.ttl === '12h' ? 43_200 : own.ttl === '30m' ? 1800 : null };
  if (isObject(other)) return { ttlS: other.ttl === '1h' ? 3600 : other.ttl === '5m' ? 300 : null };
  return null;
}

/** Whether a model accepts cache breakpoints; others cache prompts automatically and refuse the field. */
export const takesMarks = (model: string): boolean => /^gpt-(?:5\.[6-9]|5\.\d\d|[6-9])/.test(model);

/** Writes a cache breakpoint. @param marks whether the model accepts them */
export function writeMark(cache: CacheMark | null, marks: boolean): Json {
  if (cache === null || !marks) return {};
  const ttl = cache.ttlS === null || cache.ttlS <= 300 ? null : cache.ttlS <= 1800 ? '30m' : '12h';
  return { prompt_cache_breakpoint: withoutNulls({ mode: 'explicit', ttl }) };
}

/** Reads an effort; an unknown one is noted as dropped. */
export function readEffort(value: unknown, field: string, notes: Notes): Effort | null {
  const effort = efforts.find((name) => name === value) ?? null;
  if (effort === null && (value ?? null) !== null) noteDropped(notes, field);
  return effort;
}

/** Reads an image's URL; null: a data URL that isn't Base64. */
export const readImageUrl = (url: string): Source | null =>
  readDataUrl(url) ?? (url.startsWith('data:') ? null : { kind: 'url', url });

/** Writes an image's URL; null: the source is text. */
export function writeImageUrl({ source }: ImagePart): string | null {
  if (source.kind === 'text') return null;
  return source.kind === 'url' ? source.url : writeDataUrl(source.mediaType, source.data);
}

/** Reads `file_data`, which is a PDF if it has no media type; null: a data URL that isn't Base64. */
export function readFileData(data: string): Source | null {
  const read = readDataUrl(data);
  if (read === null && data.startsWith('data:')) return null;
  const source = read ?? { kind: 'base64' as const, mediaType: 'application/pdf', data };
  return source.mediaType.startsWith('text/plain')
    ? { kind: 'text', text: Buffer.from(source.data, 'base64').toString('utf8') }
    : source;
}

/** Writes a document's name and bytes; null: only its URL is known. */
export function writeFileData({ source, name }: DocumentPart): Json | null {
  if (source.kind === 'url') return null;
  if (source.kind === 'base64')
    return { filename: name ?? 'document.pdf', file_data: writeDataUrl(source.mediaType, source.data) };
  const data = Buffer.from(source.text).toString('base64');
  return { filename: name ?? 'document.txt', file_data: writeDataUrl('text/plain', data) };
}

/** A document of plain text, behind its name; null: it is none. */
export function textOfDocument({ source, name }: DocumentPart): string | null {
  if (source.kind === 'url' || (source.kind === 'base64' && !source.mediaType.startsWith('text/')))
    return null;
  const text = source.kind === 'text' ? source.text : Buffer.from(source.data, 'base64').toString('utf8');
  return name === null ? text : `${name}\n${text}`;
}

/** First text in the result of a failed tool, as there is no field for failure. */
export const toolFailed = '[tool error]';

const isShown = (part: Part): part is ToolResultPart['content'][number] =>
  part.kind === 'text' || part.kind === 'image' || part.kind === 'document';

/** Reads a tool's result from its content; `whole`: none of it was left out. */
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

/** A text as parts; empty: the text is empty. */
export const plainText = (text: string): TextPart[] =>
  text === '' ? [] : [{ kind: 'text', text, cache: null }];

/** Reads an output format; null: plain text; undefined: one that no other dialect has. */
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

/** Writes a schema; null: the model refuses it. Both APIs require a name, and OpenAI's own models an object. */
export function writeSchema(
  { name, description, schema, strict }: OutputForm & { kind: 'schema' },
  model: string,
  field: string,
  notes: Notes,
): Json | null {
  if (isOpenAi(model) && schema.type !== undefined && schema.type !== 'object') {
    noteUnsupported(notes, field);
    return null;
  }
  return withoutNulls({ name: name ?? 'answer', description, schema: withItems(schema), strict });
}

/** Writes a function's parameters. @param at the client's field that holds the tool */
export function writeParameters(parameters: Json, at: string, to: Destination, notes: Notes): Json {
  const whole = withItems(parameters);
  return withProperties(isOpenAis(to) ? asOneObject(whole, at, notes) : whole);
}

/** Longest user identifier that is accepted, in characters. */
const userMaxLength = 64;

/** The user identifier; a longer one is replaced by its digest, which is just as stable. */
export const writeUser = (user: string | null): string | null =>
  user === null || user.length <= userMaxLength ? user : hash('sha256', user);

/** The call id; servers other than OpenAI's require their own id back unchanged. */
export const writeCallId = (id: string, model: string): string => (isOpenAi(model) ? plainCallId(id) : id);

/** The effort to send; null for models that don't reason, which would refuse it. */
export function writeEffort({ reasoning, names }: ChatRequest, to: Destination, notes: Notes): Effort | null {
  const asked = reasoning === null ? null : effortOf(reasoning);
  if (asked === null) return null;
  const effort = to.reasons === false ? null : nearestEffort(asked, refusesOf(to));
  if (effort === null && (asked !== 'none' || to.reasons !== false)) noteDropped(notes, names.reasoning);
  return effort;
}

const sampling = {
  temperature: 'temperature',
  topP: 'top_p',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty',
} as const;
/** Writes sampling parameters. */
export function writeSampling(request: ChatRequest): Json {
  const written: Json = {};
  for (const field of ['temperature', 'topP', 'frequencyPenalty', 'presencePenalty'] as const) {
    if (request[field] !== null) written[sampling[field]] = request[field];
  }
  return written;
}
