/** Answers OpenAI's auxiliary endpoints: images, audio, moderations, reranking. Same request, same answer. */
import { crc32, deflateSync } from 'node:zlib';
import { isObject, type Json } from '../base/json.ts';
import { booleanField, numberField, shown, wrongType } from './check.ts';
import { embed } from './embeddings.ts';
import { invalid } from './errors.ts';
import { createdSeconds, type Step } from './exchange.ts';
import { isUpload, type Upload } from './form.ts';
import { modelOf } from './openai-request.ts';
import { generator, hash } from './random.ts';
import type { Scenario } from './scenario.ts';
import { countTokens } from './text.ts';

/** A reply: a body of the given media type (JSON by default), or the events of a stream. */
export interface AuxiliaryReply {
  readonly body: string | Buffer | readonly Step[];
  readonly contentType?: string;
  readonly outputTokens: number;
}

/** A checked request, which knows how to answer itself. */
export interface Auxiliary {
  readonly model: string;
  answer(scenario: Scenario, withUsage: boolean): AuxiliaryReply;
}

function text(body: Json, name: string): string {
  const value = body[name];
  if (value === undefined || value === null)
    invalid(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter');
  if (typeof value !== 'string') wrongType('openai', name, 'a string', value);
  return value;
}

function choice<T extends string>(body: Json, name: string, known: readonly T[]): T {
  const value = body[name] ?? known[0];
  const found = known.find((each) => each === value);
  return found ?? invalid(`Invalid value: '${shown(value)}'.`, name, 'invalid_value');
}

function uploads(body: Json, name: string): Upload[] {
  const found = [body[name]].flat().filter(isUpload);
  if (found.length === 0)
    invalid(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter');
  return found;
}

const json = (value: object, outputTokens = 0): AuxiliaryReply => ({
  body: JSON.stringify(value),
  outputTokens,
});

const event = (kind: Step['kind'], data: { readonly type: string }): Step => ({
  kind,
  text: `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`,
});

// Images.

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type), data]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(data.length);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}

const side = 8;

/** A PNG of one colour, in base64. */
export function image(seed: number): string {
  const header = Buffer.from([0, 0, 0, side, 0, 0, 0, side, 8, 2, 0, 0, 0]);
  const random = generator(seed);
  const colour = Buffer.from([random() * 256, random() * 256, random() * 256]);
  const line = Buffer.concat([Buffer.alloc(1), ...Array<Buffer>(side).fill(colour)]);
  const pixels = deflateSync(Buffer.concat(Array<Buffer>(side).fill(line)));
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  const chunks = [chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, ...chunks]).toString('base64');
}

/** Tokens of an image by quality, at 1024 × 1024. */
const drawn = { auto: 1056, low: 272, medium: 1056, high: 4160 };
const looked = 65;

/** Reads a request for images. @param kind prefix of its event types @param given images in the request */
export function readImages(body: Json, kind: 'image_generation' | 'image_edit', given: number): Auxiliary {
  const model = modelOf(body);
  const prompt = text(body, 'prompt');
  const n = numberField('openai', body, 'n', { min: 1, max: 10, whole: true }, 1);
  const quality = choice(body, 'quality', ['auto', 'low', 'medium', 'high']);
  const partial = numberField('openai', body, 'partial_images', { min: 0, max: 3, whole: true }, 0);
  const stream = booleanField('openai', body, 'stream');
  return {
    model,
    answer: (scenario, withUsage) =>
      drawImages({ kind, prompt, n, quality, partial, stream, given }, scenario, withUsage),
  };
}

interface Drawing {
  readonly kind: 'image_generation' | 'image_edit';
  readonly prompt: string;
  readonly n: number;
  readonly quality: keyof typeof drawn;
  readonly partial: number;
  readonly stream: boolean;
  /** Images that came with the request. */
  readonly given: number;
}

