/** The endpoints: each turns a request's JSON into the body of a reply, under a scenario and a fault. No I/O. */

import type { Json } from '../base/json.ts';
import { answer } from './answer.ts';
import { anthropicBody, anthropicSteps } from './anthropic.ts';
import { readMessagesRequest } from './anthropic-request.ts';
import {
  type Auxiliary,
  givenImages,
  readImages,
  readModeration,
  readRerank,
  readSpeech,
  readTranscript,
  readVariation,
} from './auxiliary.ts';
import { bedrockBody, bedrockSteps } from './bedrock.ts';
import { readConverse } from './bedrock-request.ts';
import { cohereBody, cohereSteps } from './cohere.ts';
import { readCohereChat } from './cohere-request.ts';
import {
  readEmbed as readCohereEmbed,
  readRerank as readCohereRerank,
  type SearchReply,
} from './cohere-search.ts';
import { embeddingsBody, readEmbeddings } from './embeddings.ts';
import { type ErrorReply, modelNotFound, promptTooLong, Rejection } from './errors.ts';
import type { Asked, Dialect, Reply, Step } from './exchange.ts';
import type { FaultName } from './faults.ts';
import type { Shelf } from './files.ts';
import { geminiBody, geminiSteps } from './gemini.ts';
import { batchBody, embeddingBody, readBatch, readCount, readEmbed, tokensBody } from './gemini-embed.ts';
import { readGenerate } from './gemini-request.ts';
import { modelBody, modelsBody, serves } from './models.ts';
import type { Objects } from './objects.ts';
import { openaiBody, openaiSteps } from './openai.ts';
import { readChat } from './openai-request.ts';
import { predictionBody, readPrediction } from './replicate.ts';
import { responsesBody, responsesSteps } from './responses.ts';
import { readResponses } from './responses-request.ts';
import { type FaultDraw, override, type Scenario } from './scenario.ts';
import type { Wire } from './script.ts';

/** A request as the endpoints see it. */
export interface Inquiry {
  readonly dialect: Dialect;
  /** Without the query. */
  readonly path: string;
  readonly query: string;
  readonly shelf: Shelf;
  readonly objects: Objects;
  /** Value of the header `x-simulate`. */
  readonly simulate: string | null;
  /** Models served; empty: any. */
  readonly models: readonly string[];
  readonly base: Scenario;
  readonly draw: FaultDraw;
}

/** The answer to an inquiry, before it goes on the wire. */
export interface Outcome {
  readonly scenario: Scenario;
  readonly fault: FaultName | null;
  readonly body: Wire['body'];
  /** Encoding of a stream; `utf8` by default. */
  readonly encoding?: Wire['encoding'];
  /** JSON by default. */
  readonly contentType?: string;
  readonly outputTokens: number;
}

/**
 * Handles one request. Throws a `Rejection` if the API would refuse it. @param raw text of the body, which
 * identifies repeated requests
 */
export type Endpoint = (inquiry: Inquiry, body: Json, raw: string) => Outcome;

/** Throws an error reply. */
export function reject(error: ErrorReply): never {
  throw new Rejection(error);
}

function scenarioOf(inquiry: Inquiry, line: string | null): Scenario {
  let scenario = inquiry.base;
  const sources = [
    ['The line `simulate:` of the last user message', line],
    ['The header `x-simulate`', inquiry.simulate],
  ] as const;
  for (const [where, text] of sources) {
    if (text === null) continue;
    const changed = override(scenario, text);
    if (typeof changed === 'string') {
      const message = `${where} can't be read: ${changed}`;
      reject({ status: 400, type: 'invalid_request_error', message, param: 'x-simulate' });
    }
    scenario = changed;
  }
  return scenario;
}

function checkModel(inquiry: Inquiry, model: string): void {
  if (!serves(inquiry.models, model)) reject(modelNotFound(inquiry.dialect, model));
}

const spellings = {
  openai: { body: openaiBody, steps: openaiSteps },
  anthropic: { body: anthropicBody, steps: anthropicSteps },
  gemini: { body: geminiBody, steps: geminiSteps },
  cohere: { body: cohereBody, steps: cohereSteps },
  bedrock: { body: bedrockBody, steps: bedrockSteps },
  responses: { body: responsesBody, steps: responsesSteps },
} as const;

