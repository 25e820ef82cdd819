/** The simulator's Realtime and Live sessions: what each message of a client is answered with. No I/O. */
import { isObject, type Json, listOf, objectOf, parseObject, textOf } from '../base/json.ts';
import type { FaultName } from './faults.ts';
import { between, generator, hash, identifier, type Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import { countTokens, fill, gist, tokens } from './text.ts';

/** One message to the client, sent `delayMs` after the one before; null instead: the connection breaks. */
export interface Said {
  readonly event: Json | null;
  readonly delayMs: number;
}

/** One session. */
export interface SimulatedSession {
  /** What is sent when it opens. */
  opened(): Said[];
  /** What a message is answered with. */
  answer(message: string): Said[];
}

/** A tenth of a second of 16-bit sound at 24 kHz is a token. */
const bytesPerToken = 4800;
/** Sound as long as ten of them, which is silent. */
const silence = Buffer.alloc(4800).toString('base64');

/** A session at one path. @param model that the handshake names; empty: none */
export function createSession(
  dialect: 'openai' | 'gemini',
  model: string,
  scenario: Scenario,
  fault: FaultName | null,
): SimulatedSession {
  return dialect === 'gemini' ? createLive(scenario, fault) : createRealtime(model, scenario, fault);
}

const now = (event: Json): Said => ({ event, delayMs: 0 });

/** A reply to a text, in pieces. */
function replyTo(text: string, { replyTokens, seed }: Scenario): string[] {
  const random = generator(seed ^ hash(text));
  const length =
    typeof replyTokens === 'number' ? replyTokens : between(random, replyTokens.min, replyTokens.max);
  return fill(tokens(`This is a simulated answer from Sidegate to: "${gist(text)}".`), length, random);
}

/** When each piece of a reply is sent. */
const paced = (pieces: readonly Json[], { ttftMs, tokensPerSecond }: Scenario): Said[] =>
  pieces.map((event, at) => ({
    event,
    delayMs: at === 0 ? ttftMs : tokensPerSecond === 0 ? 0 : 1000 / tokensPerSecond,
  }));

/** OpenAI's. */
class Realtime implements SimulatedSession {
  readonly #random: Random;
  readonly #scenario: Scenario;
  readonly #fault: FaultName | null;
  #session: Json;
  /** What the user said last, and how long all is that was said, in tokens. */
  #last = '';
  #textTokens = 0;
  #audioTokens = 0;
  /** Tokens of the prompt before, which are cached. */
  #cached = 0;
  /** Bytes of sound that aren't committed. */
  #heard = 0;

  constructor(model: string, scenario: Scenario, fault: FaultName | null) {
    this.#random = generator(scenario.seed);
    this.#scenario = scenario;
    this.#fault = fault;
    const type = model === '' ? 'transcription' : 'realtime';
    this.#session = {
      type,
      object: 'realtime.session',
      id: this.#id('sess_'),
      model,
      output_modalities: ['audio'],
      audio: { input: { transcription: null }, output: {} },
      tools: [],
    };
  }

  opened(): Said[] {
    return [now(this.#event('session.created', { session: this.#session }))];
  }

  answer(message: string): Said[] {
    const event = parseObject(message);
    if (event === null) return [this.#refuse('The message is not valid JSON.', null)];
    switch (event.type) {
      case 'session.update':
        return [this.#update(objectOf(event.session))];
      case 'conversation.item.create':
        return this.#create(objectOf(event.item));
      case 'input_audio_buffer.append':
        this.#heard += Math.floor(((textOf(event.audio) ?? '').length * 3) / 4);
        return [];
      case 'input_audio_buffer.clear':
        this.#heard = 0;
        return [now(this.#event('input_audio_buffer.cleared', {}))];
      case 'input_audio_buffer.commit':
        return this.#commit();
      case 'response.create':
        return this.#respond(objectOf(event.response));
      default:
        return [this.#refuse(`Invalid value: '${textOf(event.type) ?? ''}'.`, 'type')];
    }
  }

  #id(prefix: string): string {
    return identifier(this.#random, prefix, 21);
  }

  #event(type: string, more: Json): Json {
    return { type, event_id: this.#id('event_'), ...more };
  }

  #refuse(message: string, param: string | null): Said {
    const error = { type: 'invalid_request_error', code: 'invalid_value', message, param, event_id: null };
    return now(this.#event('error', { error }));
  }

  #update(changes: Json): Said {
    const audio = { ...objectOf(this.#session.audio), ...objectOf(changes.audio) };
    this.#session = { ...this.#session, ...changes, audio, model: this.#session.model };
    return now(this.#event('session.updated', { session: this.#session }));
  }

  #create(given: Json): Said[] {
    const texts = listOf(given.content).map((part) => textOf(part.text) ?? textOf(part.transcript) ?? '');
    this.#last = texts.join('\n') || (textOf(given.output) ?? '');
    this.#textTokens += countTokens(this.#last);
    const item = { object: 'realtime.item', id: this.#id('item_'), status: 'completed', ...given };
    return ['added', 'done'].map((what) =>
      now(this.#event(`conversation.item.${what}`, { previous_item_id: null, item })),
    );
  }

  #commit(): Said[] {
    if (this.#heard === 0) return [this.#refuse('The input audio buffer is empty.', null)];
    const audioTokens = Math.max(1, Math.round(this.#heard / bytesPerToken));
    this.#heard = 0;
    this.#audioTokens += audioTokens;
    this.#last = 'a sound';
    const itemId = this.#id('item_');
    const committed = now(
      this.#event('input_audio_buffer.committed', { item_id: itemId, previous_item_id: null }),
    );
    const { transcription } = objectOf(objectOf(this.#session.audio).input);
    if (!isObject(transcription)) return [committed];
    const transcript = 'Something was said.';
    const outputTokens = countTokens(transcript);
    const usage = {
      type: 'tokens',
      total_tokens: audioTokens + outputTokens,
      input_tokens: audioTokens,
      input_token_details: { text_tokens: 0, audio_tokens: audioTokens },
      output_tokens: outputTokens,
    };
    const completed = { item_id: itemId, content_index: 0, transcript, usage };
    return [committed, now(this.#event('conversation.item.input_audio_transcription.completed', completed))];
  }

  #respond(asked: Json): Said[] {
    const modes = asked.output_modalities ?? this.#session.output_modalities;
    const speaks = !Array.isArray(modes) || modes.includes('audio');
    const id = this.#id('resp_');
    const pieces = replyTo(this.#last, this.#scenario);
    const response = { object: 'realtime.response', id, status: 'in_progress', output: [], usage: null };
    const begun = now(this.#event('response.created', { response }));
    const at = { response_id: id, item_id: this.#id('item_'), output_index: 0, content_index: 0 };
    const deltas = pieces.flatMap((delta) =>
      speaks
        ? [
            this.#event('response.output_audio.delta', { ...at, delta: silence }),
            this.#event('response.output_audio_transcript.delta', { ...at, delta }),
          ]
        : [this.#event('response.output_text.delta', { ...at, delta })],
    );
    const said = paced(deltas, this.#scenario);
    if (this.#fault === 'cut_stream') return [begun, ...said.slice(0, 2), { event: null, delayMs: 0 }];
    const usage = this.#fault === 'missing_usage' ? null : this.#usage(pieces.length, speaks);
    const text = pieces.join('');
    const content = speaks ? { type: 'output_audio', transcript: text } : { type: 'output_text', text };
    const item = {
      id: at.item_id,
      object: 'realtime.item',
      type: 'message',
      role: 'assistant',
      content: [content],
    };
    const done = { ...response, status: 'completed', output: [item], usage };
    return [begun, ...said, now(this.#event('response.done', { response: done }))];
  }

  #usage(textTokens: number, speaks: boolean): Json {
    const [text, audio] = [this.#textTokens, this.#audioTokens];
    const cached = Math.min(this.#cached, text);
    const outputAudio = speaks ? 2 * textTokens : 0;
    this.#cached = text;
    this.#textTokens += textTokens;
    return {
      total_tokens: text + audio + textTokens + outputAudio,
      input_tokens: text + audio,
      output_tokens: textTokens + outputAudio,
      input_token_details: {
        text_tokens: text,
        audio_tokens: audio,
        image_tokens: 0,
        cached_tokens: cached,
        cached_tokens_details: { text_tokens: cached, audio_tokens: 0, image_tokens: 0 },
      },
      output_token_details: { text_tokens: textTokens, audio_tokens: outputAudio },
    };
  }
}

const createRealtime = (model: string, scenario: Scenario, fault: FaultName | null): SimulatedSession =>
  new Realtime(model, scenario, fault);

/** Gemini's. */
function createLive(scenario: Scenario, fault: FaultName | null): SimulatedSession {
  let ready = false;
  let promptTokens = 0;
  const respond = (text: string): Said[] => {
    promptTokens += countTokens(text);
    const pieces = replyTo(text, scenario);
    const turns = pieces.map((piece) => ({ serverContent: { modelTurn: { parts: [{ text: piece }] } } }));
    const usageMetadata = {
      promptTokenCount: promptTokens,
      responseTokenCount: pieces.length,
      totalTokenCount: promptTokens + pieces.length,
      promptTokensDetails: [{ modality: 'TEXT', tokenCount: promptTokens }],
      responseTokensDetails: [{ modality: 'TEXT', tokenCount: pieces.length }],
    };
    promptTokens += pieces.length;
    const end = {
      serverContent: { turnComplete: true },
      ...(fault === 'missing_usage' ? {} : { usageMetadata }),
    };
    return [...paced(turns, scenario), now(end)];
  };
  return {
    opened: () => [],
    answer(message) {
      const event = parseObject(message) ?? {};
      if (isObject(event.setup)) {
        ready = true;
        return [now({ setupComplete: {} })];
      }
      if (!ready) return [{ event: null, delayMs: 0 }];
      const { clientContent, realtimeInput } = event;
      const turn = listOf(objectOf(clientContent).turns).at(-1);
      const text = textOf(listOf(turn?.parts)[0]?.text) ?? textOf(objectOf(realtimeInput).text);
      return text === null ? [] : respond(text);
    },
  };
}
