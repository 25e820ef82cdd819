/** The cases of the SDKs' suites: what is asked, what must come of it, and what the mock answers. */
import type { FixtureFileResponse, FixtureMatch, FixtureOpts } from '@copilotkit/aimock';
import { expect } from 'vitest';
import { answersAtOnce } from '../simulators.ts';
import type { Asked, Heard, HeardCall, Schema, SdkClient } from './client.ts';
import type { CaseName } from './list.ts';

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';

const object = (properties: Schema['properties']): Schema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const weather = { name: 'get_weather', parameters: object({ city: { type: 'string' } }) };
const time = { name: 'get_time', parameters: object({ zone: { type: 'string' } }) };
const person = object({ name: { type: 'string' }, age: { type: 'integer' } });

/** A fixture of the mock. */
interface Fixture {
  readonly match: FixtureMatch;
  readonly response: FixtureFileResponse;
  readonly opts?: FixtureOpts;
}

/** One thing that is tried. */
export interface Case {
  /** Tells the mock which case it is; the simulator repeats it. */
  readonly prompt: string;
  readonly run: (client: SdkClient, asked: Asked) => Promise<void>;
  /** What differs from a plain question. */
  readonly asks?: Partial<Asked>;
  /** What the simulator is told by header. */
  readonly simulate?: string;
  readonly fixtures: readonly Fixture[];
}

/** A plain question, for a case to change. */
const plain: Omit<Asked, 'model'> = {
  prompt: '',
  stream: false,
  tokensMax: null,
  tools: [],
  choice: 'auto',
  image: null,
  schema: null,
  before: null,
  headers: {},
};

export const askedBy = ({ prompt, asks, simulate }: Case, model: string): Asked => ({
  ...plain,
  model,
  prompt,
  headers: simulate === undefined ? {} : { 'x-simulate': simulate },
  ...asks,
});

/** Tokens as every dialect of the mock is told them. */
const usage = { prompt_tokens: 25, completion_tokens: 15, input_tokens: 25, output_tokens: 15 };

const expectUsage = ({ inputTokens, outputTokens }: Heard): void => {
  expect(inputTokens).toBeGreaterThan(0);
  expect(outputTokens).toBeGreaterThan(0);
};

const text = (prompt: string, stream: boolean): Case => ({
  prompt,
  asks: { stream },
  async run(client, asked) {
    const heard = await client.ask(asked);
    expect(heard).toMatchObject({ finish: 'stop', calls: [], text: expect.stringContaining(prompt) });
    expectUsage(heard);
    if (stream && !answersAtOnce.includes(asked.model)) expect(heard.pieces).toBeGreaterThan(1);
  },
  fixtures: [{ match: { userMessage: prompt }, response: { content: `It said: ${prompt}`, usage } }],
});

const limit = (prompt: string, stream: boolean): Case => ({
  prompt,
  // The least that the Responses API takes.
  asks: { stream, tokensMax: 16 },
  async run(client, asked) {
    const heard = await client.ask(asked);
    expect(heard.finish).toBe('length');
    expect(heard.text).not.toBe('');
  },
  fixtures: [
    { match: { userMessage: prompt }, response: { content: 'Cut off here', finishReason: 'length' } },
  ],
});

const answerOf = ({ name }: HeardCall): string => (name === weather.name ? '-3 °C' : '12:34');

/** The tools that are called are answered, and what they say comes back. */
async function giveResults(client: SdkClient, asked: Asked, { raw, calls }: Heard): Promise<void> {
  const results = calls.map((call) => ({ call, text: answerOf(call) }));
  const heard = await client.ask({ ...asked, choice: 'auto', before: { raw, results } });
  expect(heard.finish).toBe('stop');
  expect(heard.calls).toEqual([]);
  // The simulator repeats only the one that came last.
  expect(results.filter(({ text }) => heard.text.includes(text))).not.toEqual([]);
}

const inputs: Readonly<Record<string, unknown>> = {
  [weather.name]: { city: expect.any(String) },
  [time.name]: { zone: expect.any(String) },
};

