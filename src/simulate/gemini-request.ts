/** Reads a Gemini generateContent request and refuses what the API refuses. */
import { isObject, type Json } from '../base/json.ts';
import { attachmentTokens, base64Bytes, numberField, type Tally, tallyMessage, tallyText } from './check.ts';
import { invalid } from './errors.ts';
import type { Asked, Attachment, Tool } from './exchange.ts';
import { signCall } from './gemini.ts';
import { hash } from './random.ts';
import { takeLine } from './scenario.ts';

/** Limit on thinking whose length the model chooses, in tokens. */
const thinkingMax = 4096;
const candidatesMax = 8;

interface ParsedContent {
  text: string;
  attachments: Attachment[];
  toolResult: string | null;
  calls: number;
  results: number;
}

const objectAt = (value: unknown, path: string): Json =>
  isObject(value) ? value : invalid(`Invalid value at '${path}' (type mismatch).`);
const listAt = (value: unknown, path: string): readonly unknown[] =>
  Array.isArray(value) ? value : invalid(`Invalid value at '${path}' (repeated field expected).`);

/** Fields of the API's schema; it refuses all others. */
const partFields = new Set([
  'text',
  'thought',
  'thoughtSignature',
  'inlineData',
  'fileData',
  'functionCall',
  'functionResponse',
  'videoMetadata',
  'executableCode',
  'codeExecutionResult',
]);

function readPart(part: Json, path: string, parsed: ParsedContent, tally: Tally, strict: boolean): void {
  for (const name in part) {
    if (!partFields.has(name))
      invalid(`Invalid JSON payload received. Unknown name "${name}" at '${path}': Cannot find field.`);
  }
  if (typeof part.text === 'string') {
    tallyText(tally, part.text);
    if (part.thought !== true && part.text !== '')
      parsed.text += parsed.text === '' ? part.text : `\n${part.text}`;
    return;
  }
  if (isObject(part.inlineData) || isObject(part.fileData)) {
    const file = isObject(part.inlineData) ? part.inlineData : objectAt(part.fileData, path);
    const type = String(file.mimeType);
    if (typeof file.mimeType !== 'string') invalid(`* ${path}: mimeType is required.`);
    const noun = type.startsWith('image/')
      ? 'an image'
      : type.startsWith('audio/')
        ? 'a sound'
        : 'a document';
    const bytes = typeof file.data === 'string' ? base64Bytes(file.data) : null;
    tally.tokens += attachmentTokens;
    tally.key = hash(`${noun} ${bytes}`, tally.key);
    parsed.attachments.push({ noun, bytes });
    return;
  }
  if (isObject(part.functionCall)) {
    const { name, args } = part.functionCall;
    if (typeof name !== 'string' || name === '')
      invalid(`* ${path}.functionCall.name: Name cannot be empty.`);
    checkSignature(String(name), part.thoughtSignature, parsed.calls === 0 && strict);
    parsed.calls += 1;
    tallyText(tally, `${name} ${JSON.stringify(args ?? {})}`);
    return;
  }
  if (isObject(part.functionResponse)) {
    const { name, response } = part.functionResponse;
    if (typeof name !== 'string' || name === '')
      invalid(`* ${path}.functionResponse.name: Name cannot be empty.`);
    const result = objectAt(response, `${path}.functionResponse.response`);
    const text = typeof result.output === 'string' ? result.output : JSON.stringify(result);
    tallyText(tally, text);
    parsed.toolResult = text;
    parsed.results += 1;
    return;
  }
  invalid(`* ${path}.data: required oneof field 'data' must have one initialized field`);
}

const skipped = 'skip_thought_signature_validator';

function checkSignature(name: string, signature: unknown, needed: boolean): void {
  if (signature === undefined || signature === '') {
    if (needed) invalid(`Function call \`${name}\` is missing a thought_signature in functionCall parts.`);
  } else if (signature !== skipped && signature !== signCall(name)) invalid('Invalid thought signature.');
}

