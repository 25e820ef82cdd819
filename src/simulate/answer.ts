/** Decides what the simulated model answers (thinking, text, tool calls or JSON), cut to the allowed length. */
import type { Answer, Asked, Attachment, Call, Tool } from './exchange.ts';
import { between, generator, hash, identifier, mix, type Random } from './random.ts';
import type { Scenario } from './scenario.ts';
import { schemaValue } from './schema-value.ts';
import { fill, gist, mentions, tokens } from './text.ts';

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function attached(attachments: readonly Attachment[]): string {
  const list = attachments.map(({ noun, bytes }) =>
    bytes === null ? `${noun} by reference` : `${noun} of ${size(bytes)}`,
  );
  return list.length === 0 ? '' : ` It came with ${list.join(' and ')}.`;
}

/** Limit on the filler of a reply, in tokens, summed over all its choices. */
const fillerMax = 100_000;

/** The opening sentences, which show what was understood; the filler follows. */
function opening(asked: Asked): string {
  const quoted = gist(asked.question);
  const to = quoted === '' ? ' a message without text' : `: "${quoted}"`;
  const repeated = mentions(asked.question).filter((word) => !quoted.includes(word));
  const also = repeated.length === 0 ? '' : ` It also names ${repeated.join(', ')}.`;
  const result = asked.toolResult === null ? '' : ` The tool answered: "${gist(asked.toolResult)}".`;
  return `This is a simulated answer from Sidegate to${to}.${also}${attached(asked.attachments)}${result}`;
}

function isNamed(tool: Tool, question: string): boolean {
  const name = tool.name.toLowerCase();
  return question.includes(name) || question.includes(name.replaceAll(/[_-]/g, ' '));
}

/** The tools to call: the one required by name, the one that the scenario names, or those that the user's text mentions. */
function toolsToCall(asked: Asked, { call }: Scenario): readonly Tool[] {
  const { toolChoice } = asked;
  if (asked.tools.length === 0 || toolChoice === 'none') return [];
  if (typeof toolChoice === 'object')
    return asked.tools.filter((tool) => tool.name === toolChoice.name).slice(0, 1);
  // A tool's result has just arrived: calling again would never end.
  if (toolChoice === 'auto' && asked.toolResult !== null) return [];
  if (call !== null && toolChoice === 'auto')
    return asked.tools.filter(({ name }) => name === call).slice(0, 1);
  const question = asked.question.slice(0, 65_536).toLowerCase();
  const named = asked.tools.filter((tool) => isNamed(tool, question));
  if (named.length === 0) return toolChoice === 'required' ? asked.tools.slice(0, 1) : [];
  return asked.parallel ? named : named.slice(0, 1);
}

function mailIn(question: string): string | null {
  return mentions(question).find((word) => word.includes('@') || /mail/i.test(word)) ?? null;
}

function makeCall(asked: Asked, tool: Tool, random: Random): Call {
  const byOpenAi = asked.dialect === 'openai' || asked.dialect === 'responses';
  const id = byOpenAi ? identifier(random, 'call_', 24) : identifier(random, 'toolu_01', 22);
  const value = schemaValue(tool.schema ?? {}, random, mailIn(asked.question));
  const object = typeof value === 'object' && value !== null ? value : {};
  return { id, name: tool.name, pieces: tokens(JSON.stringify(object)) };
}

function makeJson(asked: Asked, schema: unknown, random: Random): string[] {
  const value =
    schema === null
      ? { simulated: true, answer: opening(asked) }
      : schemaValue(schema, random, mailIn(asked.question));
  return tokens(JSON.stringify(value));
}

function makeThinking(asked: Asked, random: Random): string[] {
  const start = `The user asks: "${gist(asked.question)}". This is simulated thinking; no model is at work.`;
  return fill(tokens(start), between(random, 30, 50), random);
}

/** Where the earliest stop sequence begins, and which one it is; null if the text has none. */
function firstStop(text: string, stops: readonly string[]): { at: number; sequence: string } | null {
  let first: { at: number; sequence: string } | null = null;
  for (const sequence of stops) {
    const at = text.indexOf(sequence);
    if (at >= 0 && (first === null || at < first.at)) first = { at, sequence };
  }
  return first;
}

function makeOne(asked: Asked, scenario: Scenario, random: Random): Answer {
  let left = asked.outputMax;
  let cut = false;
  const take = (pieces: readonly string[]): readonly string[] => {
    if (pieces.length <= left) {
      left -= pieces.length;
      return pieces;
    }
    cut = true;
    const taken = pieces.slice(0, left);
    left = 0;
    return taken;
  };

  const thinking =
    asked.thinkingMax === 0 ? [] : take(makeThinking(asked, random).slice(0, asked.thinkingMax));
  const tools = toolsToCall(asked, scenario);
  let text: readonly string[] = [];
  let sequence: string | null = null;
  const calls: Call[] = [];
  if (tools.length > 0) {
    // These models announce a call that they chose themselves.
    const plans = asked.dialect === 'anthropic' || asked.dialect === 'cohere';
    if (plans && asked.toolChoice === 'auto') text = take(tokens('I will use a tool for that.'));
    for (const tool of tools) {
      if (left === 0) cut = true;
      if (cut) break;
      const call = makeCall(asked, tool, random);
      calls.push({ ...call, pieces: take(call.pieces) });
    }
  } else {
    const wanted = scenario.replyTokens;
    const drawn = typeof wanted === 'number' ? wanted : between(random, wanted.min, wanted.max);
    const length = Math.min(drawn, Math.ceil(fillerMax / asked.choices));
    const whole = asked.json
      ? makeJson(asked, asked.json.schema, random)
      : fill(tokens(opening(asked)), length, random);
    const stop = asked.stops.length === 0 ? null : firstStop(whole.join(''), asked.stops);
    text = take(stop === null ? whole : tokens(whole.join('').slice(0, stop.at)));
    if (stop !== null && !cut) sequence = stop.sequence;
  }
  const outputTokens =
    thinking.length + text.length + calls.reduce((sum, call) => sum + call.pieces.length, 0);
  const finish = cut ? 'length' : calls.length > 0 ? 'tools' : sequence !== null ? 'sequence' : 'stop';
  return { thinking, text, calls, finish, sequence, outputTokens };
}

/** The answers to a request, one per choice, and the reply's identifier. */
export function answer(
  asked: Asked,
  scenario: Scenario,
): { readonly id: string; readonly answers: readonly Answer[] } {
  const start = asked.key ^ mix(scenario.seed);
  const id = identifier(generator(start ^ 0x1d), '', 24);
  const answers: Answer[] = [];
  for (let n = 0; n < asked.choices; n++) answers.push(makeOne(asked, scenario, generator(mix(start + n))));
  return { id, answers };
}

/** Signs thinking, so that a later request can be checked for returning it unchanged. Not a secret. */
export function sign(thinking: string): string {
  const random = generator(hash(thinking, 0x51));
  return Buffer.from(Array.from({ length: 96 }, () => Math.floor(random() * 256))).toString('base64');
}
