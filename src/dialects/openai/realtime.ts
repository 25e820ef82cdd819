/** OpenAI's Realtime API: what its events say of usage. https://platform.openai.com/docs/api-reference/realtime-server-events */
import { countOf, isObject, type Json, numberOf, objectOf, parseObject, textOf } from '../../base/json.ts';
import { noFacts, type ReplyFacts } from '../../native/reply.ts';
import { readMaxBytes, type SessionApi, type SessionReading, type Spent } from '../session-api.ts';

/** What an event has that must be read; most are sound. Inside a text their quotes would be escaped. */
const marks = ['"response.created"', '"response.done"', '"usage"', '"transcription"'];

/** A member's text of transcribing sessions, now and in the preview. */
const transcriberIn = (session: Json): string | null =>
  textOf(objectOf(objectOf(objectOf(session.audio).input).transcription).model) ??
  textOf(objectOf(session.input_audio_transcription).model);

/** More than a session can hear. */
const soundMaxSeconds = 86_400;

/** Reads usage. Images are priced as text, which they nearly cost. */
export function readRealtimeUsage(usage: Json): ReplyFacts {
  const input = objectOf(usage.input_token_details ?? usage.input_tokens_details);
  const output = objectOf(usage.output_token_details ?? usage.output_tokens_details);
  const cachedAudio = countOf(objectOf(input.cached_tokens_details).audio_tokens);
  const reasoningTokens = countOf(output.reasoning_tokens);
  return {
    ...noFacts,
    usage: true,
    finish: 'stop',
    inputTokens: countOf(usage.input_tokens),
    outputTokens: countOf(usage.output_tokens),
    cachedInputTokens: countOf(input.cached_tokens),
    ...(reasoningTokens === 0 ? {} : { reasoningTokens }),
    media: {
      sound: true,
      inputTokens: Math.max(0, countOf(input.audio_tokens) - cachedAudio),
      outputTokens: countOf(output.audio_tokens),
      soundMs: Math.min(Math.max(0, numberOf(usage.seconds) ?? 0), soundMaxSeconds) * 1000,
    },
  };
}

function createReading(): SessionReading {
  let replies = 0;
  let transcriber = '';

  const read = (event: Json): Spent | null => {
    const type = textOf(event.type) ?? '';
    if (isObject(event.session)) transcriber = transcriberIn(event.session) ?? transcriber;
    if (type === 'response.created') replies += 1;
    const response = objectOf(event.response);
    const done = type === 'response.done';
    if (done) replies = Math.max(0, replies - 1);
    const usage = done ? response.usage : event.usage;
    if (isObject(usage))
      return { facts: readRealtimeUsage(usage), model: type.includes('transcription') ? transcriber : null };
    // What failed before it began costs nothing.
    return done && response.status === 'completed' ? { facts: null, model: null } : null;
  };

  return {
    received(message) {
      if (!marks.some((mark) => message.includes(mark))) return null;
      if (message.length > readMaxBytes)
        return message.includes('"usage"') ? { facts: null, model: null } : null;
      const event = parseObject(message.toString('utf8'));
      return event === null ? null : read(event);
    },
    sent: () => {},
    made: null,
    get replying() {
      return replies > 0;
    },
    get model() {
      return transcriber;
    },
  };
}

/** OpenAI's, which Azure and others speak as well. */
export const realtime: SessionApi = {
  headers: ['openai-beta', 'openai-safety-identifier'],
  createReading,
  error: ({ entry, code, text, param }, requestId) =>
    JSON.stringify({
      type: 'error',
      event_id: `event_${requestId}`,
      error: { type: entry.openai, code, message: text, param, event_id: null },
    }),
};
