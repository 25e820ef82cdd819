/**
 * What each endpoint answers: from a request's JSON to the body of the reply, under a plan and a
 * fault. No I/O.
 */
import { answer } from './answer.ts';
import { anthropicBody, anthropicSteps } from './anthropic.ts';
import { readMessagesRequest } from './anthropic-request.ts';
import { bedrockBody, bedrockSteps } from './bedrock.ts';
import { readConverse } from './bedrock-request.ts';
import type { Json } from './check.ts';
import { embeddingsBody, readEmbeddings } from './embeddings.ts';
import { type ErrorReply, modelNotFound, promptTooLong, Rejection } from './errors.ts';
import type { Asked, Dialect } from './exchange.ts';
import type { FaultName } from './faults.ts';
import { geminiBody, geminiSteps } from './gemini.ts';
import { batchBody, embeddingBody, readBatch, readCount, readEmbed, tokensBody } from './gemini-embed.ts';
import { readGenerate } from './gemini-request.ts';
import { modelBody, modelsBody, serves } from './models.ts';
import { openaiBody, openaiSteps } from './openai.ts';
import { readChat } from './openai-request.ts';
import { type FaultDraw, override, type Plan } from './plan.ts';
import { responsesBody, responsesSteps } from './responses.ts';
import { readResponses } from './responses-request.ts';
import type { Wire } from './script.ts';

/** A request as the endpoints see it. */
export interface Inquiry {
  readonly dialect: Dialect;
  /** Without its query. */
  readonly path: string;
  /** The header `x-simulate`. */
  readonly simulate: string | null;
  /** Models that are served; empty: any. */
  readonly models: readonly string[];
  readonly base: Plan;
  readonly draw: FaultDraw;
}

/** The answer to an inquiry, not yet on the wire. */
export interface Outcome {
  readonly plan: Plan;
  readonly fault: FaultName | null;
  readonly body: Wire['body'];
  /** Of a stream. */
  readonly encoding: Wire['encoding'];
  readonly outputTokens: number;
}

/**
 * Throws a `Rejection` where the API would refuse. `raw` is the body's text, which tells repeated
 * requests.
 */
export type Endpoint = (inquiry: Inquiry, body: Json, raw: string) => Outcome;

/** Throws an error reply. */
export function reject(error: ErrorReply): never {
  throw new Rejection(error);
}

function planOf(inquiry: Inquiry, line: string | null): Plan {
  let plan = inquiry.base;
  const sources = [
    ['The line `simulate:` of the last user message', line],
    ['The header `x-simulate`', inquiry.simulate],
  ] as const;
  for (const [where, text] of sources) {
    if (text === null) continue;
    const changed = override(plan, text);
    if (typeof changed === 'string') {
      const message = `${where} can't be read: ${changed}`;
      reject({ status: 400, type: 'invalid_request_error', message, param: 'x-simulate' });
    }
    plan = changed;
  }
  return plan;
}

function checkModel(inquiry: Inquiry, model: string): void {
  if (!serves(inquiry.models, model)) reject(modelNotFound(inquiry.dialect, model));
}

const spellings = {
  openai: { body: openaiBody, steps: openaiSteps },
  anthropic: { body: anthropicBody, steps: anthropicSteps },
  gemini: { body: geminiBody, steps: geminiSteps },
  bedrock: { body: bedrockBody, steps: bedrockSteps },
  responses: { body: responsesBody, steps: responsesSteps },
} as const;

const otherThan = (dialect: Dialect): Dialect => (dialect === 'openai' ? 'anthropic' : 'openai');

function chat(inquiry: Inquiry, asked: Asked, raw: string): Outcome {
  checkModel(inquiry, asked.model);
  const plan = planOf(inquiry, asked.line);
  if (plan.contextTokens > 0 && asked.inputTokens > plan.contextTokens) {
    reject(promptTooLong(inquiry.dialect, asked.inputTokens, plan.contextTokens));
  }
  const fault = inquiry.draw(plan, raw);
  const { id, answers } = answer(asked, plan);
  const filtered = isAzure(inquiry.path);
  const reply = { asked, id, answers, withUsage: fault !== 'missing_usage', filtered };
  const dialect = fault === 'wrong_dialect' ? otherThan(asked.dialect) : asked.dialect;
  const spelled = spellings[dialect];
  const outputTokens = answers.reduce((sum, one) => sum + one.outputTokens, 0);
  return {
    plan,
    fault,
    body: asked.stream ? spelled.steps(reply) : spelled.body(reply),
    encoding: asked.stream && dialect === 'bedrock' ? 'latin1' : 'utf8',
    outputTokens,
  };
}

function embeddings(inquiry: Inquiry, body: Json, raw: string): Outcome {
  const asked = readEmbeddings(body);
  checkModel(inquiry, asked.model);
  const plan = planOf(inquiry, null);
  const fault = inquiry.draw(plan, raw);
  const text = embeddingsBody(asked, plan.seed, fault !== 'missing_usage');
  return {
    plan,
    fault,
    body: fault === 'wrong_dialect' ? '{"type":"message","content":[]}' : text,
    encoding: 'utf8',
    outputTokens: 0,
  };
}

