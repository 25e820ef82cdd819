/** Answers `POST /v1/embeddings`: unit vectors made from words, so that texts that share words are close. */
import type { Json } from '../base/json.ts';
import { numberField, shown, wrongType } from './check.ts';
import { invalid } from './errors.ts';
import { modelOf } from './openai-request.ts';
import { generator, hash } from './random.ts';
import { countTokens } from './text.ts';

const inputsMax = 2048;
const dimensionsMax = 4096;
const placesPerWord = 12;
/** Word pairs weigh less than words, but tell "a before b" from "b before a". */
const pairWeight = 0.4;

function defaultDimensions(model: string): number {
  return /3-large/.test(model) ? 3072 : 1536;
}

function add(vector: Float32Array, feature: string, seed: number, weight: number): void {
  const random = generator(hash(feature, seed));
  for (let n = 0; n < placesPerWord; n++) {
    const place = Math.floor(random() * vector.length);
    vector[place] = (vector[place] ?? 0) + (random() < 0.5 ? -weight : weight);
  }
}

/** A unit vector for a text: the same for the same words, seed and number of dimensions. */
export function embed(text: string, seed: number, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  let before = '';
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? []) {
    add(vector, word, seed, 1);
    add(vector, `${before} ${word}`, seed, pairWeight);
    before = word;
  }
  let square = 0;
  for (const value of vector) square += value * value;
  // In few dimensions words may cancel out; a unit vector is needed anyway.
  if (square === 0) {
    vector[0] = 1;
    return vector;
  }
  const length = Math.sqrt(square);
  for (let n = 0; n < vector.length; n++) vector[n] = (vector[n] ?? 0) / length;
  return vector;
}

function isTokenList(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => Number.isInteger(one));
}

/** The inputs as texts; a list of token numbers becomes a text of those numbers. */
function readInputs(body: Json): { readonly texts: string[]; readonly tokens: number } {
  const { input } = body;
  if (input === undefined || input === null) {
    invalid("Missing required parameter: 'input'.", 'input', 'missing_required_parameter');
  }
  const list = typeof input === 'string' || isTokenList(input) ? [input] : input;
  if (!Array.isArray(list)) wrongType('openai', 'input', 'a string or an array', input);
  if (list.length === 0) invalid("Invalid 'input': input cannot be an empty array.", 'input');
  if (list.length > inputsMax) {
    invalid(
      `Invalid 'input': array too long. Expected at most ${inputsMax} inputs.`,
      'input',
      'array_above_max_length',
    );
  }
  let tokens = 0;
  const texts = list.map((one: unknown) => {
    if (typeof one === 'string') {
      if (one === '') invalid("Invalid 'input': input cannot be an empty string.", 'input');
      tokens += countTokens(one);
      return one;
    }
    if (!isTokenList(one)) wrongType('openai', 'input', 'strings or arrays of token numbers', one);
    tokens += one.length;
    return one.join(' ');
  });
  return { texts, tokens };
}

/** A checked embeddings request. */
export interface EmbeddingsAsked {
  readonly model: string;
  readonly texts: readonly string[];
  readonly inputTokens: number;
  readonly dimensions: number;
  readonly base64: boolean;
}

/** Reads the body of `POST /v1/embeddings`. Throws a `Rejection` where the API would refuse. */
export function readEmbeddings(body: Json): EmbeddingsAsked {
  const model = modelOf(body);
  const { texts, tokens } = readInputs(body);
  const range = { min: 1, max: dimensionsMax, whole: true };
  const dimensions = numberField('openai', body, 'dimensions', range, defaultDimensions(model));
  const format = body.encoding_format ?? 'float';
  if (format !== 'float' && format !== 'base64') {
    invalid(
      `Invalid value: '${shown(format)}'. Supported values are: 'float' and 'base64'.`,
      'encoding_format',
      'invalid_value',
    );
  }
  return { model, texts, inputTokens: tokens, dimensions, base64: format === 'base64' };
}

/** The body of the reply. */
export function embeddingsBody(asked: EmbeddingsAsked, seed: number, withUsage: boolean): string {
  const data = asked.texts.map((text, index) => {
    const vector = embed(text, seed, asked.dimensions);
    const embedding = asked.base64
      ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
      : Array.from(vector, (value) => Math.round(value * 1e7) / 1e7);
    return { object: 'embedding', index, embedding };
  });
  const usage = withUsage
    ? { usage: { prompt_tokens: asked.inputTokens, total_tokens: asked.inputTokens } }
    : {};
  return JSON.stringify({ object: 'list', data, model: asked.model, ...usage });
}
