/**
 * What a response says again of its request. Its schema requires all of these members.
 * https://platform.openai.com/docs/api-reference/responses/object, https://www.openresponses.org
 */
import { isObject, type Json, listOf, numberOf, objectOf, textOf } from '../../base/json.ts';

/**
 * A longer member isn't repeated: a stream says all of this three times, and nobody reads it who has just sent it. Large
 * sets of tools have 100 KB.
 */
const memberMaxLength = 256 * 1024;

/**
 * The members of a response that repeat its request, or say what was meant by saying nothing.
 * @param bytes length of the request's body
 */
export function echoOf(body: Json, bytes: number): Json {
  const echo = allOf(body);
  if (bytes <= memberMaxLength) return echo;
  const long = Object.keys(echo).filter((name) => JSON.stringify(echo[name]).length > memberMaxLength);
  if (long.length === 0) return echo;
  const silent = allOf({});
  return { ...echo, ...Object.fromEntries(long.map((name) => [name, silent[name]])) };
}

function allOf(body: Json): Json {
  const { effort, summary } = objectOf(body.reasoning);
  const { format, verbosity } = objectOf(body.text);
  return {
    background: false,
    frequency_penalty: numberOf(body.frequency_penalty) ?? 0,
    instructions: textOf(body.instructions),
    max_output_tokens: numberOf(body.max_output_tokens),
    max_tool_calls: numberOf(body.max_tool_calls),
    metadata: objectOf(body.metadata),
    parallel_tool_calls: body.parallel_tool_calls !== false,
    presence_penalty: numberOf(body.presence_penalty) ?? 0,
    previous_response_id: null,
    prompt_cache_key: textOf(body.prompt_cache_key),
    reasoning: { effort: textOf(effort), summary: textOf(summary) },
    safety_identifier: textOf(body.safety_identifier),
    service_tier: 'default',
    // Nothing of a translated conversation is stored.
    store: false,
    temperature: numberOf(body.temperature) ?? 1,
    text: {
      format: isObject(format) ? format : { type: 'text' },
      verbosity: textOf(verbosity) ?? 'medium',
    },
    tool_choice: body.tool_choice ?? 'auto',
    tools: listOf(body.tools).map((tool) =>
      tool.type === 'function' ? { description: null, parameters: null, strict: false, ...tool } : tool,
    ),
    top_logprobs: numberOf(body.top_logprobs) ?? 0,
    top_p: numberOf(body.top_p) ?? 1,
    truncation: textOf(body.truncation) ?? 'disabled',
  };
}
