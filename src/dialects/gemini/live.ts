/** Gemini's Live API: the model that a session is set up with, and what its messages say of usage. https://ai.google.dev/api/live */
import { countOf, isObject, type Json, listOf, objectOf, parseObject, textOf } from '../../base/json.ts';
import { noFacts, type ReplyFacts } from '../../native/reply.ts';
import { readMaxBytes, type SessionApi, type SessionReading } from '../session-api.ts';

/** Tokens of sound. */
const audioIn = (details: unknown): number =>
  listOf(details).reduce((sum, each) => sum + (each.modality === 'AUDIO' ? countOf(each.tokenCount) : 0), 0);

/** Reads usage; what was cached isn't told apart by kind, so it counts as text first. */
export function readLiveUsage(usage: Json): ReplyFacts {
  const inputTokens = countOf(usage.promptTokenCount) + countOf(usage.toolUsePromptTokenCount);
  const cachedInputTokens = countOf(usage.cachedContentTokenCount);
  const reasoningTokens = countOf(usage.thoughtsTokenCount);
  return {
    ...noFacts,
    usage: true,
    finish: 'stop',
    inputTokens,
    outputTokens: countOf(usage.responseTokenCount ?? usage.candidatesTokenCount) + reasoningTokens,
    cachedInputTokens,
    ...(reasoningTokens === 0 ? {} : { reasoningTokens }),
    media: {
      sound: true,
      inputTokens: audioIn(usage.promptTokensDetails),
      outputTokens: audioIn(usage.responseTokensDetails ?? usage.candidatesTokensDetails),
      soundMs: 0,
    },
  };
}

function createReading(): SessionReading {
  let model: string | null = null;
  let replying = false;
  return {
    received(message) {
      if (message.includes('"modelTurn"')) replying = true;
      const says = message.includes('"usageMetadata"');
      if (!says && !message.includes('"turnComplete"')) return null;
      if (message.length > readMaxBytes) return says ? { facts: null, model: null } : null;
      const event = parseObject(message.toString('utf8')) ?? {};
      if (objectOf(event.serverContent).turnComplete === true) replying = false;
      const { usageMetadata } = event;
      return isObject(usageMetadata) ? { facts: readLiveUsage(usageMetadata), model } : null;
    },
    // The first message sets the session up, once and for all.
    sent(message) {
      if (model !== null) return;
      model = '';
      if (message.length > readMaxBytes) return;
      const { setup } = parseObject(message.toString('utf8')) ?? {};
      model = (textOf(objectOf(setup).model) ?? '').replace(/^models\//, '');
    },
    made: null,
    get replying() {
      return replying;
    },
    get model() {
      return model ?? '';
    },
  };
}

/** Gemini's. */
export const live: SessionApi = { headers: ['x-goog-api-client'], createReading, error: () => null };