function drawImages(
  { kind, prompt, n, quality, partial, stream, given }: Drawing,
  scenario: Scenario,
  withUsage: boolean,
): AuxiliaryReply {
  const [words, seen, output] = [countTokens(prompt), given * looked, n * drawn[quality]];
  const stated = {
    input_tokens: words + seen,
    output_tokens: output,
    total_tokens: words + seen + output,
    input_tokens_details: { text_tokens: words, image_tokens: seen },
    output_tokens_details: { text_tokens: 0, image_tokens: output },
  };
  const usage = withUsage ? { usage: stated } : {};
  const seed = hash(prompt, scenario.seed);
  const about = { created_at: createdSeconds, size: '1024x1024', quality, background: 'opaque' };
  const rest = { ...about, output_format: 'png' };
  if (!stream) {
    const data = Array.from({ length: n }, (_, at) => ({ b64_json: image(seed + at) }));
    return json({ created: createdSeconds, data, ...usage }, output);
  }
  const steps = Array.from({ length: partial }, (_, at) => {
    const part = {
      type: `${kind}.partial_image`,
      b64_json: image(seed - at),
      partial_image_index: at,
      ...rest,
    };
    return event('content', part);
  });
  const last = { type: `${kind}.completed`, b64_json: image(seed), ...rest, ...usage };
  return { body: [...steps, event('close', last)], outputTokens: output };
}

/** Number of images in the request, as files of a form or in JSON. */
export function givenImages(body: Json): number {
  if (Array.isArray(body.images)) return body.images.length;
  return uploads(body, 'image').length;
}

/** Reads a request for variations of an image. */
export function readVariation(body: Json): Auxiliary {
  uploads(body, 'image');
  return readImages({ ...body, prompt: '' }, 'image_edit', 1);
}

// Audio.

const sounds = {
  mp3: 'audio/mpeg',
  opus: 'audio/opus',
  aac: 'audio/aac',
  flac: 'audio/flac',
  wav: 'audio/wav',
  pcm: 'audio/pcm',
} as const;
const sampleRate = 8000;

