/**
 * Tools other than plain functions: those with free text as input, those inside a namespace, and those that run at the
 * provider. The first two are told to other dialects as functions, and their calls are given back as the client knows
 * them. https://platform.openai.com/docs/guides/function-calling#custom-tools
 */
import { hash } from 'node:crypto';
import { type Json, objectOf, parseObject, textOf } from '../base/json.ts';
import {
  type ChatMessage,
  type ChatRequest,
  type Notes,
  noteDropped,
  noteUnsupported,
  type Tool,
  type ToolOrigin,
} from './chat.ts';

/** Reads a custom tool; as a function it has one text. */
export function customTool(tool: Json, at: string): Tool {
  const name = textOf(tool.name) ?? '';
  const format = objectOf(tool.format);
  // Chat completions nest the grammar once more.
  const { syntax, definition } = { ...format, ...objectOf(format.grammar) };
  const grammar = typeof definition === 'string' ? { syntax: textOf(syntax) ?? '', definition } : null;
  return {
    name,
    description: textOf(tool.description),
    parameters: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
    strict: null,
    cache: null,
    origin: { name, namespace: null, custom: true },
    custom: { grammar, at },
  };
}

/** The request with functions in place of custom tools. A grammar can't be enforced then, so the model is told it. */
export function withFunctions(request: ChatRequest, notes: Notes): ChatRequest {
  if (!request.tools.some(({ custom }) => custom !== undefined)) return request;
  return { ...request, tools: request.tools.map((tool) => asFunction(tool, notes)) };
}

function asFunction({ custom, ...tool }: Tool, notes: Notes): Tool {
  if (custom === undefined || custom.grammar === null) return tool;
  noteDropped(notes, `${custom.at}.format`);
  const { syntax, definition } = custom.grammar;
  const rule = `The input must match this ${syntax} grammar:\n${definition}`;
  const said = tool.description ?? '';
  return { ...tool, description: said === '' ? rule : `${said}\n\n${rule}` };
}

/** Names of the tools that are told as custom ones. */
export function customNames({ tools }: ChatRequest): ReadonlySet<string> {
  if (tools.length === 0) return noNames;
  return new Set(tools.flatMap(({ name, custom }) => (custom === undefined ? [] : [name])));
}

const noNames: ReadonlySet<string> = new Set();

/** The arguments of a custom tool's call as those of the function. */
export const customArguments = (input: string): string => JSON.stringify({ input });

/** The input of a custom tool from the function's arguments; if the model wrote others, all of them. */
export const customInput = (args: string): string => textOf(parseObject(args)?.input) ?? args;

/** The name under which a tool of a namespace is told to other dialects. */
export const flatName = (namespace: string | null, name: string): string =>
  namespace === null || namespace === '' ? name : `${namespace.replace(/_+$/, '')}__${name}`;

/** Longest name made of one that a provider refuses: every provider takes it. */
const cutMaxLength = 51;

/** A name that every provider takes, the same for the same tool. */
const madeName = (name: string): string => {
  const plain = name.replace(/[^a-zA-Z0-9_-]/g, '_').replace(/^[^a-zA-Z_]/, '_');
  return `${plain.slice(0, cutMaxLength)}_${hash('sha256', name).slice(0, 12)}`;
};

/** Whether a conversation calls a tool by a name that the provider refuses. */
function callsRefused(messages: readonly ChatMessage[], taken: RegExp): boolean {
  for (const { role, parts } of messages) {
    if (role !== 'assistant') continue;
    for (const part of parts)
      if (part.kind === 'tool_call' && part.name !== '' && !taken.test(part.name)) return true;
  }
  return false;
}

/** The request with names of tools that the provider takes; the client gets its own back. @param taken what it takes */
export function withTakenNames(request: ChatRequest, taken: RegExp | undefined): ChatRequest {
  if (taken === undefined) return request;
  const isRefused = (name: string): boolean => name !== '' && !taken.test(name);
  const { tools, messages, toolChoice } = request;
  if (!tools.some(({ name }) => isRefused(name)) && !callsRefused(messages, taken)) return request;
  const rename = <Named extends { readonly name: string | null }>(one: Named): Named =>
    one.name !== null && isRefused(one.name) ? { ...one, name: madeName(one.name) } : one;
  return {
    ...request,
    toolChoice: toolChoice?.kind === 'tool' ? rename(toolChoice) : toolChoice,
    tools: tools.map((tool) =>
      isRefused(tool.name)
        ? { origin: { name: tool.name, namespace: null, custom: false }, ...tool, name: madeName(tool.name) }
        : tool,
    ),
    messages: messages.map((message) => ({
      ...message,
      parts: message.parts.map((part) =>
        part.kind === 'tool_call' || part.kind === 'tool_result' ? rename(part) : part,
      ),
    })),
  };
}

/** The client's name for a function that only another name was told for. */
export function ownName(name: string, origins: ReadonlyMap<string, ToolOrigin> | undefined): string {
  const origin = origins?.get(name);
  return origin !== undefined && !origin.custom && origin.namespace === null ? origin.name : name;
}

/** Tools that the client knows under another name or kind than the provider; undefined: none. */
export function originsOf({ tools }: ChatRequest): ReadonlyMap<string, ToolOrigin> | undefined {
  if (tools.length === 0) return undefined;
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