const otherThan = (dialect: Dialect): 'openai' | 'anthropic' =>
  dialect === 'openai' ? 'anthropic' : 'openai';

/** How a dialect writes its answers. */
interface Spelling {
  body(reply: Reply): string;
  steps(reply: Reply): Step[];
}

function chat(inquiry: Inquiry, asked: Asked, raw: string, own: Spelling): Outcome {
  checkModel(inquiry, asked.model);
  const scenario = scenarioOf(inquiry, asked.line);
  if (scenario.contextTokens > 0 && asked.inputTokens > scenario.contextTokens) {
    reject(promptTooLong(inquiry.dialect, asked.inputTokens, scenario.contextTokens));
  }
  const fault = inquiry.draw(scenario, raw);
  const { id, answers } = answer(asked, scenario);
  const filtered = isAzure(inquiry.path);
  const reply = { asked, id, answers, withUsage: fault !== 'missing_usage', filtered };
  const wrong = fault === 'wrong_dialect';
  const dialect = wrong ? otherThan(asked.dialect) : asked.dialect;
  const spelled = wrong ? spellings[otherThan(asked.dialect)] : own;
  const outputTokens = answers.reduce((sum, one) => sum + one.outputTokens, 0);
  return {
    scenario,
    fault,
    body: asked.stream ? spelled.steps(reply) : spelled.body(reply),
    encoding: asked.stream && dialect === 'bedrock' ? 'latin1' : 'utf8',
    outputTokens,
  };
}

function embeddings(inquiry: Inquiry, body: Json, raw: string): Outcome {
  const asked = readEmbeddings(body);
  checkModel(inquiry, asked.model);
  const scenario = scenarioOf(inquiry, null);
  const fault = inquiry.draw(scenario, raw);
  const text = embeddingsBody(asked, scenario.seed, fault !== 'missing_usage');
  return {
    scenario,
    fault,
    body: fault === 'wrong_dialect' ? '{"type":"message","content":[]}' : text,
    encoding: 'utf8',
    outputTokens: 0,
  };
}

function search(inquiry: Inquiry, asked: SearchReply, raw: string): Outcome {
  checkModel(inquiry, asked.model);
  const scenario = scenarioOf(inquiry, null);
  const fault = inquiry.draw(scenario, raw);
  const text = asked.body(scenario.seed, fault !== 'missing_usage');
  const body = fault === 'wrong_dialect' ? '{"type":"message","content":[]}' : text;
  return { scenario, fault, body, encoding: 'utf8', outputTokens: 0 };
}

function predict(inquiry: Inquiry, body: Json, model: string, raw: string): Outcome {
  const { asked, input } = readPrediction(body, model);
  // A prediction is never streamed in the response that creates it.
  return chat(inquiry, asked, raw, { body: (reply) => predictionBody(reply, input), steps: () => [] });
}

function countTokens(inquiry: Inquiry, asking: Json, raw: string): Outcome {
  const asked = readMessagesRequest(asking, true);
  checkModel(inquiry, asked.model);
  const scenario = scenarioOf(inquiry, asked.line);
  const fault = inquiry.draw(scenario, raw);
  const body = JSON.stringify({ input_tokens: asked.inputTokens });
  return { scenario, fault, body, outputTokens: 0 };
}