/** One second of noise per three words. Only WAV is a playable file. */
function sound(input: string, format: keyof typeof sounds, seed: number): Buffer {
  const random = generator(hash(input, seed));
  const samples = Buffer.alloc(Math.max(1, Math.ceil(countTokens(input) / 3)) * sampleRate);
  for (let at = 0; at < samples.length; at++) samples[at] = Math.floor(random() * 256);
  if (format !== 'wav') return samples;
  const head = Buffer.alloc(44);
  head.write('RIFF').toString();
  head.writeUInt32LE(36 + samples.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(sampleRate, 24);
  head.writeUInt32LE(sampleRate, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

const deltaBytes = 12_000;

/** Reads a request for speech. */
export function readSpeech(body: Json): Auxiliary {
  const model = modelOf(body);
  const input = text(body, 'input');
  text(body, 'voice');
  const format = choice(body, 'response_format', Object.keys(sounds) as (keyof typeof sounds)[]);
  const events = choice(body, 'stream_format', ['audio', 'sse']) === 'sse';
  return {
    model,
    answer(scenario, withUsage) {
      const bytes = sound(input, format, scenario.seed);
      const words = countTokens(input);
      const output = 6 * words;
      if (!events) return { body: bytes, contentType: sounds[format], outputTokens: output };
      const steps: Step[] = [];
      for (let at = 0; at < bytes.length; at += deltaBytes) {
        const audio = bytes.toString('base64', at, at + deltaBytes);
        steps.push(event('content', { type: 'speech.audio.delta', audio } as { type: string }));
      }
      const usage = { input_tokens: words, output_tokens: output, total_tokens: words + output };
      const last = { type: 'speech.audio.done', ...(withUsage ? { usage } : {}) };
      return { body: [...steps, event('close', last)], outputTokens: output };
    },
  };
}

const forms = ['json', 'verbose_json', 'diarized_json', 'text', 'srt', 'vtt'] as const;
const soundBytesPerSecond = 2000;

/** Reads a request for a transcription or a translation into English. */
export function readTranscript(body: Json): Auxiliary {
  const model = modelOf(body);
  const [file] = uploads(body, 'file');
  const form = choice(body, 'response_format', forms);
  // As with the API, that model can't stream.
  const stream = booleanField('openai', body, 'stream') && model !== 'whisper-1';
  const bytes = file?.bytes.length ?? 0;
  const text = `A simulated transcript of ${file?.name ?? 'nothing'}, which has ${bytes} bytes.`;
  const seconds = Math.max(1, Math.ceil(bytes / soundBytesPerSecond));
  return {
    model,
    answer: (_, withUsage) => transcript(text, { form, stream, seconds, model }, withUsage),
  };
}

function transcript(
  text: string,
  asked: { form: (typeof forms)[number]; stream: boolean; seconds: number; model: string },
  withUsage: boolean,
): AuxiliaryReply {
  const { form, stream, seconds, model } = asked;
  const output = countTokens(text);
  const heard = seconds * 10;
  const tokens = {
    type: 'tokens',
    input_tokens: heard,
    input_token_details: { text_tokens: 0, audio_tokens: heard },
    output_tokens: output,
    total_tokens: heard + output,
  };
  const stated = model.startsWith('whisper') ? { type: 'duration', seconds } : tokens;
  const usage = withUsage ? { usage: stated } : {};
  if (stream) {
    const deltas = text
      .split(/(?<= )/)
      .map((delta) => event('content', { type: 'transcript.text.delta', delta } as { type: string }));
    const last = { type: 'transcript.text.done', text: text, ...usage };
    return { body: [...deltas, event('close', last)], outputTokens: output };
  }
  const until = (mark: string): string =>
    `00:00:00${mark}000 --> 00:00:${String(seconds % 60).padStart(2, '0')}${mark}000`;
  const plain = (body: string): AuxiliaryReply => ({
    body,
    contentType: 'text/plain; charset=utf-8',
    outputTokens: output,
  });
  switch (form) {
    case 'text':
      return plain(`${text}\n`);
    case 'srt':
      return plain(`1\n${until(',')}\n${text}\n\n`);
    case 'vtt':
      return plain(`WEBVTT\n\n${until('.')}\n${text}\n\n`);
    case 'verbose_json': {
      const segment = { id: 0, seek: 0, start: 0, end: seconds, text: text, tokens: [], temperature: 0 };
      return json({
        task: 'transcribe',
        language: 'english',
        duration: seconds,
        text: text,
        segments: [segment],
        ...usage,
      });
    }
    default:
      return json({ text: text, ...usage }, output);
  }
}

// Moderation and reranking.

const suspicious = { violence: /\b(kill|attack|murder)/i, hate: /\bhate/i, harassment: /\b(stupid|idiot)/i };

/** Reads a moderation request. */
export function readModeration(body: Json): Auxiliary {
  const model = body.model === undefined ? 'omni-moderation-latest' : modelOf(body);
  const { input } = body;
  if (input === undefined || input === null)
    invalid("Missing required parameter: 'input'.", 'input', 'missing_required_parameter');
  const parts =
    Array.isArray(input) && input.some(isObject) ? [input.map(partText).join(' ')] : [input].flat();
  const texts = parts.map((part) =>
    typeof part === 'string' ? part : wrongType('openai', 'input', 'a string', part),
  );
  return {
    model,
    answer: () => json({ id: `modr-${hash(texts.join('\0'))}`, model, results: texts.map(judge) }),
  };
}

const partText = (part: unknown): string =>
  isObject(part) && typeof part.text === 'string' ? part.text : '';

function judge(text: string): object {
  const found = Object.entries(suspicious).map(([name, words]) => [name, words.test(text)] as const);
  return {
    flagged: found.some(([, is]) => is),
    categories: Object.fromEntries(found),
    category_scores: Object.fromEntries(found.map(([name, is]) => [name, is ? 0.9 : 0.001])),
    category_applied_input_types: Object.fromEntries(found.map(([name]) => [name, ['text']])),
  };
}

const dimensions = 256;

/** Reads a rerank request: the more words a document shares with the query, the higher it ranks. */
export function readRerank(body: Json): Auxiliary {
  const model = modelOf(body);
  const query = text(body, 'query');
  const { documents } = body;
  if (!Array.isArray(documents) || documents.length === 0)
    wrongType('openai', 'documents', 'an array of texts', documents);
  const texts = documents.map((one: unknown) => (typeof one === 'string' ? one : partText(one)));
  const range = { min: 1, max: 1_000_000, whole: true };
  const top = numberField('openai', body, 'top_n', range, texts.length);
  return {
    model,
    answer(scenario, withUsage) {
      const asked = embed(query, scenario.seed, dimensions);
      const near = (one: string): number =>
        embed(one, scenario.seed, dimensions).reduce((sum, value, at) => sum + value * (asked[at] ?? 0), 0);
      const results = texts
        .map((one, index) => ({ index, relevance_score: near(one), document: { text: one } }))
        .sort((a, b) => b.relevance_score - a.relevance_score || a.index - b.index)
        .slice(0, top);
      const total = [query, ...texts].reduce((sum, one) => sum + countTokens(one), 0);
      const usage = withUsage ? { usage: { total_tokens: total } } : {};
      return json({ id: `rerank-${hash(query)}`, model, results, ...usage });
    },
  };
}
