/** Writes replies in the form of Anthropic's messages API, whole or as a stream. */
import { sign } from './answer.ts';
import { type Answer, type Call, noAnswer, type Reply, type Step } from './exchange.ts';

/** Claude's stop reasons, which Bedrock uses too. */
export const stopReasons = {
  stop: 'end_turn',
  sequence: 'stop_sequence',
  length: 'max_tokens',
  tools: 'tool_use',
} as const;

function inputUsage(reply: Reply): object {
  return {
    input_tokens: reply.asked.inputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
}

function outputUsage(answer: Answer): object {
  const details =
    answer.thinking.length > 0 ? { output_tokens_details: { thinking_tokens: answer.thinking.length } } : {};
  return { output_tokens: answer.outputTokens, ...details };
}

/** The arguments of a call; empty if they were cut off. */
export function input(call: Call): unknown {
  try {
    return JSON.parse(call.pieces.join(''));
  } catch {
    // Cut by max_tokens.
    return {};
  }
}

function content(reply: Reply, answer: Answer): object[] {
  const blocks: object[] = [];
  if (answer.thinking.length > 0) {
    const thinking = answer.thinking.join('');
    blocks.push({
      type: 'thinking',
      thinking: reply.asked.thinkingShown ? thinking : '',
      signature: sign(thinking),
    });
  }
  if (answer.text.length > 0) blocks.push({ type: 'text', text: answer.text.join('') });
  for (const call of answer.calls)
    blocks.push({ type: 'tool_use', id: call.id, name: call.name, input: input(call) });
  return blocks;
}

/** The body of a reply that is not streamed. */
export function anthropicBody(reply: Reply): string {
  const answer = reply.answers[0] ?? noAnswer;
  const usage = { ...inputUsage(reply), ...outputUsage(answer), service_tier: 'standard' };
  return JSON.stringify({
    model: reply.asked.model,
    id: `msg_01${reply.id.slice(0, 22)}`,
    type: 'message',
    role: 'assistant',
    content: content(reply, answer),
    stop_reason: stopReasons[answer.finish],
    stop_sequence: answer.sequence,
    ...(reply.withUsage ? { usage } : {}),
  });
}

const ping = 'event: ping\ndata: {"type":"ping"}\n\n';

function event(type: string, rest: string): string {
  return `event: ${type}\ndata: {"type":"${type}"${rest}}\n\n`;
}

function block(steps: Step[], index: number, start: Step['kind'], first: object): void {
  const json = JSON.stringify(first);
  steps.push({
    kind: start,
    text: event('content_block_start', `,"index":${index},"content_block":${json}`),
  });
  // The API sends its ping after the first block has started.
  if (index === 0) steps.push({ kind: 'open', text: ping });
}

function pieces(steps: Step[], index: number, delta: string, field: string, list: readonly string[]): void {
  const name = 'content_block_delta';
  const start = `event: ${name}\ndata: {"type":"${name}","index":${index},`;
  const head = `${start}"delta":{"type":"${delta}","${field}":`;
  for (const piece of list) steps.push({ kind: 'content', text: `${head}${JSON.stringify(piece)}}}\n\n` });
}

function stop(steps: Step[], index: number): void {
  steps.push({ kind: 'close', text: event('content_block_stop', `,"index":${index}`) });
}

/** The events of a streamed reply, in the documented order. */
export function anthropicSteps(reply: Reply): Step[] {
  const answer = reply.answers[0] ?? noAnswer;
  const first = Math.min(1, answer.outputTokens);
  const started = {
    model: reply.asked.model,
    id: `msg_01${reply.id.slice(0, 22)}`,
    type: 'message',
    role: 'assistant',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    ...(reply.withUsage
      ? { usage: { ...inputUsage(reply), output_tokens: first, service_tier: 'standard' } }
      : {}),
  };
  const steps: Step[] = [
    { kind: 'open', text: event('message_start', `,"message":${JSON.stringify(started)}`) },
  ];
  let index = 0;
  if (answer.thinking.length > 0) {
    block(steps, index, 'open', { type: 'thinking', thinking: '', signature: '' });
    if (reply.asked.thinkingShown) pieces(steps, index, 'thinking_delta', 'thinking', answer.thinking);
    const signature = JSON.stringify(sign(answer.thinking.join('')));
    const delta = `,"index":${index},"delta":{"type":"signature_delta","signature":${signature}}`;
    steps.push({ kind: 'close', text: event('content_block_delta', delta) });
    stop(steps, index++);
  }
  if (answer.text.length > 0) {
    block(steps, index, 'open', { type: 'text', text: '' });
    pieces(steps, index, 'text_delta', 'text', answer.text);
    stop(steps, index++);
  }
  for (const call of answer.calls) {
    block(steps, index, 'content', { type: 'tool_use', id: call.id, name: call.name, input: {} });
    pieces(steps, index, 'input_json_delta', 'partial_json', ['', ...call.pieces]);
    stop(steps, index++);
  }
  const delta = JSON.stringify({ stop_reason: stopReasons[answer.finish], stop_sequence: answer.sequence });
  const usage = reply.withUsage
    ? `,"usage":${JSON.stringify({ ...inputUsage(reply), ...outputUsage(answer) })}`
    : '';
  steps.push({ kind: 'close', text: event('message_delta', `,"delta":${delta}${usage}`) });
  steps.push({ kind: 'last', text: event('message_stop', '') });
  return steps;
}