function readContents(body: Json, tally: Tally, strict: boolean): ParsedContent {
  const contents = listAt(body.contents ?? invalid('* contents: contents is not specified'), 'contents');
  if (contents.length === 0) invalid('* contents: contents is not specified');
  const nothing: ParsedContent = { text: '', attachments: [], toolResult: null, calls: 0, results: 0 };
  let last = nothing;
  let callsBefore = 0;
  for (const [n, one] of contents.entries()) {
    const content = objectAt(one, `contents[${n}]`);
    const role = content.role ?? 'user';
    if (role !== 'user' && role !== 'model' && role !== 'function')
      invalid('Please use a valid role: user, model.');
    tallyMessage(tally, String(role));
    const parsed: ParsedContent = { ...nothing, attachments: [] };
    const parts = listAt(content.parts, `contents[${n}].parts`);
    if (parts.length === 0) invalid(`* contents[${n}].parts: contents.parts must not be empty.`);
    for (const [m, part] of parts.entries()) {
      const path = `contents[${n}].parts[${m}]`;
      readPart(objectAt(part, path), path, parsed, tally, strict);
    }
    if (parsed.results > 0 && parsed.results !== callsBefore)
      invalid(
        'Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.',
      );
    callsBefore = parsed.calls;
    // A message that only brings tool results asks nothing; the previous question still counts.
    if (role !== 'model')
      last = parsed.text === '' && parsed.results > 0 ? { ...parsed, text: last.text } : parsed;
    else last = { ...last, toolResult: null };
  }
  return last;
}

function readTools(body: Json, tally: Tally): Tool[] {
  const tools: Tool[] = [];
  for (const [n, tool] of listAt(body.tools ?? [], 'tools').entries()) {
    const declarations = objectAt(tool, `tools[${n}]`).functionDeclarations ?? [];
    for (const one of listAt(declarations, `tools[${n}].functionDeclarations`)) {
      const { name, parametersJsonSchema, parameters } = objectAt(one, `tools[${n}]`);
      if (typeof name !== 'string' || !/^[A-Za-z_][\w.:-]{0,127}$/.test(name))
        invalid(`* tools[${n}].function_declarations[0].name: Invalid function name.`);
      tools.push({ name: String(name), schema: parametersJsonSchema ?? parameters });
      tallyText(tally, JSON.stringify(one));
    }
  }
  return tools;
}

function readChoice(body: Json, tools: readonly Tool[]): Asked['toolChoice'] {
  // Google reads both spellings.
  const given = body.toolConfig ?? body.tool_config;
  const config = isObject(given) ? (given.functionCallingConfig ?? given.function_calling_config) : undefined;
  const { mode = 'AUTO', allowedFunctionNames } = isObject(config) ? config : {};
  if (mode === 'NONE') return 'none';
  if (mode === 'AUTO' || mode === 'VALIDATED') return 'auto';
  if (mode !== 'ANY') invalid("Invalid value at 'tool_config.function_calling_config.mode'.");
  if (tools.length === 0) invalid('Function calling config is set without function_declarations.');
  const [name] = Array.isArray(allowedFunctionNames) ? allowedFunctionNames : [];
  if (name === undefined) return 'required';
  if (!tools.some((tool) => tool.name === name))
    invalid('allowed_function_names should be a subset of the declared functions.');
  return { name: String(name) };
}

/** Reads the body of a request for `model`. Throws a `Rejection` where the API would refuse. */
export function readGenerate(body: Json, model: string, stream: boolean): Asked {
  const tally: Tally = { tokens: 3, key: hash(model) };
  const config =
    body.generationConfig === undefined ? {} : objectAt(body.generationConfig, 'generationConfig');
  if (body.systemInstruction !== undefined) tallyText(tally, JSON.stringify(body.systemInstruction));
  // Since the third generation, calls must be sent back with their signatures.
  const parsed = readContents(body, tally, /gemini-[3-9]/.test(model));
  const tools = readTools(body, tally);
  const whole = { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true };
  const stops = listAt(config.stopSequences ?? [], 'generationConfig.stopSequences');
  numberField('gemini', config, 'temperature', { min: 0, max: 2, whole: false }, 1);
  const thinking = isObject(config.thinkingConfig) ? config.thinkingConfig : null;
  const thinks = thinking !== null && thinking.thinkingBudget !== 0;
  const schema = config.responseJsonSchema ?? config.responseSchema;
  const line = takeLine(parsed.text);
  return {
    dialect: 'gemini',
    model,
    stream,
    choices: numberField('gemini', config, 'candidateCount', { ...whole, max: candidatesMax }, 1),
    outputMax: numberField('gemini', config, 'maxOutputTokens', whole, Number.POSITIVE_INFINITY),
    stops: stops.filter((stop) => typeof stop === 'string'),
    question: line?.rest ?? parsed.text,
    line: line?.pairs ?? null,
    toolResult: parsed.toolResult,
    attachments: parsed.attachments,
    tools,
    toolChoice: readChoice(body, tools),
    parallel: true,
    json: config.responseMimeType === 'application/json' ? { schema: schema ?? null } : null,
    thinkingMax: thinks ? thinkingMax : 0,
    thinkingShown: thinks && thinking.includeThoughts === true,
    includeUsage: true,
    inputTokens: tally.tokens,
    key: tally.key,
  };
}
