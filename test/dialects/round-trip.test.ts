/** Round trips: a request keeps its meaning when it is written in another dialect and read again. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ChatMessage,
  type ChatRequest,
  createNotes,
  type Part,
  type ToolCallPart,
} from '../../src/dialects/chat.ts';
import { withTrimmedEnd } from '../../src/dialects/fit.ts';
import { dialects } from '../../src/dialects/index.ts';
import { openaiNames } from '../../src/dialects/openai/parts.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import { type DialectName, dialectNames } from '../../src/exchange/dialects.ts';
import { destinationOf } from './fixtures.ts';

/** Dialects whose requests can be both read and written. */
const both = dialectNames.filter(
  (name) => dialects[name].chatClient !== null && dialects[name].chatProvider !== null,
);

/** What a dialect lacks, so that a round trip loses it. Each loss is noted, or has no meaning there. */
const lost: Readonly<Partial<Record<DialectName, (request: ChatRequest) => ChatRequest>>> = {
  openai: (request) => ({ ...request, topK: null }),
  responses: (request) => ({
    ...request,
    topK: null,
    seed: null,
    frequencyPenalty: null,
    presencePenalty: null,
  }),
  gemini: (request) => ({
    ...request,
    user: null,
    metadata: null,
    parallelToolCalls: null,
    tools: request.tools.map((tool) => ({ ...tool, strict: null })),
    messages: joinSystem(request.messages).map(nameless),
    output:
      request.output?.kind === 'schema'
        ? { ...request.output, name: 'answer', description: null, strict: null }
        : request.output,
  }),
  anthropic: (request) => ({
    ...request,
    seed: null,
    frequencyPenalty: null,
    presencePenalty: null,
    metadata: null,
    // Both are one list of system texts there, and a turn to go on with ends without white space.
    messages: joinSystem(withTrimmedEnd(request).messages),
    output:
      request.output?.kind === 'schema'
        ? { ...request.output, name: 'answer', description: null, strict: null }
        : request.output,
  }),
};

/** What a dialect doesn't support, and so is not tested. */
const untellable: Readonly<Partial<Record<DialectName, (request: ChatRequest) => ChatRequest>>> = {
  responses: (request) => ({ ...request, stop: [] }),
  anthropic: (request) => ({ ...request, stop: request.stop.filter((words) => words.trim() !== '') }),
};

/** Gemini's API has no file names, and joins the texts of a tool's result. */
const nameless = (message: ChatMessage): ChatMessage => ({
  ...message,
  parts: message.parts.map((part): Part => {
    if (part.kind === 'document') return { ...part, name: null };
    if (part.kind !== 'tool_result') return part;
    const text = part.content.flatMap((inner) => (inner.kind === 'text' ? [inner.text] : [])).join('\n');
    return { ...part, content: [{ kind: 'text', text, cache: null }] };
  }),
});

function joinSystem(messages: readonly ChatMessage[]): ChatMessage[] {
  const isSystem = ({ role }: ChatMessage): boolean => role === 'system' || role === 'developer';
  const parts = messages.filter(isSystem).flatMap((message) => message.parts);
  const others = messages.filter((message) => !isSystem(message));
  return parts.length === 0 ? others : [{ role: 'system', parts, name: null }, ...others];
}

/** Not blank, as Anthropic takes no text of white space. */
const text = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 12 })
  .map((words) => words.toWellFormed())
  .filter((words) => words.trim() !== '');
const textPart = text.map((words): Part => ({ kind: 'text', text: words, cache: null }));
const imagePart = fc.oneof(
  fc.webUrl().map(
    (url): Part => ({
      kind: 'image',
      source: { kind: 'url', url },
      detail: null,
      cache: null,
      at: '',
    }),
  ),
  fc.base64String({ minLength: 4, maxLength: 16 }).map(
    (data): Part => ({
      kind: 'image',
      source: { kind: 'base64', mediaType: 'image/png', data },
      detail: null,
      cache: null,
      at: '',
    }),
  ),
);
const documentPart = fc.base64String({ minLength: 4, maxLength: 16 }).map(
  (data): Part => ({
    kind: 'document',
    source: { kind: 'base64', mediaType: 'application/pdf', data },
    name: 'a.pdf',
    cache: null,
    at: '',
  }),
);
const toolName = fc.stringMatching(/^[a-z_]{1,8}$/);
const callPart = fc
  .tuple(fc.stringMatching(/^call_[a-zA-Z0-9]{6}$/), toolName, fc.dictionary(toolName, fc.jsonValue()))
  .map(
    ([id, name, input]): ToolCallPart => ({
      kind: 'tool_call',
      id,
      name,
      arguments: JSON.stringify(input),
      cache: null,
      signature: null,
      at: '',
    }),
  );

/** A user's turn, and an answer with calls whose results begin the next turn. */
const turn = fc
  .record({
    asked: fc.array(fc.oneof(textPart, imagePart, documentPart), { minLength: 1, maxLength: 3 }),
    said: fc.array(textPart, { maxLength: 2 }),
    calls: fc.uniqueArray(callPart, { maxLength: 2, selector: ({ id }) => id }),
    results: fc.array(fc.tuple(fc.array(textPart, { minLength: 1, maxLength: 2 }), fc.boolean()), {
      minLength: 2,
      maxLength: 2,
    }),
  })
  .map(({ asked, said, calls, results }): ChatMessage[] => {
    const messages: ChatMessage[] = [{ role: 'user', parts: asked, name: null }];
    if (said.length + calls.length > 0)
      messages.push({ role: 'assistant', parts: [...said, ...calls], name: null });
    if (calls.length > 0) {
      const parts = calls.map(({ id, name }, index): Part => {
        const [content, isError] = results[index] ?? [[], false];
        return {
          kind: 'tool_result',
          callId: id,
          name,
          content: content.filter((part) => part.kind === 'text'),
          isError,
          cache: null,
          at: '',
        };
      });
      messages.push({ role: 'user', parts, name: null });
    }
    return messages;
  });

