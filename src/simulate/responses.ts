/** Writes replies in the form of OpenAI's Responses API, whole or as a stream. */
import { sign } from './answer.ts';
import { type Answer, type Call, createdSeconds, type Reply, type Step } from './exchange.ts';

type Item = Readonly<Record<string, unknown>>;

function usage({ asked }: Reply, answer: Answer): object {
  return {
    input_tokens: asked.inputTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: answer.outputTokens,
    output_tokens_details: { reasoning_tokens: answer.thinking.length },
    total_tokens: asked.inputTokens + answer.outputTokens,
  };
}

/** An output item of an answer, with the pieces it is streamed in. */
interface Part {
  readonly item: Item;
  readonly pieces: readonly string[];
  readonly call: Call | null;
}

function partsOf({ asked, id }: Reply, answer: Answer): Part[] {
  const parts: Part[] = [];
  const status = answer.finish === 'length' ? 'incomplete' : 'completed';
  if (answer.thinking.length > 0) {
    const summary = asked.thinkingShown ? [{ type: 'summary_text', text: answer.thinking.join('') }] : [];
    const sealed = asked.thinkingSealed === true ? { encrypted_content: sign(`rs_${id}`) } : {};
    const item = { id: `rs_${id}`, type: 'reasoning', summary, ...sealed };
    parts.push({ item, pieces: asked.thinkingShown ? answer.thinking : [], call: null });
  }
  if (answer.text.length > 0) {
    const content = [{ type: 'output_text', text: answer.text.join(''), annotations: [], logprobs: [] }];
    const item = { id: `msg_${id}`, type: 'message', status, role: 'assistant', content };
    parts.push({ item, pieces: answer.text, call: null });
  }
  for (const [n, call] of answer.calls.entries()) {
    const { id: callId, name, pieces } = call;
    const item = {
      id: `fc_${id}${n}`,
      type: 'function_call',
      status,
      call_id: callId,
      name,
      arguments: pieces.join(''),
    };
    parts.push({ item, pieces, call });
  }
  return parts;
}

/** The response object. @param answer null while it is being generated */
function response(reply: Reply, answer: Answer | null, output: readonly Item[]): object {
  const { asked, id } = reply;
  const cut = answer?.finish === 'length';
  return {
    id: `resp_${id}`,
    object: 'response',
    created_at: createdSeconds,
    status: answer === null ? 'in_progress' : cut ? 'incomplete' : 'completed',
    background: false,
    completed_at: answer === null || cut ? null : createdSeconds,
    frequency_penalty: 0,
    error: null,
    incomplete_details: cut ? { reason: 'max_output_tokens' } : null,
    instructions: null,
    max_tool_calls: null,
    max_output_tokens: Number.isFinite(asked.outputMax) ? asked.outputMax : null,
    model: asked.model,
    output,
    parallel_tool_calls: asked.parallel,
    presence_penalty: 0,
    previous_response_id: null,
    prompt_cache_key: null,
    reasoning: { effort: null, summary: null },
    safety_identifier: null,
    service_tier: 'default',
    store: false,
    temperature: 1,
    text: { format: { type: 'text' }, verbosity: 'medium' },
    tool_choice: typeof asked.toolChoice === 'string' ? asked.toolChoice : 'auto',
    tools: [],
    top_logprobs: 0,
    top_p: 1,
    truncation: 'disabled',
    usage: answer === null || !reply.withUsage ? null : usage(reply, answer),
    metadata: {},
  };
}

const only = ({ answers }: Reply): Answer => {
  const [answer] = answers;
  if (answer === undefined) throw new Error('a reply has one answer at least');
  return answer;
};

/** The body of a reply that is not streamed. */
export function responsesBody(reply: Reply): string {
  const answer = only(reply);
  const output = partsOf(reply, answer).map(({ item }) => item);
  return JSON.stringify(response(reply, answer, output));
}

/** The events of a streamed reply, in the order the API sends them. */
export function responsesSteps(reply: Reply): Step[] {
  const answer = only(reply);
  const steps: Step[] = [];
  let kind: Step['kind'] = 'open';
  const push = (of: Step['kind'], type: string, fields: object): void => {
    if (of === 'content') kind = 'close';
    const data = JSON.stringify({ type, sequence_number: steps.length, ...fields });
    steps.push({ kind: of, text: `event: ${type}\ndata: ${data}\n\n` });
  };
  push(kind, 'response.created', { response: response(reply, null, []) });
  push(kind, 'response.in_progress', { response: response(reply, null, []) });
  const parts = partsOf(reply, answer);
  for (const [index, part] of parts.entries()) pushPart(part, index, () => kind, push);
  const type = answer.finish === 'length' ? 'response.incomplete' : 'response.completed';
  const output = parts.map(({ item }) => item);
  push('close', type, { response: response(reply, answer, output) });
  return steps;
}

/** Writes the events of one item. @param between kind of an event without content at this point */
function pushPart(
  { item, pieces, call }: Part,
  index: number,
  between: () => Step['kind'],
  push: (of: Step['kind'], type: string, fields: object) => void,
): void {
  const place = { output_index: index };
  const at = { item_id: item.id, ...place };
  const text = pieces.join('');
  if (call !== null) {
    const begun = { ...item, status: 'in_progress', arguments: '' };
    push('content', 'response.output_item.added', { ...place, item: begun });
    for (const delta of pieces) push('content', 'response.function_call_arguments.delta', { ...at, delta });
    push('close', 'response.function_call_arguments.done', { ...at, name: call.name, arguments: text });
  } else if (item.type === 'reasoning') {
    push(between(), 'response.output_item.added', { ...place, item: { ...item, summary: [] } });
    if (pieces.length > 0) {
      const inner = { ...at, summary_index: 0 };
      const summary = { type: 'summary_text', text: '' };
      push(between(), 'response.reasoning_summary_part.added', { ...inner, part: summary });
      for (const delta of pieces)
        push('content', 'response.reasoning_summary_text.delta', { ...inner, delta });
      push('close', 'response.reasoning_summary_text.done', { ...inner, text });
      push('close', 'response.reasoning_summary_part.done', { ...inner, part: { ...summary, text } });
    }
  } else {
    const inner = { ...at, content_index: 0 };
    const part = { type: 'output_text', text: '', annotations: [], logprobs: [] };
    const begun = { ...item, status: 'in_progress', content: [] };
    push(between(), 'response.output_item.added', { ...place, item: begun });
    push(between(), 'response.content_part.added', { ...inner, part });
    for (const delta of pieces)
      push('content', 'response.output_text.delta', { ...inner, delta, logprobs: [] });
    push('close', 'response.output_text.done', { ...inner, text, logprobs: [] });
    push('close', 'response.content_part.done', { ...inner, part: { ...part, text } });
  }
  push(between(), 'response.output_item.done', { ...place, item });
}
