/**
 * Rules about turns that some providers check and others don't, applied to a body as it is about to be sent: on the way
 * between dialects, and on the way within one, where most conversations end that failed over in the middle.
 */
import { hash } from 'node:crypto';
import { isObject, type Json, listOf, objectOf, parseObject, textOf } from '../base/json.ts';
import { plainCallId } from './call-id.ts';

/** What a provider demands of a body; left out: nothing. Data only, since it is handed to threads. */
export interface TurnRules {
  /** Members of the body, by what the server calls them; null: it refuses them. */
  readonly words?: Readonly<Record<string, string | null>>;
  /** Members of messages other than tools' that it refuses. */
  readonly noMembers?: readonly string[];
  /** Text of nothing but white space is refused. */
  readonly noBlank?: true;
  /** Content is text, not a list, where it is nothing but text. */
  readonly plainText?: true;
  /** Ids of calls are nine letters and digits. */
  readonly shortIds?: true;
  /** Ids of calls are such as every provider takes (`call-id.ts`). */
  readonly plainIds?: true;
  /** A document needs a text beside it. */
  readonly documentText?: true;
  /** With a budget of thinking, a turn amid a call of tools begins with thinking. */
  readonly thinkingFirst?: true;
  /** In a conversation with calls, every turn of the assistant has `reasoning_content`. */
  readonly reasonedCalls?: true;
  /** The assistant speaks after tools, nobody but the user and tools speak after it, and it never has the last word. */
  readonly strictOrder?: true;
  /** What stands before a conversation that begins with the assistant; left out: nothing is needed. */
  readonly opening?: Json;
}

