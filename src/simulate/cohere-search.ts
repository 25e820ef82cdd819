/** Answers Cohere's `POST /v2/rerank` and `POST /v2/embed`, by the words that texts share. */
import { isObject, type Json } from '../base/json.ts';
import { numberField, shown, wrongType } from './check.ts';
import { embed } from './embeddings.ts';
import { invalid } from './errors.ts';
import { modelOf } from './openai-request.ts';
import { countTokens } from './text.ts';

const documentsMax = 1000;
const textsMax = 96;
/** Documents covered by one search unit. */
const unitDocuments = 100;
const scoreDimensions = 512;
const inputTypes = ['search_document', 'search_query', 'classification', 'clustering', 'image'];
const types = ['float', 'int8', 'uint8', 'binary', 'ubinary', 'base64'];

const apiVersion = { api_version: { version: '2' } };

function textOf(value: unknown, path: string): string {
  if (typeof value !== 'string') wrongType('cohere', path, 'a string', value);
  return value;
}

/** A reply ready to be sent. */
export interface SearchReply {
  readonly model: string;
  body(seed: number, withUsage: boolean): string;
}

/** Reads a rerank request. Throws a `Rejection` where the API would refuse. */
export function readRerank(body: Json): SearchReply {
  const model = modelOf(body);
  const query = textOf(body.query, 'query');
  const { documents } = body;
  if (!Array.isArray(documents)) wrongType('cohere', 'documents', 'an array of strings', documents);
  if (documents.length === 0) invalid('invalid request: list of documents must not be empty');
  if (documents.length > documentsMax)
    invalid(`invalid request: number of documents exceeds limit of ${documentsMax}`);
  const texts = documents.map((each: unknown, n) =>
    // A document with fields is ranked by the text of all its fields.
    isObject(each) ? Object.values(each).join('\n') : textOf(each, `documents[${n}]`),
  );
  const range = { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true };
  const top = Math.min(texts.length, numberField('cohere', body, 'top_n', range, texts.length));
  return {
    model,
    body(seed, withUsage) {
      const asked = embed(query, seed, scoreDimensions);
      const results = texts.map((text, index) => {
        const near = embed(text, seed, scoreDimensions).reduce((sum, x, n) => sum + x * (asked[n] ?? 0), 0);
        return { index, relevance_score: Math.round(Math.max(0, Math.min(1, near)) * 1e8) / 1e8 };
      });
      results.sort((a, b) => b.relevance_score - a.relevance_score || a.index - b.index);
      const units = { billed_units: { search_units: Math.ceil(texts.length / unitDocuments) } };
      const meta = { ...apiVersion, ...(withUsage ? units : {}) };
      return JSON.stringify({ id: 'simulated', results: results.slice(0, top), meta });
    },
  };
}

/** The texts of an embed request; from `inputs`, only their text parts. */
function readTexts(body: Json): string[] {
  if (Array.isArray(body.texts)) return body.texts.map((each, n) => textOf(each, `texts[${n}]`));
  if (Array.isArray(body.images)) return body.images.map((each, n) => textOf(each, `images[${n}]`));
  if (!Array.isArray(body.inputs)) invalid('invalid request: must provide texts, images or inputs');
  return body.inputs.map((input: unknown) => {
    const content = isObject(input) && Array.isArray(input.content) ? input.content : [];
    return content
      .map((part) => (isObject(part) && typeof part.text === 'string' ? part.text : ''))
      .join(' ');
  });
}

/** A unit vector, encoded in one of the API's number types. */
function spell(vector: Float32Array, type: string): unknown {
  const bits = (): number[] => {
    const bytes: number[] = [];
    for (let at = 0; at < vector.length; at += 8) {
      let byte = 0;
      for (let bit = 0; bit < 8; bit++) byte = byte * 2 + ((vector[at + bit] ?? 0) > 0 ? 1 : 0);
      bytes.push(byte);
    }
    return bytes;
  };
  if (type === 'base64')
    return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
  if (type === 'int8') return Array.from(vector, (value) => Math.round(value * 127));
  if (type === 'uint8') return Array.from(vector, (value) => Math.round(value * 127) + 128);
  if (type === 'ubinary') return bits();
  if (type === 'binary') return bits().map((byte) => byte - 128);
  return Array.from(vector, (value) => Math.round(value * 1e7) / 1e7);
}

/** Reads an embed request. Throws a `Rejection` where the API would refuse. */
export function readEmbed(body: Json): SearchReply {
  const model = modelOf(body);
  const texts = readTexts(body);
  if (texts.length === 0) invalid('invalid request: texts must not be empty');
  if (texts.length > textsMax) invalid(`invalid request: number of texts exceeds limit of ${textsMax}`);
  const { input_type: inputType, embedding_types: asked = ['float'] } = body;
  if (typeof inputType !== 'string' || !inputTypes.includes(inputType))
    invalid(`invalid request: input_type must be one of ${inputTypes.join(', ')}, not '${shown(inputType)}'`);
  if (!Array.isArray(asked) || !asked.every((type) => types.includes(type)))
    invalid(`invalid request: embedding_types must be of ${types.join(', ')}`);
  const dimensions = numberField(
    'cohere',
    body,
    'output_dimension',
    { min: 256, max: 1536, whole: true },
    1536,
  );
  const inputTokens = texts.reduce((sum, text) => sum + countTokens(text), 0);
  return {
    model,
    body(seed, withUsage) {
      const vectors = texts.map((text) => embed(text, seed, dimensions));
      const embeddings = Object.fromEntries(
        asked.map((type: string) => [type, vectors.map((vector) => spell(vector, type))]),
      );
      const meta = { ...apiVersion, ...(withUsage ? { billed_units: { input_tokens: inputTokens } } : {}) };
      return JSON.stringify({
        id: 'simulated',
        embeddings,
        texts,
        response_type: 'embeddings_by_type',
        meta,
      });
    },
  };
}
