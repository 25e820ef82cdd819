/** Responses over a WebSocket: what their events say. https://developers.openai.com/api/docs/guides/websocket-mode */
import { isObject, type Json, objectOf, parseObject, textOf } from '../../base/json.ts';
import { factsOfUsage } from '../chat-reply.ts';
import { readMaxBytes, type SessionApi, type SessionReading, type Spent } from '../session-api.ts';
import { readUsage } from './reply.ts';

/** Events that end a response. */
const ends: ReadonlySet<string> = new Set([
  'response.completed',
  'response.incomplete',
  'response.failed',
  'error',
]);
/** What an event has that must be read; most are pieces of text. Inside a text their quotes would be escaped. */
const marks = ['"response.created"', ...[...ends].map((type) => `"${type}"`)] as const;

function createReading(): SessionReading {
  let replying = false;
  let model = '';
  let made: string | null = null;

  const read = (event: Json): Spent | null => {
    const response = objectOf(event.response);
    if (event.type === 'response.created') {
      replying = true;
      made = textOf(response.id);
      return null;
    }
    if (!ends.has(textOf(event.type) ?? '')) return null;
    replying = false;
    const of = model === '' ? textOf(response.model) : model;
    if (isObject(response.usage))
      return { facts: factsOfUsage(readUsage(response.usage, response.service_tier)), model: of };
    // What failed before it began costs nothing.
    return event.type === 'error' || event.type === 'response.failed' ? null : { facts: null, model: of };
  };

  return {
    received(message) {
      made = null;
      if (!marks.some((mark) => message.includes(mark))) return null;
      if (message.length <= readMaxBytes) return read(parseObject(message.toString('utf8')) ?? {});
      if (message.includes(marks[0])) {
        replying = true;
        return null;
      }
      replying = false;
      return { facts: null, model: model === '' ? null : model };
    },
    // Each response names its model.
    sent(message) {
      if (message.length > readMaxBytes) return;
      model = textOf(parseObject(message.toString('utf8'))?.model) ?? model;
    },
    get replying() {
      return replying;
    },
    get model() {
      return model;
    },
    get made() {
      return made;
    },
  };
}

/** OpenAI's. */
export const responsesSession: SessionApi = {
  headers: ['openai-beta', 'openai-safety-identifier'],
  createReading,
  error: ({ entry, code, text, param }) =>
    JSON.stringify({
      type: 'error',
      status: entry.status,
      error: { type: entry.openai, code, message: text, param },
    }),
};
