/**
 * Tools other than plain functions: those with free text as input, those inside a namespace, and those that run at the
 * provider. The first two are told to other dialects as functions, and their calls are given back as the client knows
 * them. https://platform.openai.com/docs/guides/function-calling#custom-tools
 */
import { type Json, objectOf, parseObject, textOf } from '../base/json.ts';
import {
  type ChatRequest,
  type Notes,
  noteDropped,
  noteUnsupported,
  type Tool,
  type ToolOrigin,
} from './chat.ts';

/** A custom tool as a function with one text. A grammar can't be enforced then, so it is described to the model. */
export function customTool(tool: Json, at: string, notes: Notes): Tool {
  const name = textOf(tool.name) ?? '';
  const format = objectOf(tool.format);
  // Chat completions nest the grammar once more.
  const { syntax, definition } = { ...format, ...objectOf(format.grammar) };
  const grammar = textOf(definition);
  if (grammar !== null) noteDropped(notes, `${at}.format`);
  const words = [textOf(tool.description) ?? ''];
  if (grammar !== null) words.push(`The input must match this ${textOf(syntax) ?? ''} grammar:\n${grammar}`);
  const description = words.filter((text) => text !== '').join('\n\n');
  return {
    name,
    description: description === '' ? null : description,
    parameters: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
    strict: null,
    cache: null,
    origin: { name, namespace: null, custom: true },
  };
}

/** The arguments of a custom tool's call as those of the function. */
export const customArguments = (input: string): string => JSON.stringify({ input });

/** The input of a custom tool from the function's arguments; if the model wrote others, all of them. */
export const customInput = (args: string): string => textOf(parseObject(args)?.input) ?? args;

/** The name under which a tool of a namespace is told to other dialects. */
export const flatName = (namespace: string | null, name: string): string =>
  namespace === null || namespace === '' ? name : `${namespace.replace(/_+$/, '')}__${name}`;

/** Tools that the client knows under another name or kind than the provider; undefined: none. */
export function originsOf({ tools }: ChatRequest): ReadonlyMap<string, ToolOrigin> | undefined {
  const kinds = tools.flatMap(({ name, origin }) => (origin === undefined ? [] : [[name, origin] as const]));
  return kinds.length === 0 ? undefined : new Map(kinds);
}

/**
 * Notes tools that run at the provider, which other dialects lack. Beside functions of the app the model may do without
 * them, as agents offer them unasked; alone, or if one must be called, they are what the request is for.
 */
export function noteHosted(
  fields: readonly string[],
  { functions, forced }: { readonly functions: number; readonly forced: boolean },
  notes: Notes,
): void {
  for (const field of fields) {
    if (functions > 0 && !forced) noteDropped(notes, field);
    else noteUnsupported(notes, field);
  }
}
