/** Writes replies in the form of OpenAI's chat completions API, whole or as a stream. */
import { type Answer, type Call, createdSeconds, type Reply, type Step } from './exchange.ts';

const finishReasons = { stop: 'stop', sequence: 'stop', length: 'length', tools: 'tool_calls' } as const;

function usage(reply: Reply): object {
  const completion = reply.answers.reduce((sum, answer) => sum + answer.outputTokens, 0);
  const thinking = reply.answers.reduce((sum, answer) => sum + answer.thinking.length, 0);
  return {
    prompt_tokens: reply.asked.inputTokens,
    completion_tokens: completion,
    total_tokens: reply.asked.inputTokens + completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: thinking,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

function toolCall(call: Call): object {
  return { id: call.id, type: 'function', function: { name: call.name, arguments: call.pieces.join('') } };
}

function message(answer: Answer): object {
  const content = answer.calls.length > 0 ? null : answer.text.join('');
  const calls = answer.calls.length > 0 ? { tool_calls: answer.calls.map(toolCall) } : {};
  return { role: 'assistant', content, ...calls, refusal: null, annotations: [] };
}

const safe = { filtered: false, severity: 'safe' };
/** Azure's content filter results for an accepted prompt. */
const promptResults = {
  prompt_filter_results: [
    {
      prompt_index: 0,
      content_filter_results: { hate: safe, self_harm: safe, sexual: safe, violence: safe },
    },
  ],
};

/** The body of a reply that is not streamed. */
export function openaiBody(reply: Reply): string {
  return JSON.stringify({
    id: `chatcmpl-${reply.id}`,
    object: 'chat.completion',
    created: createdSeconds,
    model: reply.asked.model,
    choices: reply.answers.map((answer, index) => ({
      index,
      message: message(answer),
      logprobs: null,
      finish_reason: finishReasons[answer.finish],
    })),
    ...(reply.withUsage ? { usage: usage(reply) } : {}),
    service_tier: 'default',
    system_fingerprint: 'fp_sidegate',
    ...(reply.filtered ? promptResults : {}),
  });
}

interface Delta {
  readonly kind: Step['kind'];
  /** JSON of the delta. */
  readonly json: string;
}

/** The deltas of one answer, the role first. */
function deltas(answer: Answer): Delta[] {
  if (answer.calls.length === 0) {
    const list: Delta[] = [{ kind: 'open', json: '{"role":"assistant","content":"","refusal":null}' }];
    for (const piece of answer.text)
      list.push({ kind: 'content', json: `{"content":${JSON.stringify(piece)}}` });
    return list;
  }
  const list: Delta[] = [];
  for (const [index, call] of answer.calls.entries()) {
    const start = { index, id: call.id, type: 'function', function: { name: call.name, arguments: '' } };
    // The role comes with the first call, which makes it content.
    const role = index === 0 ? { role: 'assistant', content: null } : {};
    list.push({ kind: 'content', json: JSON.stringify({ ...role, tool_calls: [start] }) });
    for (const piece of call.pieces) {
      const json = `{"tool_calls":[{"index":${index},"function":{"arguments":${JSON.stringify(piece)}}}]}`;
      list.push({ kind: 'content', json });
    }
  }
  return list;
}

/** The events of a streamed reply. Several answers are interleaved, one token each in turn. */
export function openaiSteps(reply: Reply): Step[] {
  const { asked, answers } = reply;
  const model = JSON.stringify(asked.model);
  const head =
    `data: {"id":"chatcmpl-${reply.id}","object":"chat.completion.chunk","created":${createdSeconds},` +
    `"model":${model},"service_tier":"default","system_fingerprint":"fp_sidegate","choices":[`;
  const withUsage = asked.includeUsage && reply.withUsage;
  const tail = withUsage ? '],"usage":null}\n\n' : ']}\n\n';
  const steps: Step[] = [];
  if (reply.filtered) {
    const first = { choices: [], created: 0, id: '', model: '', object: '', ...promptResults };
    steps.push({ kind: 'open', text: `data: ${JSON.stringify(first)}\n\n` });
  }
  const lists = answers.map(deltas);
  const longest = Math.max(...lists.map((list) => list.length));
  for (let at = 0; at < longest; at++) {
    for (const [index, list] of lists.entries()) {
      const delta = list[at];
      if (delta === undefined) continue;
      const choice = `{"index":${index},"delta":${delta.json},"logprobs":null,"finish_reason":null}`;
      steps.push({ kind: delta.kind, text: head + choice + tail });
    }
  }
  for (const [index, answer] of answers.entries()) {
    const reason = finishReasons[answer.finish];
    const choice = `{"index":${index},"delta":{},"logprobs":null,"finish_reason":"${reason}"}`;
    steps.push({ kind: 'close', text: head + choice + tail });
  }
  if (withUsage) steps.push({ kind: 'close', text: `${head}],"usage":${JSON.stringify(usage(reply))}}\n\n` });
  steps.push({ kind: 'last', text: 'data: [DONE]\n\n' });
  return steps;
}
