/** What OpenTelemetry's conventions for generative AI require of messages, and a reader of the spans that hold them. */
import { expect } from 'vitest';
import { type Span, valuesOf } from './otlp-receiver.ts';

/** A part of a message. */
export type Part = Readonly<Record<string, unknown>> & { readonly type: string };
/** A message. */
export interface Message {
  readonly role: string;
  readonly parts: readonly Part[];
  readonly finish_reason?: string;
}

/** The members that each type of part must have, and the type of each; undefined: anything but nothing. */
const required: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
  text: { content: 'string' },
  reasoning: { content: 'string' },
  tool_call: { name: 'string' },
  tool_call_response: { response: undefined },
  blob: { modality: 'string', content: 'string' },
  uri: { modality: 'string', uri: 'string' },
};

/** Checks parts. */
export function expectParts(parts: readonly Part[]): void {
  expect(Array.isArray(parts)).toBe(true);
  for (const part of parts) {
    const members = required[part.type];
    expect(members, part.type).toBeDefined();
    for (const [name, type] of Object.entries(members ?? {})) {
      if (type === undefined) expect(part[name]).toBeDefined();
      else expect(typeof part[name], `${part.type}.${name}`).toBe(type);
    }
  }
}

/** Checks messages. @param output each must say why it ended */
export function expectMessages(messages: readonly Message[], output: boolean): void {
  expect(Array.isArray(messages)).toBe(true);
  for (const { role, parts, finish_reason: reason } of messages) {
    expect(role).toMatch(/^(system|developer|user|assistant|tool)$/);
    expectParts(parts);
    if (output) expect(reason).toMatch(/^(stop|length|content_filter|tool_call|error|unknown)$/);
  }
}

/** What a span says, checked. */
export function contentOfSpan({ attributes }: Span) {
  const values = valuesOf(attributes);
  const read = (name: string): unknown[] => JSON.parse(String(values[name] ?? '[]'));
  const system = read('gen_ai.system_instructions') as Part[];
  const input = read('gen_ai.input.messages') as Message[];
  const output = read('gen_ai.output.messages') as Message[];
  expectParts(system);
  expectMessages(input, false);
  expectMessages(output, true);
  return { system, input, output, cut: values['sidegate.content_cut'] === true };
}

/** All text of messages. */
export const saidIn = (messages: readonly Message[]): string =>
  messages.flatMap(({ parts }) => parts.map(({ content }) => content)).join('');
