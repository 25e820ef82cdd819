/** Writes replies in the form of Bedrock's Converse, whole or as its event stream. */
import { sign } from './answer.ts';
import { input, stopReasons } from './anthropic.ts';
import { eventMessage } from './event-stream.ts';
import { type Answer, noAnswer, type Reply, type Step } from './exchange.ts';

const metrics = { latencyMs: 1 };

const usage = (reply: Reply, { outputTokens }: Answer): object => {
  const { inputTokens } = reply.asked;
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
};

const ended = ({ finish, sequence }: Answer): object => ({
  stopReason: stopReasons[finish],
  ...(sequence === null ? {} : { additionalModelResponseFields: { stop_sequence: sequence } }),
});

/** The body of a reply that is not streamed. */
export function bedrockBody(reply: Reply): string {
  const answer = reply.answers[0] ?? noAnswer;
  const content: object[] = [];
  if (answer.thinking.length > 0) {
    const text = answer.thinking.join('');
    content.push({ reasoningContent: { reasoningText: { text, signature: sign(text) } } });
  }
  if (answer.text.length > 0) content.push({ text: answer.text.join('') });
  for (const call of answer.calls)
    content.push({ toolUse: { toolUseId: call.id, name: call.name, input: input(call) } });
  return JSON.stringify({
    metrics,
    output: { message: { content, role: 'assistant' } },
    ...ended(answer),
    ...(reply.withUsage ? { usage: usage(reply, answer) } : {}),
  });
}

/** An event of the stream. The JSON is written as it is, even if malformed. */
export const bedrockEvent = (type: string, json: string): string =>
  eventMessage({ ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }, json);

/** An error in the middle of a stream. */
export const bedrockException = (json: string): string =>
  eventMessage(
    {
      ':exception-type': 'modelStreamErrorException',
      ':content-type': 'application/json',
      ':message-type': 'exception',
    },
    json,
  );

/** The events of a streamed reply. */
export function bedrockSteps(reply: Reply): Step[] {
  const answer = reply.answers[0] ?? noAnswer;
  const steps: Step[] = [];
  const push = (kind: Step['kind'], type: string, data: object): void => {
    steps.push({ kind, text: bedrockEvent(type, JSON.stringify(data)) });
  };
  let index = 0;
  const delta = (kind: Step['kind'], change: object): void =>
    push(kind, 'contentBlockDelta', { contentBlockIndex: index, delta: change });
  const stop = (): void => push('close', 'contentBlockStop', { contentBlockIndex: index++ });

  push('open', 'messageStart', { role: 'assistant' });
  if (answer.thinking.length > 0) {
    for (const text of answer.thinking) delta('content', { reasoningContent: { text } });
    delta('close', { reasoningContent: { signature: sign(answer.thinking.join('')) } });
    stop();
  }
  if (answer.text.length > 0) {
    for (const text of answer.text) delta('content', { text });
    stop();
  }
  for (const call of answer.calls) {
    const toolUse = { toolUseId: call.id, name: call.name };
    push('content', 'contentBlockStart', { contentBlockIndex: index, start: { toolUse } });
    for (const piece of call.pieces) delta('content', { toolUse: { input: piece } });
    stop();
  }
  push('close', 'messageStop', ended(answer));
  push('last', 'metadata', { metrics, ...(reply.withUsage ? { usage: usage(reply, answer) } : {}) });
  return steps;
}
