/** The texts that a reply's stream is made of: how a piece of each is sent, how it ends, and how a client reads it. */
import type { DialectName } from '../../src/exchange/dialects.ts';

/** An event of a stream, parsed. */
export type Json = Record<string, unknown>;
/** An event without a name. */
export const data = (event: Json): string => `data: ${JSON.stringify(event)}\n\n`;
/** An event with its name. */
export const named = (event: Json): string => `event: ${event.type}\n${data(event)}`;

/** A kind of text that a dialect streams: how a piece is sent, how it ends, and how a client reads it. */
export interface Channel {
  readonly name: string;
  readonly dialect: DialectName;
  piece(part: string): string;
  /** The last piece, in the event that ends the channel where the dialect can do that. */
  last(part: string): string;
  read(event: Json): string;
}

type Delta = Record<string, string | undefined> & {
  tool_calls?: { index: number; function: { arguments?: string } }[];
};
/** An event of OpenAI's dialect. */
export const openaiDelta = (index: number, delta: Json, reason: string | null): string =>
  data({ id: 'c', choices: [{ index, delta, finish_reason: reason }] });
const openaiChannel = (
  name: string,
  index: number,
  make: (part: string) => Json,
  take: (delta: Delta) => string,
): Channel => ({
  name,
  dialect: 'openai',
  piece: (part) => openaiDelta(index, make(part), null),
  last: (part) => openaiDelta(index, make(part), 'stop'),
  read: (event) =>
    (event.choices as { index: number; delta: Delta }[])
      .filter((choice) => choice.index === index)
      .map(({ delta }) => take(delta))
      .join(''),
});
/** The arguments of one tool call, by its index. */
export const openaiTool = (index: number): Channel =>
  openaiChannel(
    `tool ${index}`,
    0,
    (part) => ({ tool_calls: [{ index, function: { arguments: part } }] }),
    ({ tool_calls: calls = [] }) =>
      calls.map((c) => (c.index === index ? (c.function.arguments ?? '') : '')).join(''),
  );
/** The deltas of one content block. */
export const anthropicChannel = (name: string, index: number, type: string, field: string): Channel => {
  const piece = (part: string): string =>
    named({ type: 'content_block_delta', index, delta: { type, [field]: part } });
  return {
    name,
    dialect: 'anthropic',
    piece,
    last: (part) => piece(part) + named({ type: 'content_block_stop', index }),
    read: (event) =>
      event.type === 'content_block_delta' && event.index === index
        ? ((event.delta as Record<string, string>)[field] ?? '')
        : '',
  };
};

/** What OpenAI's dialect streams. */
export const openaiChannels: readonly Channel[] = [
  openaiChannel(
    'content',
    0,
    (content) => ({ content }),
    ({ content }) => content ?? '',
  ),
  openaiChannel(
    'reasoning',
    0,
    (r) => ({ reasoning_content: r }),
    (delta) => delta.reasoning_content ?? '',
  ),
  openaiTool(0),
  openaiTool(1),
  openaiChannel(
    'content of another choice',
    1,
    (content) => ({ content }),
    ({ content }) => content ?? '',
  ),
];
/** A transcript, or the turn of one of its speakers. */
const transcriptChannel = (name: string, turn: Json, end: Json): Channel => {
  const piece = (part: string): string => data({ type: 'transcript.text.delta', delta: part, ...turn });
  return {
    name,
    dialect: 'openai',
    piece,
    last: (part) => piece(part) + data(end),
    read: (event) =>
      event.type === 'transcript.text.delta' && event.segment_id === turn.segment_id
        ? String(event.delta)
        : '',
  };
};
/** What OpenAI's dialect streams of sound that was heard. */
export const transcriptChannels: readonly Channel[] = [
  transcriptChannel('transcript', {}, { type: 'transcript.text.done', text: '' }),
  transcriptChannel(
    'turn of a speaker',
    { segment_id: 'seg_1' },
    { type: 'transcript.text.segment', id: 'seg_1', text: '' },
  ),
];
/** What Anthropic's dialect streams. */
export const anthropicChannels: readonly Channel[] = [
  anthropicChannel('text', 0, 'text_delta', 'text'),
  anthropicChannel('tool input', 1, 'input_json_delta', 'partial_json'),
  anthropicChannel('thinking', 2, 'thinking_delta', 'thinking'),
];

const responsesChannel = (
  name: string,
  kind: string,
  index: number,
  make: (part: string) => unknown,
  take: (delta: unknown) => string,
): Channel => {
  const at = { output_index: index, command_index: 1 };
  const piece = (part: string): string => named({ type: `response.${kind}.delta`, ...at, delta: make(part) });
  return {
    name,
    dialect: 'responses',
    piece,
    last: (part) => piece(part) + named({ type: `response.${kind}.done`, ...at }),
    read: (event) =>
      event.type === `response.${kind}.delta` && event.output_index === index ? take(event.delta) : '',
  };
};
const shellOutput = (stream: 'stdout' | 'stderr', index: number): Channel =>
  responsesChannel(
    stream,
    'shell_call_output_content',
    index,
    (part) => ({ [stream]: part }),
    (delta) => (delta as Record<string, string>)[stream] ?? '',
  );

/** What the Responses dialect streams. */
export const responsesChannels: readonly Channel[] = [
  responsesChannel('text', 'output_text', 0, (part) => part, String),
  responsesChannel('shell command', 'shell_call_command', 1, (part) => part, String),
  shellOutput('stdout', 2),
  shellOutput('stderr', 2),
];
