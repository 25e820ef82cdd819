/** Reads a Bedrock Converse request and refuses what the API refuses. */

import { isObject, type Json, listOf } from '../base/json.ts';
import { sign } from './answer.ts';
import { attachmentTokens, base64Bytes, numberField, type Tally, tallyMessage, tallyText } from './check.ts';
import { invalid } from './errors.ts';
import type { Asked, Attachment, Tool } from './exchange.ts';
import { hash } from './random.ts';
import { takeLine } from './scenario.ts';

/** Limit on thinking whose length the model chooses, in tokens. */
const adaptiveMax = 4096;
const idPattern = /^[a-zA-Z0-9_.:-]{1,64}$/;
const namePattern = /^[a-zA-Z0-9_-]{1,64}$/;
const filePattern = /^(?!.*\s\s)[a-zA-Z0-9\s()[\]-]{1,200}$/;

interface ParsedContent {
  text: string;
  attachments: Attachment[];
  toolResult: string | null;
  calls: string[];
  results: string[];
}

const nothing = (): ParsedContent => ({
  text: '',
  attachments: [],
  toolResult: null,
  calls: [],
  results: [],
});

const objectAt = (value: unknown, path: string): Json =>
  isObject(value) ? value : invalid(`1 validation error detected: Value at '${path}' must be an object.`);
const listAt = (value: unknown, path: string): readonly unknown[] =>
  Array.isArray(value) ? value : invalid(`1 validation error detected: Value at '${path}' must be a list.`);

function textAt(value: unknown, path: string): string {
  if (typeof value !== 'string') invalid(`1 validation error detected: Value at '${path}' must be text.`);
  if (String(value).trim() === '') invalid(`The text field in the ContentBlock object at ${path} is blank.`);
  return String(value);
}

function matching(value: unknown, pattern: RegExp, path: string): string {
  if (typeof value !== 'string' || !pattern.test(value))
    invalid(
      `1 validation error detected: Value at '${path}' failed to satisfy constraint: Member must satisfy regular expression pattern: ${pattern.source}`,
    );
  return String(value);
}

/** State of the whole request; document names must be unique in it. */
interface Whole {
  readonly tally: Tally;
  readonly files: Set<string>;
}

function attach(
  kind: string,
  value: unknown,
  path: string,
  parsed: ParsedContent,
  { tally, files }: Whole,
): void {
  const { format, name, source } = objectAt(value, path);
  if (typeof format !== 'string') invalid(`The format field at ${path} is blank.`);
  if (kind === 'document') {
    const given = matching(name, filePattern, `${path}.name`);
    if (files.has(given)) invalid(`Duplicate document names at ${path}.`);
    files.add(given);
  }
  const { bytes } = objectAt(source, `${path}.source`);
  const noun = kind === 'image' ? 'an image' : kind === 'audio' ? 'a sound' : 'a document';
  const size = typeof bytes === 'string' ? base64Bytes(bytes) : null;
  tally.tokens += attachmentTokens;
  tally.key = hash(`${noun} ${size}`, tally.key);
  parsed.attachments.push({ noun, bytes: size });
}

function readBlock(value: unknown, path: string, parsed: ParsedContent, whole: Whole): void {
  const block = objectAt(value, path);
  const [kind = '', more] = Object.keys(block);
  if (more !== undefined)
    invalid(
      `ContentBlock object at ${path} must set one of the following keys: text, image, toolUse, toolResult, document.`,
    );
  const { tally } = whole;
  switch (kind) {
    case 'text': {
      const text = textAt(block.text, path);
      tallyText(tally, text);
      parsed.text += parsed.text === '' ? text : `\n${text}`;
      return;
    }
    case 'image':
    case 'document':
    case 'audio':
      attach(kind, block[kind], path, parsed, whole);
      return;
    case 'toolUse': {
      const { toolUseId, name, input } = objectAt(block.toolUse, path);
      parsed.calls.push(matching(toolUseId, idPattern, `${path}.toolUse.toolUseId`));
      tallyText(
        tally,
        `${matching(name, namePattern, `${path}.toolUse.name`)} ${JSON.stringify(objectAt(input, path))}`,
      );
      return;
    }
    case 'toolResult': {
      const { toolUseId, content } = objectAt(block.toolResult, path);
      parsed.results.push(matching(toolUseId, idPattern, `${path}.toolResult.toolUseId`));
      const inner = nothing();
      for (const [n, one] of listAt(content, `${path}.toolResult.content`).entries()) {
        if (isObject(one) && 'json' in one) tallyText(tally, JSON.stringify(one.json));
        else readBlock(one, `${path}.toolResult.content.${n}`, inner, whole);
      }
      parsed.toolResult = inner.text;
      for (const file of inner.attachments) parsed.attachments.push(file);
      return;
    }
    case 'reasoningContent': {
      const { reasoningText } = objectAt(block.reasoningContent, path);
      if (reasoningText === undefined) return;
      const { text, signature } = objectAt(reasoningText, path);
      if (signature !== sign(String(text))) invalid(`${path}: Invalid \`signature\` in \`thinking\` block`);
      tallyText(tally, String(text));
      return;
    }
    case 'cachePoint':
      return;
    default:
      invalid(`The content field at ${path} has no member that is known: ${kind}.`);
  }
}

