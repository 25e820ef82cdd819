/**
 * What is tried with each SDK before each provider, and what is known not to work. The table in
 * docs/reference/dialects.md is made of it, and the suites go through it.
 */
import type { Stage } from '../simulators.ts';

/** Clients: how an app calls. `suite` is the file `../sdk-<suite>.test.ts` that has its calls. */
export const clients = {
  'openai, chat': { suite: 'openai' },
  'openai, responses': { suite: 'openai' },
  '@anthropic-ai/sdk': { suite: 'anthropic' },
  '@google/genai': { suite: 'genai' },
  'ai with @ai-sdk/openai, chat': { suite: 'ai' },
  'ai with @ai-sdk/openai, responses': { suite: 'ai' },
  'ai with @ai-sdk/anthropic': { suite: 'ai' },
  'Python openai, chat': { suite: 'python' },
  'Python openai, responses': { suite: 'python' },
  'Python anthropic': { suite: 'python' },
  'openai 4, chat': { suite: 'ages' },
  'openai 4, responses': { suite: 'ages' },
  'openai 5, chat': { suite: 'ages' },
  'openai 5, responses': { suite: 'ages' },
  'openai 6, chat': { suite: 'ages' },
  'openai 6, responses': { suite: 'ages' },
  '@anthropic-ai/sdk 0.20': { suite: 'ages' },
  '@anthropic-ai/sdk 0.39': { suite: 'ages' },
  '@anthropic-ai/sdk 0.65': { suite: 'ages' },
  'ai 5 with @ai-sdk/openai 2, chat': { suite: 'ages' },
  'ai 5 with @ai-sdk/openai 2, responses': { suite: 'ages' },
  'ai 5 with @ai-sdk/anthropic 2': { suite: 'ages' },
  'ai 6 with @ai-sdk/openai 3, chat': { suite: 'ages' },
  'ai 6 with @ai-sdk/openai 3, responses': { suite: 'ages' },
  'ai 6 with @ai-sdk/anthropic 3': { suite: 'ages' },
} as const;
export type ClientName = keyof typeof clients;
export const clientNames = Object.keys(clients) as ClientName[];

export type Suite = (typeof clients)[ClientName]['suite'];
/** The clients whose calls one suite has. */
export type ClientOf<S extends Suite> = {
  [Name in ClientName]: (typeof clients)[Name]['suite'] extends S ? Name : never;
}[ClientName];

const both: readonly Stage[] = ['simulator', 'mock'];

/** Where a client is tried: earlier generations on the simulator only. */
export const stagesOf = (client: ClientName): readonly Stage[] =>
  clients[client].suite === 'ages' ? ['simulator'] : both;

/** What is tried, by name, and where. The mock doesn't look at pictures, and knows no errors by name. */
export const cases = {
  text: both,
  'text, streamed': both,
  'a limit of tokens': both,
  'a limit of tokens, streamed': both,
  'a tool that must be called, and its result': both,
  'a named tool, streamed': both,
  'two tools at once, and their results': both,
  'two tools at once, streamed': both,
  'an image': ['simulator'],
  'JSON by a schema': both,
  'error 400': both,
  'error 404': both,
  'error 422': both,
  'error 500': both,
  'a prompt that is too long': ['simulator'],
  'a stream that breaks off': both,
} as const satisfies Readonly<Record<string, readonly Stage[]>>;
export type CaseName = keyof typeof cases;
export const caseNames = Object.keys(cases) as CaseName[];

/** What does not work, and why: the suites see to it that it really fails. Unset fields mean all. */
export interface Exception {
  readonly clients?: readonly ClientName[];
  readonly providers?: readonly string[];
  readonly stage?: Stage;
  readonly cases: readonly CaseName[];
  readonly reason: string;
}

export const exceptions: readonly Exception[] = [
  {
    providers: ['replicate'],
    cases: [
      'a tool that must be called, and its result',
      'a named tool, streamed',
      'two tools at once, and their results',
      'two tools at once, streamed',
      'JSON by a schema',
      'a stream that breaks off',
    ],
    reason:
      'predictions turn text into text, in one piece: no tools, no schemas, no streams that could break off',
  },
  {
    clients: ['ai with @ai-sdk/openai, responses'],
    providers: ['responses'],
    stage: 'mock',
    cases: ['a limit of tokens', 'a limit of tokens, streamed'],
    reason: 'the mock doesn’t say why its response is incomplete, and what it says is passed through',
  },
  {
    clients: ['openai 4, responses', 'openai 5, responses'],
    cases: ['a limit of tokens, streamed'],
    reason: 'these put streams together without `response.incomplete`, so a cut one has no end for them',
  },
  {
    clients: ['@anthropic-ai/sdk 0.20', '@anthropic-ai/sdk 0.39'],
    providers: ['openai', 'gemini', 'responses', 'bedrock', 'cohere', 'replicate'],
    cases: ['text, streamed'],
    reason:
      'these read the prompt’s tokens only where a stream begins, and other dialects tell them at its end',
  },
  {
    clients: ['@anthropic-ai/sdk 0.20'],
    cases: ['a named tool, streamed', 'two tools at once, streamed', 'a stream that breaks off'],
    reason: 'it is older than streams of calls, and calls any fault of a stream a connection error',
  },
];

/** The exception that a case falls under. */
export const exceptionOf = (
  client: ClientName,
  provider: string,
  stage: Stage,
  name: CaseName,
): Exception | undefined =>
  exceptions.find(
    (each) =>
      each.clients?.includes(client) !== false &&
      each.providers?.includes(provider) !== false &&
      (each.stage ?? stage) === stage &&
      each.cases.includes(name),
  );
