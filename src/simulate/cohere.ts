/** Writes replies in the form of Cohere's chat API (v2), whole or as a stream. */
import { type Answer, type Call, noAnswer, type Reply, type Step } from './exchange.ts';

const finishReasons = {
  stop: 'COMPLETE',
  sequence: 'STOP_SEQUENCE',
  length: 'MAX_TOKENS',
  tools: 'TOOL_CALL',
} as const;

/** Tokens that the API puts before each prompt and doesn't bill. */
const preambleTokens = 487;

function usage(reply: Reply, answer: Answer): object {
  const { inputTokens } = reply.asked;
  return {
    billed_units: { input_tokens: inputTokens, output_tokens: answer.outputTokens },
    tokens: { input_tokens: inputTokens + preambleTokens, output_tokens: answer.outputTokens },
    cached_tokens: 0,
  };
}

const toolCall = (call: Call): object => ({
  id: call.id,
  type: 'function',
  function: { name: call.name, arguments: call.pieces.join('') },
});

/** The body of a reply that is not streamed. Text before tool calls is the tool plan. */
export function cohereBody(reply: Reply): string {
  const answer = reply.answers[0] ?? noAnswer;
  const calls = answer.calls.length > 0;
  const text = answer.text.join('');
  const content = [
    ...(answer.thinking.length > 0 ? [{ type: 'thinking', thinking: answer.thinking.join('') }] : []),
    ...(calls ? [] : [{ type: 'text', text }]),
  ];
  const message = {
    role: 'assistant',
    ...(content.length > 0 ? { content } : {}),
    ...(calls ? { tool_plan: text, tool_calls: answer.calls.map(toolCall) } : {}),
  };
  return JSON.stringify({
    id: reply.id,
    message,
    finish_reason: finishReasons[answer.finish],
    ...(reply.withUsage ? { usage: usage(reply, answer) } : {}),
  });
}

const event = (type: string, rest: object): string =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;

/** The events of a streamed reply. Texts and calls are numbered separately. */
export function cohereSteps(reply: Reply): Step[] {
  const answer = reply.answers[0] ?? noAnswer;
  const steps: Step[] = [];
  const push = (kind: Step['kind'], type: string, message: object, index?: number): void => {
    const rest = { ...(index === undefined ? {} : { index }), delta: { message } };
    steps.push({ kind, text: event(type, rest) });
  };
  const started = { role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] };
  steps.push({
    kind: 'open',
    text: event('message-start', { id: reply.id, delta: { message: started } }),
  });
  let index = 0;
  const block = (type: 'text' | 'thinking', pieces: readonly string[]): void => {
    push('open', 'content-start', { content: { type, [type]: '' } }, index);
    for (const piece of pieces) push('content', 'content-delta', { content: { [type]: piece } }, index);
    steps.push({ kind: 'close', text: event('content-end', { index }) });
    index += 1;
  };
  if (answer.thinking.length > 0) block('thinking', answer.thinking);
  if (answer.calls.length === 0) block('text', answer.text);
  else for (const piece of answer.text) push('content', 'tool-plan-delta', { tool_plan: piece });
  for (const [number, call] of answer.calls.entries()) {
    const first = { id: call.id, type: 'function', function: { name: call.name, arguments: '' } };
    push('content', 'tool-call-start', { tool_calls: first }, number);
    for (const piece of call.pieces)
      push('content', 'tool-call-delta', { tool_calls: { function: { arguments: piece } } }, number);
    steps.push({ kind: 'close', text: event('tool-call-end', { index: number }) });
  }
  const counted = reply.withUsage ? { usage: usage(reply, answer) } : {};
  const delta = { finish_reason: finishReasons[answer.finish], ...counted };
  steps.push({ kind: 'close', text: event('message-end', { id: reply.id, delta }) });
  return steps;
}

/** An error in the middle of a stream, which ends the message. */
export const cohereErrorEvent = (error: string): string =>
  event('message-end', { delta: { finish_reason: 'ERROR', error } });