const optional = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { nil: null });
/** A closed schema, which every provider can enforce. */
const schema = fc.constantFrom(
  { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false },
  { type: 'object', properties: {}, additionalProperties: false },
);
const tool = fc.record({
  name: toolName,
  description: optional(text),
  parameters: schema,
  strict: optional(fc.boolean()),
  cache: fc.constant(null),
});

const request = fc
  .record({
    system: fc.array(textPart, { maxLength: 2 }),
    turns: fc.array(turn, { minLength: 1, maxLength: 3 }),
    tools: fc.uniqueArray(tool, { maxLength: 3, selector: ({ name }) => name }),
    choice: fc.constantFrom(null, 'auto' as const, 'none' as const, 'required' as const, 'tool' as const),
    parallel: optional(fc.boolean()),
    stop: fc.array(text, { maxLength: 3 }),
    // Fewer are too few for the Responses API.
    maxTokens: fc.integer({ min: 16, max: 100_000 }),
    temperature: optional(fc.constantFrom(0, 0.25, 1)),
    topK: optional(fc.nat(50)),
    seed: optional(fc.nat()),
    user: optional(text),
    output: optional(schema),
  })
  .map((given): ChatRequest => {
    const [first] = given.tools;
    const { choice } = given;
    const named = first === undefined ? null : ({ kind: 'tool', name: first.name } as const);
    const system: ChatMessage[] =
      given.system.length === 0 ? [] : [{ role: 'system', parts: given.system, name: null }];
    const toolChoice = choice === 'tool' ? named : choice === null ? null : { kind: choice };
    return {
      names: openaiNames,
      stream: false,
      messages: [...system, ...given.turns.flat()],
      tools: given.tools,
      toolChoice: first === undefined ? null : toolChoice,
      // Said with the choice of tools, which `none` leaves without meaning.
      parallelToolCalls: first === undefined || choice === 'none' ? null : given.parallel,
      stop: given.stop,
      maxTokens: given.maxTokens,
      temperature: given.temperature,
      topP: null,
      topK: given.topK,
      frequencyPenalty: null,
      presencePenalty: null,
      seed: given.seed,
      output:
        given.output === null
          ? null
          : { kind: 'schema', schema: given.output, name: 'answer', description: null, strict: null },
      reasoning: null,
      user: given.user,
      metadata: null,
    };
  });

/** Writes a request in a dialect, and reads it again. */
function through(name: DialectName, given: ChatRequest): ChatRequest {
  const { chatClient, chatProvider } = dialects[name];
  if (chatClient === null || chatProvider === null) throw new Error(`${name} is not read and written`);
  const notes = createNotes();
  const { body } = writeCall(given, chatProvider, destinationOf(name), notes);
  // An `expect` takes as long as the translation: only what differs is worth one.
  if (notes.unsupported !== null || notes.invalid !== null)
    expect(notes).toMatchObject({ unsupported: null, invalid: null });
  return chatClient.readRequest(JSON.parse(JSON.stringify(body)), createNotes());
}

/** Without positions in the body, and with one form for what can be expressed in several. */
const plain = (given: ChatRequest): unknown =>
  JSON.parse(
    JSON.stringify(
      {
        ...given,
        names: null,
        toolChoice: given.toolChoice?.kind === 'auto' ? null : given.toolChoice,
        messages: mergeTurns(given.messages).map(mergeTexts),
      },
      (key, value) => {
        // Where a dialect demands a name for a schema, one without any is called so.
        // So does a file; dialects without names have none.
        if (key === 'at' || (key === 'name' && [null, 'answer', 'document.pdf'].includes(value)))
          return undefined;
        // Without `strict` a tool is not strict; without `detail` the model chooses.
        return (key === 'strict' && value === false) || (key === 'detail' && value === 'auto') ? null : value;
      },
    ),
  );

/** Texts of the model that follow each other mean the same as one, wherever they were split. */
const mergeTexts = ({ role, parts, ...message }: ChatMessage): ChatMessage => {
  const merged: Part[] = [];
  for (const part of parts) {
    const last = merged.at(-1);
    if (role === 'assistant' && last?.kind === 'text' && part.kind === 'text')
      merged[merged.length - 1] = { ...part, text: last.text + part.text };
    else merged.push(part);
  }
  return { ...message, role, parts: merged };
};

/** Consecutive messages of one role mean the same as one. */
function mergeTurns(messages: readonly ChatMessage[]): ChatMessage[] {
  const merged: ChatMessage[] = [];
  for (const message of messages) {
    const last = merged.at(-1);
    if (last === undefined || last.role !== message.role || message.parts.length === 0) merged.push(message);
    else merged[merged.length - 1] = { ...last, parts: [...last.parts, ...message.parts] };
  }
  return merged;
}

describe.each(both.flatMap((a) => both.filter((b) => b !== a).map((b) => ({ a, b }))))(
  '$a → $b → $a',
  ({ a, b }) => {
    test('keeps what both dialects support', () => {
      fc.assert(
        fc.property(request, (given) => {
          const tellable = [a, b].reduce((asked, name) => untellable[name]?.(asked) ?? asked, given);
          const meant = through(a, tellable);
          const expected = (lost[b] ?? ((same) => same))(meant);
          const back = through(a, through(b, meant));
          const [got, wanted] = [plain(back), plain(expected)];
          if (!isDeepStrictEqual(got, wanted)) expect(got).toEqual(wanted);
        }),
        { numRuns: 300 },
      );
    });
  },
);
