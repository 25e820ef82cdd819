/**
 * Tokens of a prompt, for providers that don't state them: its text by a tokenizer, its images by the providers' rules,
 * plus the overhead of the message format. Runs in the worker thread.
 */

import { isObject, type Json, objectOf, textOf } from '../base/json.ts';
import type { DialectName } from '../exchange/dialects.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import { assumedSize, imageSize, imageTokens } from './image.ts';

/** Counts the tokens of a text. */
export type CountText = (text: string) => number;

/** Tokens of a prompt. */
export interface PromptCount {
  readonly promptTokens: number;
  /** How many of them are for images. */
  readonly imageTokens: number;
}

/** Overhead of each message and of the reply; https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken */
const messageTokens = 3;
const replyStartTokens = 3;
/** Characters of base64 searched for the header of an image. */
const imageHeadMax = 256 * 1024;

/** Where a conversation is, in dialects that don't call it `messages`. */
const conversationIn: Readonly<Partial<Record<DialectName, string>>> = {
  responses: 'input',
  gemini: 'contents',
};

/** A list's items, whatever they are; none if it isn't a list. */
const itemsOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Counts the tokens of a request's parsed body. Never throws: values of unexpected types are ignored. */
export function countPrompt(
  { dialect, kind }: Pick<Endpoint, 'dialect' | 'kind'>,
  given: unknown,
  countText: CountText,
): PromptCount {
  if (!isObject(given)) return { promptTokens: 0, imageTokens: 0 };
  // Gemini's `:countTokens` takes a whole request, too.
  const { generateContentRequest: whole } = given;
  const body = dialect === 'gemini' && isObject(whole) ? whole : given;
  const counter = createCounter(
    dialect === 'anthropic' ? 'anthropic' : 'openai',
    textOf(body.model) ?? '',
    countText,
  );
  if (kind === 'embedding' && dialect === 'openai') {
    // Texts, or arrays of token ids.
    const inputs = Array.isArray(body.input) ? body.input : [body.input];
    counter.add(inputs.flat().reduce((sum: number, each) => sum + (typeof each === 'number' ? 1 : 0), 0));
    for (const each of inputs) counter.text(each);
    return counter.result();
  }
  if (dialect === 'cohere') {
    counter.text(body.query);
    for (const each of [...itemsOf(body.documents), ...itemsOf(body.texts)]) {
      if (typeof each === 'string') counter.text(each);
      else counter.json(each);
    }
    for (const each of itemsOf(body.inputs)) if (isObject(each)) counter.content(each.content);
    return counter.result();
  }
  if (kind === 'embedding') {
    for (const each of [body, ...itemsOf(body.requests)])
      if (isObject(each) && isObject(each.content)) counter.content(each.content.parts);
    return counter.result();
  }
  for (const system of [body.system, body.instructions, body.systemInstruction, body.system_instruction])
    counter.content(isObject(system) ? system.parts : system);
  const conversation = body[conversationIn[dialect] ?? 'messages'];
  if (typeof conversation === 'string') {
    // A single user message.
    counter.add(messageTokens);
    counter.text('user');
    counter.text(conversation);
  }
  for (const message of itemsOf(conversation)) {
    if (!isObject(message)) continue;
    counter.add(messageTokens);
    counter.text(message.role);
    counter.text(message.name);
    counter.content(message.content ?? message.parts ?? message.output);
    counter.text(message.reasoning_content);
    for (const call of itemsOf(message.tool_calls))
      if (isObject(call)) counter.json(call.function ?? call.custom);
    counter.json(message.function_call);
    // Calls are items of their own in Responses: of functions, custom tools, shells, patches and code.
    for (const given of [message.arguments, message.input, message.code]) counter.text(given);
    for (const given of [message.action, message.operation]) counter.json(given);
  }
  for (const tool of [...itemsOf(body.tools), ...itemsOf(body.functions)])
    counter.json(isObject(tool) ? (tool.function ?? tool) : tool);
  counter.json(schemaOf(body));
  counter.add(replyStartTokens);
  return counter.result();
}

/** The JSON Schema that a reply is to follow, which the model reads too; undefined: none. */
function schemaOf(body: Json): unknown {
  const { response_format: chat, text, output_config: claude, output_format: before } = body;
  const gemini = objectOf(body.generationConfig ?? body.generation_config);
  return (
    objectOf(chat).json_schema ??
    objectOf(objectOf(text).format).schema ??
    objectOf(objectOf(claude).format ?? before).schema ??
    gemini.responseSchema ??
    gemini.response_schema ??
    gemini.responseJsonSchema ??
    gemini.response_json_schema
  );
}

interface Counter {
  add(tokens: number): void;
  text(value: unknown): void;
  json(value: unknown): void;
  content(value: unknown): void;
  result(): PromptCount;
}

function createCounter(dialect: DialectName, model: string, countText: CountText): Counter {
  let promptTokens = 0;
  let images = 0;
  const counter: Counter = {
    add(tokens) {
      promptTokens += tokens;
    },
    text(value) {
      if (typeof value === 'string') promptTokens += countText(value);
    },
    json(value) {
      if (value !== undefined) promptTokens += countText(JSON.stringify(value));
    },
    content(value) {
      counter.text(value);
      // What a tool of the provider gave is a single part.
      for (const part of isObject(value) ? [value] : itemsOf(value)) {
        if (!isObject(part)) continue;
        for (const each of [part.text, part.thinking, part.stdout, part.stderr]) counter.text(each);
        counter.json(part.input);
        // Gemini's calls and their results.
        counter.json(part.functionCall ?? part.function_call);
        counter.json(part.functionResponse ?? part.function_response);
        counter.json(part.executableCode ?? part.executable_code);
        counter.json(part.codeExecutionResult ?? part.code_execution_result);
        // A tool's result contains parts.
        counter.content(part.content);
        // Anthropic's documents.
        for (const each of [part.title, part.context]) counter.text(each);
        const { type, data, content } = objectOf(part.source);
        counter.content(type === 'text' ? data : content);
        const image = imageOf(part);
        if (image !== null) images += imageTokens(dialect, model, image.size, image.lowDetail);
      }
    },
    result: () => ({ promptTokens: promptTokens + images, imageTokens: images }),
  };
  return counter;
}

/** The image in a part of a message; null: there is none. */
function imageOf(part: Json): { size: typeof assumedSize; lowDetail: boolean } | null {
  if (part.type === 'image_url' && isObject(part.image_url)) {
    return { size: sizeOf(base64In(part.image_url.url)), lowDetail: part.image_url.detail === 'low' };
  }
  if (part.type === 'input_image') {
    return { size: sizeOf(base64In(part.image_url)), lowDetail: part.detail === 'low' };
  }
  const blob = part.inlineData ?? part.inline_data;
  if (isObject(blob) && /^image\//.test(textOf(blob.mimeType ?? blob.mime_type) ?? ''))
    return { size: sizeOf(blob.data), lowDetail: false };
  if (part.type !== 'image' || !isObject(part.source)) return null;
  return { size: sizeOf(part.source.data), lowDetail: false };
}

/** The base64 data of a data URL; undefined: it isn't one. */
const base64In = (url: unknown): string | undefined =>
  typeof url === 'string' && /^data:[^,]*;base64,/.test(url) ? url.split(',', 2)[1] : undefined;

const sizeOf = (base64: unknown): typeof assumedSize =>
  (typeof base64 === 'string' ? imageSize(Buffer.from(base64.slice(0, imageHeadMax), 'base64')) : null) ??
  assumedSize;