function countTokens(inquiry: Inquiry, asking: Json, raw: string): Outcome {
  const asked = readMessagesRequest(asking, true);
  checkModel(inquiry, asked.model);
  const plan = planOf(inquiry, asked.line);
  const fault = inquiry.draw(plan, raw);
  const body = JSON.stringify({ input_tokens: asked.inputTokens });
  return { plan, fault, body, encoding: 'utf8', outputTokens: 0 };
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
  const plan = planOf(inquiry, null);
  const fault = inquiry.draw(plan, inquiry.path);
  const done = (body: string): Outcome => ({ plan, fault, body, encoding: 'utf8', outputTokens: 0 });
  if (inquiry.path === '/v1/models') return done(modelsBody(inquiry.dialect, inquiry.models));
  const id = decodeId(inquiry.path.slice('/v1/models/'.length));
  checkModel(inquiry, id);
  return done(modelBody(inquiry.dialect, id));
}

interface Post {
  readonly dialect: Dialect;
  readonly run: Endpoint;
}

/** The endpoints that take a body, by path; Gemini's and Bedrock's hold the model in theirs. */
export const posts: Readonly<Record<string, Post>> = {
  '/v1/chat/completions': {
    dialect: 'openai',
    run: (inquiry, body, raw) => chat(inquiry, readChat(body), raw),
  },
  '/v1/embeddings': { dialect: 'openai', run: embeddings },
  '/v1/responses': {
    dialect: 'responses',
    run: (inquiry, body, raw) => chat(inquiry, readResponses(body), raw),
  },
  '/v1/messages': {
    dialect: 'anthropic',
    run: (inquiry, body, raw) => chat(inquiry, readMessagesRequest(body, false), raw),
  },
  '/v1/messages/count_tokens': { dialect: 'anthropic', run: countTokens },
};

const modelPath = /^\/v1(?:beta)?\/models\/(.+):(\w+)$/;

/** Azure's paths: those of its v1 API, and those that name a deployment. */
const isAzure = (path: string): boolean => path.startsWith('/openai/');
const deploymentPath = /^\/openai\/deployments\/([^/]+)(\/.+)$/;

/** A path of Azure's, whose body needn't name the model: the path does. */
function deploymentAt(path: string): Post | undefined {
  const [, name, rest] = deploymentPath.exec(path) ?? [];
  const post = name === undefined ? undefined : postAt(`/v1${rest}`);
  if (name === undefined || post?.dialect !== 'openai') return undefined;
  const run: Endpoint = (inquiry, body, raw) => post.run(inquiry, { ...body, model: decodeId(name) }, raw);
  return { ...post, run };
}

const conversePath = /^\/model\/([^/]+)\/(converse|converse-stream)$/;

/** The endpoint of a path that takes a body. */
export function postAt(path: string): Post | undefined {
  if (path.startsWith('/openai/v1/')) return postAt(path.slice('/openai'.length));
  if (isAzure(path)) return deploymentAt(path);
  if (Object.hasOwn(posts, path)) return posts[path];
  const [, modelId, operation] = conversePath.exec(path) ?? [];
  if (modelId !== undefined) {
    const streams = operation === 'converse-stream';
    return {
      dialect: 'bedrock',
      run: (inquiry, body, raw) => chat(inquiry, readConverse(body, decodeId(modelId), streams), raw),
    };
  }
  const [, model = '', method = ''] = modelPath.exec(path) ?? [];
  const run = Object.hasOwn(methods, method) ? methods[method] : undefined;
  return run === undefined
    ? undefined
    : { dialect: 'gemini', run: (inquiry, body, raw) => run(inquiry, body, raw, decodeId(model)) };
}

type Method = (inquiry: Inquiry, body: Json, raw: string, model: string) => Outcome;

/** Gemini's methods of a model. */
const methods: Readonly<Record<string, Method>> = {
  generateContent: (inquiry, body, raw, model) => chat(inquiry, readGenerate(body, model, false), raw),
  streamGenerateContent: (inquiry, body, raw, model) => chat(inquiry, readGenerate(body, model, true), raw),
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

/** What isn't chat: one JSON object, made from what was read. */
function about(
  inquiry: Inquiry,
  raw: string,
  model: string,
  write: (seed: number, withUsage: boolean) => string,
): Outcome {
  checkModel(inquiry, model);
  const plan = planOf(inquiry, null);
  const fault = inquiry.draw(plan, raw);
  const body =
    fault === 'wrong_dialect' ? '{"object":"list","data":[]}' : write(plan.seed, fault !== 'missing_usage');
  return { plan, fault, body, encoding: 'utf8', outputTokens: 0 };
}
