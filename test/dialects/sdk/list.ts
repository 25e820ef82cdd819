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
} as const;
export type ClientName = keyof typeof clients;
export const clientNames = Object.keys(clients) as ClientName[];

export type Suite = (typeof clients)[ClientName]['suite'];
/** The clients whose calls one suite has. */
export type ClientOf<S extends Suite> = {
  [Name in ClientName]: (typeof clients)[Name]['suite'] extends S ? Name : never;
}[ClientName];

const both: readonly Stage[] = ['simulator', 'mock'];

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
  readonly client?: ClientName;
  readonly provider?: string;
  readonly stage?: Stage;
  readonly cases: readonly CaseName[];
  readonly reason: string;
}

export const exceptions: readonly Exception[] = [
  {
    provider: 'replicate',
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
    client: 'ai with @ai-sdk/openai, responses',
    provider: 'responses',
    stage: 'mock',
    cases: ['a limit of tokens', 'a limit of tokens, streamed'],
    reason: 'the mock doesn’t say why its response is incomplete, and what it says is passed through',
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
      (each.client ?? client) === client &&
      (each.provider ?? provider) === provider &&
      (each.stage ?? stage) === stage &&
      each.cases.includes(name),
  );
