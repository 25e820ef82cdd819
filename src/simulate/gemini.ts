/** Writes replies in the form of Gemini's generateContent, whole or as a stream. */
import { sign } from './answer.ts';
import type { Answer, Call, Reply, Step } from './exchange.ts';

const finishReasons = { stop: 'STOP', sequence: 'STOP', length: 'MAX_TOKENS', tools: 'STOP' } as const;

function usage(reply: Reply): object {
  const answered = reply.answers.reduce((sum, answer) => sum + answer.outputTokens, 0);
  const thought = reply.answers.reduce((sum, answer) => sum + answer.thinking.length, 0);
  return {
    promptTokenCount: reply.asked.inputTokens,
    candidatesTokenCount: answered - thought,
    totalTokenCount: reply.asked.inputTokens + answered,
    ...(thought > 0 ? { thoughtsTokenCount: thought } : {}),
  };
}

function args(call: Call): unknown {
  try {
    return JSON.parse(call.pieces.join(''));
  } catch {
    // Cut by maxOutputTokens.
    return {};
  }
}

/** The signature of a call, so that a later request can be checked for returning it. */
export const signCall = (name: string): string => sign(`call of ${name}`);

/** Calls have no id, as with older models; only the first is signed. */
const callPart = (call: Call, index: number): object => {
  const given = args(call);
  const signed = index === 0 ? { thoughtSignature: signCall(call.name) } : {};
  return { functionCall: { name: call.name, args: given }, ...signed };
};

function parts({ asked }: Reply, answer: Answer): object[] {
  const list: object[] = [];
  if (asked.thinkingShown && answer.thinking.length > 0)
    list.push({ text: answer.thinking.join(''), thought: true });
  if (answer.text.length > 0) list.push({ text: answer.text.join('') });
  return [...list, ...answer.calls.map(callPart)];
}

const tail = (reply: Reply): object => ({
  ...(reply.withUsage ? { usageMetadata: usage(reply) } : {}),
  modelVersion: reply.asked.model,
  responseId: reply.id,
});

/** The body of a reply that is not streamed. */
export function geminiBody(reply: Reply): string {
  const candidates = reply.answers.map((answer, index) => ({
    content: { parts: parts(reply, answer), role: 'model' },
    finishReason: finishReasons[answer.finish],
    index,
  }));
  return JSON.stringify({ candidates, ...tail(reply) });
}

/** The events of a streamed reply: each is a whole response, the last has the finish reason. */
export function geminiSteps(reply: Reply): Step[] {
  const steps: Step[] = [];
  const push = (kind: Step['kind'], candidate: object): void => {
    steps.push({
      kind,
      text: `data: ${JSON.stringify({ candidates: [candidate], ...tail(reply) })}\r\n\r\n`,
    });
  };
  for (const [index, answer] of reply.answers.entries()) {
    const part = (one: object): void => push('content', { content: { parts: [one], role: 'model' }, index });
    if (reply.asked.thinkingShown) for (const text of answer.thinking) part({ text, thought: true });
    for (const text of answer.text) part({ text });
    for (const [at, call] of answer.calls.entries()) part(callPart(call, at));
    const finishReason = finishReasons[answer.finish];
    push('close', { content: { parts: [{ text: '' }], role: 'model' }, finishReason, index });
  }
  return steps;
}