function readMessages(body: Json, tally: Tally): ParsedContent & { readonly calledAtAll: boolean } {
  const messages = listAt(body.messages ?? [], 'messages');
  if (messages.length === 0) invalid('The messages field is required: provide at least one message.');
  const files = new Set<string>();
  let last = nothing();
  let before = nothing();
  let calledAtAll = false;
  for (const [n, message] of messages.entries()) {
    const path = `messages.${n}`;
    const { role, content } = objectAt(message, path);
    const expected = n % 2 === 0 ? 'user' : 'assistant';
    if (role !== expected)
      invalid(
        n === 0
          ? 'A conversation must start with a user message. Try again with a conversation that starts with a user message.'
          : 'A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.',
      );
    tallyMessage(tally, expected);
    const parsed = nothing();
    const blocks = listAt(content, `${path}.content`);
    if (blocks.length === 0) invalid(`The content field in the Message object at ${path} is empty.`);
    for (const [m, block] of blocks.entries())
      readBlock(block, `${path}.content.${m}`, parsed, { tally, files });
    const missing = before.calls.filter((id) => !parsed.results.includes(id));
    if (missing.length > 0)
      invalid(`Expected toolResult blocks at ${path}.content for the following Ids: ${missing.join(', ')}`);
    if (parsed.results.some((id) => !before.calls.includes(id)))
      invalid('The number of toolResult blocks exceeds the number of toolUse blocks of previous turn.');
    calledAtAll ||= parsed.calls.length > 0;
    before = parsed;
    // A message that only brings tool results asks nothing; the previous question still counts.
    if (expected === 'user')
      last = parsed.text === '' && parsed.results.length > 0 ? { ...parsed, text: last.text } : parsed;
    else last = { ...last, toolResult: null };
  }
  return { ...last, calledAtAll };
}

function readTools(config: Json, tally: Tally): Tool[] {
  const tools: Tool[] = [];
  for (const [n, one] of listAt(config.tools, 'toolConfig.tools').entries()) {
    const tool = objectAt(one, `toolConfig.tools.${n}`);
    if (isObject(tool.cachePoint)) continue;
    const path = `toolConfig.tools.${n}.toolSpec`;
    const { name, description, inputSchema } = objectAt(tool.toolSpec, path);
    if (description === '') invalid(`Value at '${path}.description' must have at least 1 character.`);
    const schema = objectAt(objectAt(inputSchema, `${path}.inputSchema`).json, `${path}.inputSchema.json`);
    if (schema.type !== 'object')
      invalid(`The value at ${path}.inputSchema.json.type must be one of the following: object.`);
    tools.push({ name: matching(name, namePattern, `${path}.name`), schema });
    tallyText(tally, JSON.stringify(tool));
  }
  return tools;
}

/** The tool choice, in Converse's form or in Claude's. @param own Claude's `tool_choice` */
function readChoice(config: Json, own: unknown, tools: readonly Tool[]): Asked['toolChoice'] {
  if (config.toolChoice !== undefined && own !== undefined)
    invalid('The additional field tool_choice conflicts with toolConfig.toolChoice.');
  if (isObject(own)) {
    if (own.type === 'none' || own.type === 'auto') return own.type;
    if (own.type === 'any') return 'required';
    return { name: String(own.name) };
  }
  if (config.toolChoice === undefined) return 'auto';
  const choice = objectAt(config.toolChoice, 'toolConfig.toolChoice');
  if (isObject(choice.auto)) return 'auto';
  if (isObject(choice.any)) return 'required';
  const { name } = objectAt(choice.tool, 'toolConfig.toolChoice');
  if (!tools.some((tool) => tool.name === name))
    invalid(`The tool ${String(name)} is not in toolConfig.tools.`);
  return { name: String(name) };
}