/** Whether a body has anything that a rule could be about: a quick look that spares most bodies from being parsed. */
export function mayBreak(body: string, rules: TurnRules): boolean {
  const { words = {}, noMembers = [] } = rules;
  return (
    [...Object.keys(words), ...noMembers].some((name) => body.includes(`"${name}"`)) ||
    (rules.noBlank === true && blank.test(body)) ||
    (rules.plainText === true && /"content"\s*:\s*\[/.test(body)) ||
    (rules.shortIds === true && body.includes('"tool_call')) ||
    (rules.plainIds === true && oddId.test(body)) ||
    (rules.documentText === true && body.includes('"document"')) ||
    (rules.thinkingFirst === true && mayLackThinking(body)) ||
    (rules.reasonedCalls === true && mayLackReasoning(body)) ||
    (rules.strictOrder === true && mayLackOrder(body)) ||
    (rules.opening !== undefined && beginsWithAssistant.test(body))
  );
}

/** Many clients sort members, so that content stands before its role; what isn't plain text is looked at closely. */
const beginsWithAssistant =
  /"messages"\s*:\s*\[\s*\{\s*(?:"content"\s*:\s*(?:\[|"[^"\\]*(?:\\|"\s*,\s*"role"\s*:\s*"assistant"))|"role"\s*:\s*"assistant")/;

/** An empty content of a tool's result is no fault, and frequent. */
const blank = /"(?:text"\s*:\s*"|(?:content|system)"\s*:\s*"(?=[ \t\\]))(?:[ \t]|\\[nrt])*"/;

/** Every call has a result, which says its id again. */
const oddId = /"tool_(?:call|use)_id"\s*:\s*"(?![a-zA-Z0-9_-]{1,40}")/;

const beginsWithThinking =
  /^"assistant"\s*,\s*"content"\s*:\s*\[\s*\{\s*"type"\s*:\s*"(?:redacted_)?thinking"/;

/** Whether a budget of thinking may go with an open turn that has none: only such a body is looked at closely. */
function mayLackThinking(body: string): boolean {
  if (!body.includes('"budget_tokens"')) return false;
  const at = body.lastIndexOf('"assistant"');
  return (
    at >= 0 && body.indexOf('"tool_result"', at) >= 0 && !beginsWithThinking.test(body.slice(at, at + 256))
  );
}

/** Whether fewer turns have their reasoning than there are. */
const mayLackReasoning = (body: string): boolean =>
  body.includes('"tool_calls"') &&
  (body.match(/"role"\s*:\s*"assistant"/g)?.length ?? 0) >
    (body.match(/"reasoning_content"\s*:\s*"(?!")/g)?.length ?? 0);

/** Whether there are tools' messages, one of the system amid the turns, or nobody's after the assistant's. */
function mayLackOrder(body: string): boolean {
  const [first, last] = [body.indexOf('"assistant"'), body.lastIndexOf('"assistant"')];
  if (first < 0) return false;
  if (body.includes('"tool"') || body.includes('"system"', first)) return true;
  return !/"role"\s*:\s*"(?:user|tool|system)"/.test(body.slice(last));
}

/** What became of a body. */
export interface Settled {
  readonly changed: boolean;
  /** Names of members that were left out. */
  readonly dropped: readonly string[];
}

const untouched: Settled = { changed: false, dropped: [] };

/** Changes a body until it keeps the rules. */
export function settleTurns(body: Json, rules: TurnRules | undefined): Settled {
  if (rules === undefined) return untouched;
  const dropped = new Set<string>();
  let changed = rules.words !== undefined && reword(body, rules.words, dropped);
  if (rules.noBlank === true) changed = withoutBlank(body) || changed;
  for (const name of rules.thinkingFirst === true ? withoutBudget(body) : []) {
    dropped.add(name);
    changed = true;
  }
  const { noMembers = [], plainText, shortIds, plainIds, documentText: text } = rules;
  const messages: readonly unknown[] = Array.isArray(body.messages) ? body.messages : [];
  const each = [plainText, shortIds, plainIds, text].includes(true) || noMembers.length > 0;
  for (const message of each ? messages : []) {
    if (!isObject(message)) continue;
    changed = withoutMembers(message, noMembers) || changed;
    if (plainText === true) changed = withPlainText(message) || changed;
    if (shortIds === true) changed = withIds(message, shortened) || changed;
    if (plainIds === true) changed = withIds(message, plainCallId) || changed;
    if (text === true) changed = withDocumentText(message) || changed;
  }
  if (rules.reasonedCalls === true) changed = withReasoning(messages) || changed;
  const ordered = rules.strictOrder === true ? withOrder(messages) : null;
  if (ordered !== null) {
    body.messages = ordered;
    changed = true;
  }
  const [first] = messages;
  if (rules.opening !== undefined && isObject(first) && first.role === 'assistant') {
    body.messages = [rules.opening, ...messages];
    changed = true;
  }
  return changed ? { changed, dropped: [...dropped] } : untouched;
}

/** Said by the user before a conversation that begins with the assistant, which some providers refuse. */
export const opening = 'The conversation so far:';

/** Bodies as text, settled; the same Buffer if nothing had to change. */
export function settleBody(body: Buffer, rules: TurnRules): { readonly body: Buffer } & Settled {
  const text = body.toString('utf8');
  const json = mayBreak(text, rules) ? parseObject(text) : null;
  const settled = json === null ? untouched : settleTurns(json, rules);
  return { ...settled, body: settled.changed ? Buffer.from(JSON.stringify(json)) : body };
}

/**
 * Asks for no thinking if the calls that the last message answers don't begin with any: Anthropic refuses a budget then.
 * Edits of thinking are refused without it, so they go too. Returns the names of what was left out.
 */
export function withoutBudget(json: Json): readonly string[] {
  if (objectOf(json.thinking).type !== 'enabled') return [];
  const messages = listOf(json.messages);
  const at = messages.findLastIndex(({ role }) => role === 'assistant');
  const answers = messages
    .slice(at + 1)
    .some(({ content }) => listOf(content).some(({ type }) => type === 'tool_result'));
  const [first] = listOf(messages[at]?.content);
  if (!answers || first?.type === 'thinking' || first?.type === 'redacted_thinking') return [];
  delete json.thinking;
  const edits = listOf(objectOf(json.context_management).edits);
  const kept = edits.filter(({ type }) => !/^clear_thinking_/.test(textOf(type) ?? ''));
  if (kept.length === edits.length) return ['thinking'];
  if (kept.length > 0) json.context_management = { ...objectOf(json.context_management), edits: kept };
  else delete json.context_management;
  return ['thinking', 'context_management'];
}

function reword(body: Json, words: NonNullable<TurnRules['words']>, dropped: Set<string>): boolean {
  let changed = false;
  for (const [name, word] of Object.entries(words)) {
    const value = body[name];
    if (value === undefined) continue;
    delete body[name];
    changed = true;
    if (value === null || value === false) continue;
    if (word === null) dropped.add(name);
    else body[word] ??= value;
  }
  return changed;
}

function withoutMembers(message: Json, names: readonly string[]): boolean {
  if (message.role === 'tool') return false;
  const gone = names.filter((name) => message[name] !== undefined);
  for (const name of gone) {
    const text = textOf(message[name]);
    // What the model said in refusing is text for a server without refusals.
    if (name === 'refusal' && text !== null) message.content ??= text;
    delete message[name];
  }
  return gone.length > 0;
}

/** The first character decides of nearly all texts. */
const isBlank = (value: unknown): boolean =>
  typeof value === 'string' &&
  !(value.charCodeAt(0) > 0x20 && value.charCodeAt(0) < 0x80) &&
  !/\S/.test(value);
const isBlankBlock = (block: unknown): boolean =>
  isObject(block) && block.type === 'text' && isBlank(block.text);
const isBlankMessage = (message: unknown): boolean =>
  isObject(message) &&
  (Array.isArray(message.content) ? message.content.every(isBlankBlock) : isBlank(message.content)) &&
  message.content !== undefined;

/** Whether a content has a blank text, its tools' results included. */
function hasBlank(content: unknown): boolean {
  if (!Array.isArray(content)) return isBlank(content);
  for (const block of content) {
    if (!isObject(block)) continue;
    if (block.type === 'text' ? isBlank(block.text) : Array.isArray(block.content) && hasBlank(block.content))
      return true;
  }
  return false;
}

/** Leaves out blank texts, and the messages that consist of nothing else. */
function withoutBlank(body: Json): boolean {
  const all: readonly unknown[] = Array.isArray(body.messages) ? body.messages : [];
  if (!hasBlank(body.system) && !all.some((one) => isObject(one) && hasBlank(one.content))) return false;
  let changed = false;
  const clean = (holder: Json, field: string): void => {
    const list = holder[field];
    if (!Array.isArray(list) || !list.some(isBlankBlock)) return;
    holder[field] = list.filter((block) => !isBlankBlock(block));
    changed = true;
  };
  clean(body, 'system');
  if (isBlank(body.system) || (Array.isArray(body.system) && body.system.length === 0)) {
    delete body.system;
    changed = true;
  }
  if (!Array.isArray(body.messages)) return changed;
  if (body.messages.some(isBlankMessage)) {
    body.messages = body.messages.filter((message) => !isBlankMessage(message));
    changed = true;
  }
  for (const message of body.messages as unknown[]) {
    if (!isObject(message) || !Array.isArray(message.content)) continue;
    clean(message, 'content');
    for (const block of message.content as unknown[])
      if (isObject(block) && block.type === 'tool_result') clean(block, 'content');
  }
  return changed;
}

/** Between the texts of one message. */
const apart = '\n\n';

/** The texts of a content that is nothing but text, as one; null: it is something else. */
export function joinedTexts(content: unknown): string | null {
  if (!Array.isArray(content) || content.length === 0) return null;
  const isText = (part: unknown): part is { text: string } =>
    isObject(part) && part.type === 'text' && typeof part.text === 'string';
  return content.every(isText) ? content.map(({ text }) => text).join(apart) : null;
}

function withPlainText(message: Json): boolean {
  const text = joinedTexts(message.content);
  if (text !== null) message.content = text;
  return text !== null;
}

const shortId = /^[a-zA-Z0-9]{9}$/;

/** The id if it is short already; otherwise one made of it, the same in the call and in its result. */
const shortened = (id: string): string =>
  shortId.test(id)
    ? id
    : BigInt(`0x${hash('sha256', id)}`)
        .toString(36)
        .slice(-9);

/** Replaces ids of calls, the same in the call and in its result. @param made gives an id that may stay as it is */
function withIds(message: Json, made: (id: string) => string): boolean {
  let changed = false;
  const replace = (holder: Json, field: string): void => {
    const id = textOf(holder[field]);
    if (id === null) return;
    holder[field] = made(id);
    changed ||= holder[field] !== id;
  };
  for (const call of listOf(message.tool_calls)) replace(call, 'id');
  replace(message, 'tool_call_id');
  for (const block of listOf(message.content)) {
    if (block.type === 'tool_use') replace(block, 'id');
    if (block.type === 'tool_result') replace(block, 'tool_use_id');
  }
  return changed;
}

/** Said where a turn's reasoning isn't known, as another model's: nothing at all would be refused. */
const unknownReasoning = ' ';

function withReasoning(messages: readonly unknown[]): boolean {
  const turns = messages.filter((each): each is Json => isObject(each) && each.role === 'assistant');
  if (!turns.some(({ tool_calls }) => listOf(tool_calls).length > 0)) return false;
  const lacking = turns.filter(({ reasoning_content: text }) => (textOf(text) ?? '') === '');
  for (const turn of lacking) turn.reasoning_content = unknownReasoning;
  return lacking.length > 0;
}

/** Said by the assistant where it must speak and didn't. */
const heard = 'OK.';

/** Said behind a turn that the model is to go on with, as Anthropic advises. */
export const goOn = 'Continue from where you left off.';

/** The messages in the order that `strictOrder` means; null: they are. */
function withOrder(messages: readonly unknown[]): readonly unknown[] | null {
  const ordered: unknown[] = [];
  let changed = false;
  let before: unknown = null;
  const add = (message: unknown, isNew: boolean): void => {
    ordered.push(message);
    before = isObject(message) ? message.role : null;
    changed ||= isNew;
  };
  for (const message of messages) {
    const role = isObject(message) ? message.role : null;
    if (before === 'tool' && (role === 'user' || role === 'system'))
      add({ role: 'assistant', content: heard }, true);
    if (isObject(message) && before === 'assistant' && role === 'system')
      add({ ...message, role: 'user' }, true);
    else add(message, false);
  }
  const last = ordered.at(-1);
  const isOpen = isObject(last) && last.role === 'assistant' && listOf(last.tool_calls).length === 0;
  if (isOpen && last.prefix !== true) add({ role: 'user', content: goOn }, true);
  return changed ? ordered : null;
}

/** Said beside a document that came without a word. */
const documentText = 'See the attached document.';

function withDocumentText({ content }: Json): boolean {
  if (!Array.isArray(content) || !content.some((block) => isObject(block) && block.document !== undefined))
    return false;
  const lacks = !listOf(content).some(({ text }) => isShown(text));
  if (lacks) content.push({ text: documentText });
  return lacks;
}

const isShown = (text: unknown): boolean => typeof text === 'string' && !isBlank(text);