function decodeId(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Answers `GET /v1/models` and `GET /v1/models/{id}`. */
export function models(inquiry: Inquiry): Outcome {
  const scenario = scenarioOf(inquiry, null);
  const fault = inquiry.draw(scenario, inquiry.path);
  const done = (body: string): Outcome => ({ scenario, fault, body, outputTokens: 0 });
  if (inquiry.path === '/v1/models') return done(modelsBody(inquiry.dialect, inquiry.models));
  const id = decodeId(inquiry.path.slice('/v1/models/'.length));
  checkModel(inquiry, id);
  return done(modelBody(inquiry.dialect, id));
}

/** Makes an auxiliary endpoint. */
const auxiliary =
  (read: (body: Json) => Auxiliary): Endpoint =>
  (inquiry, body, raw) => {
    const asked = read(body);
    checkModel(inquiry, asked.model);
    const scenario = scenarioOf(inquiry, null);
    const fault = inquiry.draw(scenario, raw);
    const reply = asked.answer(scenario, fault !== 'missing_usage');
    if (fault === 'wrong_dialect') return { scenario, fault, body: '{"type":"message"}', outputTokens: 0 };
    return { scenario, fault, ...reply };
  };

/** Answers requests for files, except uploads; null: no such path, or not with this method. */
export function files(inquiry: Inquiry, method: string): Outcome | null {
  const [, id = '', content] = /^\/v1\/files(?:\/([^/]+)(\/content)?)?$/.exec(inquiry.path) ?? [];
  const { shelf, query } = inquiry;
  const scenario = scenarioOf(inquiry, null);
  const fault = inquiry.draw(scenario, `${method} ${inquiry.path}`);
  const done = (value: object): Outcome => ({
    scenario,
    fault,
    body: JSON.stringify(value),
    outputTokens: 0,
  });
  if (method === 'DELETE' && id !== '' && content === undefined) return done(shelf.remove(id));
  if (method !== 'GET') return null;
  if (id === '') return done(shelf.list(new URLSearchParams(query)));
  if (content === undefined) return done(shelf.get(id));
  return {
    scenario,
    fault,
    body: shelf.content(id),
    contentType: 'application/octet-stream',
    outputTokens: 0,
  };
}

function upload(inquiry: Inquiry, body: Json, raw: string): Outcome {
  const scenario = scenarioOf(inquiry, null);
  const fault = inquiry.draw(scenario, raw);
  // A refused or lost upload is not kept.
  const kept = fault === null ? inquiry.shelf.add(body) : {};
  return { scenario, fault, body: JSON.stringify(kept), outputTokens: 0 };
}

interface Post {
  readonly dialect: Dialect;
  readonly run: Endpoint;
}

/** The endpoints that take a body, by path. Paths with a model in them (Gemini, Bedrock) are not listed. */
export const posts: Readonly<Record<string, Post>> = {
  '/v1/chat/completions': {
    dialect: 'openai',
    run: (inquiry, body, raw) => chat(inquiry, readChat(body), raw, spellings.openai),
  },
  '/v1/embeddings': { dialect: 'openai', run: embeddings },
  '/v1/responses': {
    dialect: 'responses',
    run: (inquiry, body, raw) => chat(inquiry, readResponses(body), raw, spellings.responses),
  },
  '/v1/messages': {
    dialect: 'anthropic',
    run: (inquiry, body, raw) => chat(inquiry, readMessagesRequest(body, false), raw, spellings.anthropic),
  },
  '/v1/messages/count_tokens': { dialect: 'anthropic', run: countTokens },
  '/v1/images/generations': {
    dialect: 'openai',
    run: auxiliary((body) => readImages(body, 'image_generation', 0)),
  },
  '/v1/images/edits': {
    dialect: 'openai',
    run: auxiliary((body) => readImages(body, 'image_edit', givenImages(body))),
  },
  '/v1/images/variations': { dialect: 'openai', run: auxiliary(readVariation) },
  '/v1/audio/speech': { dialect: 'openai', run: auxiliary(readSpeech) },
  '/v1/audio/transcriptions': { dialect: 'openai', run: auxiliary(readTranscript) },
  '/v1/audio/translations': { dialect: 'openai', run: auxiliary(readTranscript) },
  '/v1/moderations': { dialect: 'openai', run: auxiliary(readModeration) },
  '/v1/rerank': { dialect: 'openai', run: auxiliary(readRerank) },
  '/v1/files': { dialect: 'openai', run: upload },
  '/v2/chat': {
    dialect: 'cohere',
    run: (inquiry, body, raw) => chat(inquiry, readCohereChat(body), raw, spellings.cohere),
  },
  '/v2/rerank': {
    dialect: 'cohere',
    run: (inquiry, body, raw) => search(inquiry, readCohereRerank(body), raw),
  },
  '/v2/embed': {
    dialect: 'cohere',
    run: (inquiry, body, raw) => search(inquiry, readCohereEmbed(body), raw),
  },
  '/v1/predictions': {
    dialect: 'replicate',
    run: (inquiry, body, raw) => predict(inquiry, body, String(body.version), raw),
  },
};

const modelPath = /^\/v1(?:beta)?\/models\/(.+):(\w+)$/;

/** Azure's paths: its v1 API, and deployments. */
const isAzure = (path: string): boolean => path.startsWith('/openai/');
const deploymentPath = /^\/openai\/deployments\/([^/]+)(\/.+)$/;

/** The endpoint of an Azure deployment: the path names the model, so the body needn't. */
function deploymentAt(path: string): Post | undefined {
  const [, name, rest] = deploymentPath.exec(path) ?? [];
  const post = name === undefined ? undefined : postAt(`/v1${rest}`);
  if (name === undefined || post?.dialect !== 'openai') return undefined;
  const run: Endpoint = (inquiry, body, raw) => post.run(inquiry, { ...body, model: decodeId(name) }, raw);
  return { ...post, run };
}

const predictionPath = /^\/v1\/(?:models|deployments)\/([^/]+\/[^/]+)\/predictions$/;
const conversePath = /^\/model\/([^/]+)\/(converse|converse-stream)$/;

/** The endpoint for a POST to this path; undefined if there is none. */
export function postAt(path: string): Post | undefined {
  if (path.startsWith('/openai/v1/')) return postAt(path.slice('/openai'.length));
  if (isAzure(path)) return deploymentAt(path);
  if (Object.hasOwn(posts, path)) return posts[path];
  const [, predicted] = predictionPath.exec(path) ?? [];
  if (predicted !== undefined)
    return { dialect: 'replicate', run: (inquiry, body, raw) => predict(inquiry, body, predicted, raw) };
  const [, modelId, operation] = conversePath.exec(path) ?? [];
  if (modelId !== undefined) {
    const streams = operation === 'converse-stream';
    return {
      dialect: 'bedrock',
      run: (inquiry, body, raw) =>
        chat(inquiry, readConverse(body, decodeId(modelId), streams), raw, spellings.bedrock),
    };
  }
  const [, model = '', method = ''] = modelPath.exec(path) ?? [];
  const run = Object.hasOwn(methods, method) ? methods[method] : undefined;
  return run === undefined
    ? undefined
    : { dialect: 'gemini', run: (inquiry, body, raw) => run(inquiry, body, raw, decodeId(model)) };
}

type Method = (inquiry: Inquiry, body: Json, raw: string, model: string) => Outcome;

/** Gemini's methods of a model, by the name after the colon. */
const methods: Readonly<Record<string, Method>> = {
  generateContent: (inquiry, body, raw, model) =>
    chat(inquiry, readGenerate(body, model, false), raw, spellings.gemini),
  streamGenerateContent: (inquiry, body, raw, model) =>
    chat(inquiry, readGenerate(body, model, true), raw, spellings.gemini),
  countTokens: (inquiry, body, raw, model) =>
    about(inquiry, raw, model, () => tokensBody(readCount(body, model))),
  embedContent: (inquiry, body, raw, model) => {
    const asked = [readEmbed(body, model, '')];
    return about(inquiry, raw, model, (seed, withUsage) => embeddingBody(asked, seed, withUsage));
  },
  batchEmbedContents: (inquiry, body, raw, model) => {
    const asked = readBatch(body, model);
    return about(inquiry, raw, model, (seed, withUsage) => batchBody(asked, seed, withUsage));
  },
};

/** Answers with one JSON object where no chat is involved. */
function about(
  inquiry: Inquiry,
  raw: string,
  model: string,
  write: (seed: number, withUsage: boolean) => string,
): Outcome {
  checkModel(inquiry, model);
  const scenario = scenarioOf(inquiry, null);
  const fault = inquiry.draw(scenario, raw);
  const body =
    fault === 'wrong_dialect'
      ? '{"object":"list","data":[]}'
      : write(scenario.seed, fault !== 'missing_usage');
  return { scenario, fault, body, outputTokens: 0 };
}