function readThinking(thinking: unknown, outputMax: number): number {
  if (!isObject(thinking) || thinking.type === 'disabled') return 0;
  if (thinking.type === 'adaptive') return adaptiveMax;
  const budget = thinking.budget_tokens;
  if (typeof budget !== 'number' || budget < 1024)
    invalid('thinking.enabled.budget_tokens: Input should be greater than or equal to 1024');
  if (Number(budget) >= outputMax) invalid('`max_tokens` must be greater than `thinking.budget_tokens`.');
  return Number(budget);
}

/** With a budget of thinking, a turn of Claude that is amid a call of tools must have begun with thinking. */
function checkOpenTurn({ messages }: Json, thinking: unknown): void {
  if (!isObject(thinking) || thinking.type !== 'enabled') return;
  const [called, result] = listOf(messages).slice(-2);
  if (called?.role !== 'assistant' || !listOf(result?.content).some((block) => 'toolResult' in block)) return;
  const [first = {}] = listOf(called.content);
  if ('reasoningContent' in first) return;
  const found = 'toolUse' in first ? 'tool_use' : 'text';
  const path = `messages.${listOf(messages).length - 2}.content.0.type`;
  invalid(`${path}: Expected \`thinking\` or \`redacted_thinking\`, but found \`${found}\`.`);
}

function readFormat(config: unknown): Asked['json'] {
  if (config === undefined) return null;
  const format = objectAt(objectAt(config, 'outputConfig').textFormat, 'outputConfig.textFormat');
  const structure = objectAt(format.structure, 'outputConfig.textFormat.structure');
  const { schema } = objectAt(structure.jsonSchema, 'outputConfig.textFormat.structure.jsonSchema');
  try {
    return { schema: JSON.parse(String(schema)) };
  } catch {
    return invalid(
      'The JSON schema at outputConfig.textFormat.structure.jsonSchema.schema is not valid JSON.',
    );
  }
}

/** Fields of the API; it refuses all others. */
const known = new Set([
  'messages',
  'system',
  'inferenceConfig',
  'toolConfig',
  'guardrailConfig',
  'additionalModelRequestFields',
  'promptVariables',
  'additionalModelResponseFieldPaths',
  'requestMetadata',
  'performanceConfig',
  'serviceTier',
  'outputConfig',
]);

/** Reads the body of a request for `model`. Throws a `Rejection` where the API would refuse. */
export function readConverse(body: Json, model: string, stream: boolean): Asked {
  for (const name in body) {
    if (!known.has(name)) invalid(`The request has a field that is not known: ${name}.`);
  }
  const tally: Tally = { tokens: 3, key: hash(model) };
  for (const [n, block] of listAt(body.system ?? [], 'system').entries())
    readBlock(block, `system.${n}`, nothing(), { tally, files: new Set() });
  const parsed = readMessages(body, tally);
  const config = body.toolConfig === undefined ? null : objectAt(body.toolConfig, 'toolConfig');
  if (config === null && parsed.calledAtAll)
    invalid('The toolConfig field must be defined when using toolUse and toolResult content blocks.');
  const tools = config === null ? [] : readTools(config, tally);
  const inference = objectAt(body.inferenceConfig ?? {}, 'inferenceConfig');
  const whole = { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true };
  const outputMax = numberField('bedrock', inference, 'maxTokens', whole, Number.POSITIVE_INFINITY);
  numberField('bedrock', inference, 'temperature', { min: 0, max: 1, whole: false }, 1);
  const stops = listAt(inference.stopSequences ?? [], 'inferenceConfig.stopSequences');
  const own = objectAt(body.additionalModelRequestFields ?? {}, 'additionalModelRequestFields');
  const choice = readChoice(config ?? {}, own.tool_choice, tools);
  const line = takeLine(parsed.text);
  const thinkingMax = readThinking(own.thinking, outputMax);
  checkOpenTurn(body, own.thinking);
  return {
    dialect: 'bedrock',
    model,
    stream,
    choices: 1,
    outputMax,
    stops: stops.filter((one) => typeof one === 'string'),
    question: line?.rest ?? parsed.text,
    line: line?.pairs ?? null,
    toolResult: parsed.toolResult,
    attachments: parsed.attachments,
    tools,
    toolChoice: choice,
    parallel: !isObject(own.tool_choice) || own.tool_choice.disable_parallel_tool_use !== true,
    json: readFormat(body.outputConfig),
    thinkingMax,
    thinkingShown: thinkingMax > 0,
    includeUsage: true,
    inputTokens: tally.tokens,
    key: tally.key,
  };
}
