/** Reads a Cohere chat request (v2) and refuses what the API refuses. */
import { isObject, type Json } from '../base/json.ts';
import { numberField, type Tally, tallyText, wrongType } from './check.ts';
import { invalid } from './errors.ts';
import type { Asked, Tool } from './exchange.ts';
import { modelOf, readMessages, readTools } from './openai-request.ts';
import { hash } from './random.ts';
import { takeLine } from './scenario.ts';

const stopsMax = 5;
/** Limit on thinking without a budget, in tokens. */
const thinkingMax = 4096;
const unit = { min: 0, max: 1, whole: false };

/** The output format, which can't be combined with tools or documents. */
function readFormat(body: Json, tools: readonly Tool[]): Asked['json'] {
  const { response_format: format, documents } = body;
  if (!isObject(format) || format.type === 'text') return null;
  if (format.type !== 'json_object')
    invalid("invalid request: response_format.type must be 'text' or 'json_object'");
  if (tools.length > 0 || Array.isArray(documents))
    invalid('invalid request: response_format is not supported with tools or documents');
  return { schema: format.json_schema ?? null };
}

function readChoice(body: Json, tools: readonly Tool[]): Asked['toolChoice'] {
  const choice = body.tool_choice ?? null;
  if (choice === null) return 'auto';
  if (tools.length === 0) invalid('invalid request: tool_choice is only allowed with tools');
  if (choice === 'REQUIRED') return 'required';
  return choice === 'NONE' ? 'none' : invalid("invalid request: tool_choice must be 'REQUIRED' or 'NONE'");
}

function readStops(body: Json): string[] {
  const stops = body.stop_sequences ?? [];
  if (!Array.isArray(stops)) wrongType('cohere', 'stop_sequences', 'an array of strings', stops);
  if (stops.length > stopsMax)
    invalid(`invalid request: at most ${stopsMax} stop_sequences are allowed, received ${stops.length}`);
  return stops.filter((one) => typeof one === 'string' && one !== '');
}

/** Reads the body of `POST /v2/chat`. Throws a `Rejection` where the API would refuse. */
export function readCohereChat(body: Json): Asked {
  const model = modelOf(body);
  const tally: Tally = { tokens: 3, key: hash(model) };
  const parsed = readMessages(body, tally);
  const tools = readTools(body, tally);
  const { documents } = body;
  if (Array.isArray(documents)) tallyText(tally, JSON.stringify(documents));
  numberField('cohere', body, 'p', { min: 0.01, max: 0.99, whole: false }, 0.75);
  numberField('cohere', body, 'k', { min: 0, max: 500, whole: true }, 0);
  for (const name of ['frequency_penalty', 'presence_penalty']) numberField('cohere', body, name, unit, 0);
  const range = { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true };
  const thinking = isObject(body.thinking) && body.thinking.type === 'enabled' ? body.thinking : null;
  const line = takeLine(parsed.text);
  return {
    dialect: 'cohere',
    model,
    stream: body.stream === true,
    choices: 1,
    outputMax: numberField('cohere', body, 'max_tokens', range, Number.POSITIVE_INFINITY),
    stops: readStops(body),
    question: line?.rest ?? parsed.text,
    line: line?.pairs ?? null,
    toolResult: parsed.toolResult,
    attachments: parsed.attachments,
    tools,
    toolChoice: readChoice(body, tools),
    parallel: true,
    json: readFormat(body, tools),
    thinkingMax: thinking === null ? 0 : numberField('cohere', thinking, 'token_budget', range, thinkingMax),
    thinkingShown: true,
    includeUsage: true,
    inputTokens: tally.tokens,
    key: tally.key,
  };
}
