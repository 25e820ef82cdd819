/** Reads an OpenAI chat request: refuses what the API refuses, ignores what has no effect here. */
import { isObject, type Json } from '../base/json.ts';
import {
  attachmentTokens,
  base64Bytes,
  booleanField,
  numberField,
  shown,
  type Tally,
  tallyMessage,
  tallyText,
  wrongType,
} from './check.ts';
import { invalid } from './errors.ts';
import type { Asked, Attachment, Tool } from './exchange.ts';
import { hash } from './random.ts';
import { takeLine } from './scenario.ts';

const roles = ['system', 'assistant', 'user', 'function', 'tool', 'developer'];
const choicesMax = 128;
const stopsMax = 4;
const toolsMax = 128;
const toolName = /^[a-zA-Z0-9_-]{1,64}$/;

/** The model's name; refused if missing, as the API does. */
export function modelOf(body: Json): string {
  const { model } = body;
  if (model === undefined || model === null || model === '') invalid('you must provide a model parameter');
  if (typeof model !== 'string') wrongType('openai', 'model', 'a string', model);
  return model;
}

function missing(name: string): never {
  invalid(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter');
}

function attachment(part: Json): Attachment | null {
  const source = (field: unknown, name: string) =>
    isObject(field) && typeof field[name] === 'string' ? field[name] : '';
  if (part.type === 'image_url') {
    const url = source(part.image_url, 'url');
    return {
      noun: 'an image',
      bytes: url.startsWith('data:') ? base64Bytes(url.slice(url.indexOf(',') + 1)) : null,
    };
  }
  if (part.type === 'input_audio')
    return { noun: 'a sound', bytes: base64Bytes(source(part.input_audio, 'data')) };
  if (part.type !== 'file') return null;
  const data = source(part.file, 'file_data');
  return { noun: 'a document', bytes: data === '' ? null : base64Bytes(data.slice(data.indexOf(',') + 1)) };
}

interface ParsedContent {
  text: string;
  attachments: Attachment[];
}

/** Text and attachments of a message's content; adds to the tally. */
function readContent(content: unknown, path: string, tally: Tally): ParsedContent {
  const parsed: ParsedContent = { text: '', attachments: [] };
  if (content === undefined || content === null) return parsed;
  if (typeof content === 'string') {
    tallyText(tally, content);
    parsed.text = content;
    return parsed;
  }
  if (!Array.isArray(content)) wrongType('openai', path, 'one of a string or array of objects', content);
  for (const [n, part] of content.entries()) {
    if (!isObject(part)) wrongType('openai', `${path}[${n}]`, 'an object', part);
    if (part.type === 'text' || part.type === 'refusal') {
      const text = part[part.type];
      if (typeof text !== 'string') wrongType('openai', `${path}[${n}].${part.type}`, 'a string', text);
      tallyText(tally, text);
      parsed.text += parsed.text === '' ? text : `\n${text}`;
      continue;
    }
    const file = attachment(part);
    if (file === null) {
      const supported = "'text', 'image_url', 'input_audio', 'refusal', and 'file'";
      invalid(
        `Invalid value: '${shown(part.type)}'. Supported values are: ${supported}.`,
        `${path}[${n}]`,
        'invalid_value',
      );
    }
    tally.tokens += attachmentTokens;
    tally.key = hash(`${file.noun} ${file.bytes}`, tally.key);
    parsed.attachments.push(file);
  }
  return parsed;
}

interface Conversation extends ParsedContent {
  toolResult: string | null;
}

/** The messages of a chat; the last user message is the question. Cohere's have the same form. */
export function readMessages(body: Json, tally: Tally): Conversation {
  const { messages } = body;
  if (messages === undefined || messages === null) missing('messages');
  if (!Array.isArray(messages)) wrongType('openai', 'messages', 'an array of objects', messages);
  if (messages.length === 0) {
    invalid(
      "Invalid 'messages': empty array. Expected an array with minimum length 1.",
      'messages',
      'empty_array',
    );
  }
  let last: ParsedContent = { text: '', attachments: [] };
  let toolResult: string | null = null;
  const callIds = new Set<unknown>();
  for (const [n, message] of messages.entries()) {
    const path = `messages[${n}]`;
    if (!isObject(message)) wrongType('openai', path, 'an object', message);
    const { role, content } = message;
    if (typeof role !== 'string') missing(`${path}.role`);
    if (!roles.includes(role)) {
      const supported = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'";
      invalid(
        `Invalid value: '${role}'. Supported values are: ${supported}.`,
        `${path}.role`,
        'invalid_value',
      );
    }
    tallyMessage(tally, role);
    const parsed = readContent(content, `${path}.content`, tally);
    const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
    for (const call of calls) {
      if (isObject(call)) callIds.add(call.id);
      tallyText(tally, JSON.stringify(call));
    }
    if (content === undefined && (role !== 'assistant' || (calls.length === 0 && !message.function_call))) {
      missing(`${path}.content`);
    }
    if (role === 'tool' && !callIds.has(message.tool_call_id)) {
      const what = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.";
      invalid(`Invalid parameter: ${what}`, `${path}.role`);
    }
    toolResult = role === 'tool' || role === 'function' ? parsed.text : null;
    if (role === 'user') last = parsed;
  }
  return { ...last, toolResult };
}

/** The function tools of a request. Throws a `Rejection` if the API would refuse. */
export function readTools(body: Json, tally: Tally): Tool[] {
  const { tools } = body;
  if (tools === undefined || tools === null) return [];
  if (!Array.isArray(tools)) wrongType('openai', 'tools', 'an array of objects', tools);
  if (tools.length > toolsMax)
    invalid(
      `Invalid 'tools': array too long. Expected at most ${toolsMax}.`,
      'tools',
      'array_above_max_length',
    );
  const read: Tool[] = [];
  for (const [n, tool] of tools.entries()) {
    if (!isObject(tool)) wrongType('openai', `tools[${n}]`, 'an object', tool);
    // Tools of other types are accepted but never called.
    if (tool.type !== 'function') continue;
    if (!isObject(tool.function)) missing(`tools[${n}].function`);
    const { name, parameters } = tool.function;
    if (typeof name !== 'string' || !toolName.test(name)) {
      const path = `tools[${n}].function.name`;
      invalid(`Invalid '${path}': expected 1 to 64 letters, digits, _ or -.`, path, 'invalid_value');
    }
    read.push({ name, schema: parameters });
  }
  if (read.length > 0) tallyText(tally, JSON.stringify(tools));
  return read;
}

function readToolChoice(body: Json, tools: readonly Tool[]): Asked['toolChoice'] {
  const choice = body.tool_choice;
  if (choice === undefined || choice === null) return 'auto';
  if (tools.length === 0 && choice !== 'none') {
    invalid(
      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
      'tool_choice',
    );
  }
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice;
  const named = isObject(choice) && isObject(choice.function) ? choice.function.name : undefined;
  if (typeof named !== 'string') {
    invalid(
      "Invalid value for 'tool_choice': expected 'none', 'auto', 'required' or a function.",
      'tool_choice',
      'invalid_value',
    );
  }
  if (!tools.some((tool) => tool.name === named)) {
    invalid(`Tool choice '${named}' not found in 'tools' parameter.`, 'tool_choice');
  }
  return { name: named };
}

function readFormat(body: Json, raw: () => string): Asked['json'] {
  const format = body.response_format;
  if (format === undefined || format === null) return null;
  if (!isObject(format)) wrongType('openai', 'response_format', 'an object', format);
  if (format.type === 'text') return null;
  if (format.type === 'json_object') {
    if (/json/i.test(raw())) return { schema: null };
    const what = "must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.";
    invalid(`'messages' ${what}`, 'messages');
  }
  if (format.type !== 'json_schema') {
    const supported = "'json_object', 'json_schema', and 'text'";
    invalid(
      `Invalid value: '${shown(format.type)}'. Supported values are: ${supported}.`,
      'response_format.type',
      'invalid_value',
    );
  }
  const schema = format.json_schema;
  if (!isObject(schema)) missing('response_format.json_schema');
  if (typeof schema.name !== 'string') missing('response_format.json_schema.name');
  if (!isObject(schema.schema)) missing('response_format.json_schema.schema');
  return { schema: schema.schema };
}

function readStops(body: Json): string[] {
  const { stop } = body;
  if (stop === undefined || stop === null) return [];
  const stops = typeof stop === 'string' ? [stop] : stop;
  if (!Array.isArray(stops)) wrongType('openai', 'stop', 'one of a string or array of strings', stop);
  if (stops.length > stopsMax)
    invalid(
      `Invalid 'stop': array too long. Expected at most ${stopsMax}.`,
      'stop',
      'array_above_max_length',
    );
  for (const one of stops)
    if (typeof one !== 'string') wrongType('openai', 'stop', 'an array of strings', one);
  return stops.filter((one) => one !== '');
}

function readStreamOptions(body: Json, stream: boolean): boolean {
  const options = body.stream_options;
  if (options === undefined || options === null) return false;
  if (!stream)
    invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.", 'stream_options');
  if (!isObject(options)) wrongType('openai', 'stream_options', 'an object', options);
  return booleanField('openai', options, 'include_usage');
}

/** Reads the body of `POST /v1/chat/completions`. Throws a `Rejection` where the API would refuse. */
export function readChat(body: Json): Asked {
  const model = modelOf(body);
  const tally: Tally = { tokens: messageOverhead, key: hash(model) };
  const parsed = readMessages(body, tally);
  const tools = readTools(body, tally);
  const stream = booleanField('openai', body, 'stream');
  const range = { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true };
  const legacyMax = numberField('openai', body, 'max_tokens', range, Number.POSITIVE_INFINITY);
  numberField('openai', body, 'temperature', { min: 0, max: 2, whole: false }, 1);
  numberField('openai', body, 'top_p', { min: 0, max: 1, whole: false }, 1);
  const line = takeLine(parsed.text);
  return {
    dialect: 'openai',
    model,
    stream,
    choices: numberField('openai', body, 'n', { min: 1, max: choicesMax, whole: true }, 1),
    outputMax: numberField('openai', body, 'max_completion_tokens', range, legacyMax),
    stops: readStops(body),
    question: line?.rest ?? parsed.text,
    line: line?.pairs ?? null,
    toolResult: parsed.toolResult,
    attachments: parsed.attachments,
    tools,
    toolChoice: readToolChoice(body, tools),
    parallel: body.parallel_tool_calls !== false,
    json: readFormat(body, () => JSON.stringify(body.messages)),
    thinkingMax: 0,
    thinkingShown: false,
    includeUsage: readStreamOptions(body, stream),
    inputTokens: tally.tokens,
    key: tally.key,
  };
}

const messageOverhead = 3;