const called = (
  prompt: string,
  names: readonly string[],
  asks: Partial<Asked>,
  more: (client: SdkClient, asked: Asked, heard: Heard) => Promise<void> = async () => {},
): Case => ({
  prompt,
  asks: { tools: [weather, time], ...asks },
  async run(client, asked) {
    const heard = await client.ask(asked);
    expect(heard.finish).toBe('calls');
    expect(heard.calls.map(({ name, input }) => ({ name, input }))).toEqual(
      names.map((name) => ({ name, input: inputs[name] })),
    );
    const ids = heard.calls.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    await more(client, asked, heard);
  },
  fixtures: [
    {
      match: { userMessage: prompt, hasToolResult: true },
      response: { content: 'The tools say -3 °C and 12:34.' },
    },
    {
      match: { userMessage: prompt },
      response: {
        toolCalls: names.map((name) => ({
          name,
          arguments: name === weather.name ? { city: 'Tromsø' } : { zone: 'Europe/Oslo' },
        })),
      },
    },
  ],
});

const error = (status: number, fault: string, mocked: number): Case => ({
  prompt: `Refuse with ${fault}`,
  simulate: `fault=${fault}`,
  async run(client, asked) {
    for (const stream of [false, true]) {
      const failure = await client.ask({ ...asked, stream }).then(
        () => null,
        (thrown) => client.failure(thrown),
      );
      expect(failure).toMatchObject({ kind: client.kindOf(status), status });
      expect(failure?.message).not.toBe('');
    }
  },
  fixtures: [
    {
      match: { userMessage: `Refuse with ${fault}` },
      response: { error: { message: 'The mock refuses.', type: 'invalid_request_error' }, status: mocked },
    },
  ],
});

const broken: Case = {
  prompt: 'Break off please',
  asks: { stream: true },
  simulate: 'fault=cut_stream',
  async run(client, asked) {
    const failure = await client.ask(asked).then(
      () => null,
      (thrown) => client.failure(thrown),
    );
    expect(failure?.message).toContain('broke off');
  },
  fixtures: [
    {
      match: { userMessage: 'Break off please' },
      response: { content: 'This is a text of some length that never comes to its end, for it is cut.' },
      // What a socket still holds is lost when it is reset, so that the pieces go out one by one.
      opts: { truncateAfterChunks: 12, chunkSize: 4, latency: 2 },
    },
  ],
};

export const caseOf: Readonly<Record<CaseName, Case>> = {
  text: text('Grüße, 日本 🎉', false),
  'text, streamed': text('Streamed: 10 µs, “naïve” 東京', true),
  'a limit of tokens': limit('Write at length', false),
  'a limit of tokens, streamed': limit('Stream at length', true),
  'a tool that must be called, and its result': called(
    'How cold is it?',
    [weather.name],
    { choice: 'required' },
    giveResults,
  ),
  'a named tool, streamed': called('When is it?', [time.name], { choice: { name: time.name }, stream: true }),
  'two tools at once, and their results': called(
    'Ask get_weather and get_time',
    [weather.name, time.name],
    {},
    giveResults,
  ),
  'two tools at once, streamed': called(
    'Stream get_weather and get_time',
    [weather.name, time.name],
    { stream: true },
    giveResults,
  ),
  'an image': {
    prompt: 'What is in the picture?',
    asks: { image: png },
    async run(client, asked) {
      const bytes = Buffer.from(png, 'base64').length;
      expect((await client.ask(asked)).text).toContain(`an image of ${bytes} bytes`);
    },
    fixtures: [],
  },
  'JSON by a schema': {
    prompt: 'Who wrote the notes?',
    asks: { schema: person },
    async run(client, asked) {
      for (const stream of [false, true]) {
        const { text } = await client.ask({ ...asked, stream });
        expect(JSON.parse(text)).toEqual({ name: expect.any(String), age: expect.any(Number) });
      }
    },
    fixtures: [
      { match: { userMessage: 'Who wrote the notes?' }, response: { content: '{"name":"Ada","age":36}' } },
    ],
  },
  'error 400': error(400, 'bad_request', 400),
  'error 404': error(404, 'not_found', 404),
  'error 422': error(422, 'unprocessable', 422),
  // The gateway's own words, once it has nobody left to ask.
  'error 500': error(503, 'server_error', 500),
  'a prompt that is too long': error(400, 'context_window', 400),
  'a stream that breaks off': broken,
};
