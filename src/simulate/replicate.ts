/** Reads and answers Replicate's predictions of language models: whole, in their final state. */
import { isObject, type Json } from '../base/json.ts';
import { numberField, type Tally, tallyMessage, tallyText } from './check.ts';
import { invalid } from './errors.ts';
import { type Asked, createdSeconds, type Reply } from './exchange.ts';
import { hash } from './random.ts';
import { takeLine } from './scenario.ts';

const host = 'https://api.replicate.com/v1/predictions';
const limits = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'];

/** A prediction request, and its input, which the reply repeats. */
export interface Prediction {
  readonly asked: Asked;
  readonly input: Json;
}

function readStops({ stop_sequences: stops }: Json): string[] {
  return typeof stops === 'string' ? stops.split(',').filter((stop) => stop !== '') : [];
}

function attachments(input: Json): Asked['attachments'] {
  const urls = [input.image, input.images, input.image_input].flat();
  return urls.flatMap((url) =>
    typeof url === 'string'
      ? [{ noun: 'an image' as const, bytes: url.startsWith('data:') ? dataBytes(url) : null }]
      : [],
  );
}

/** Size of a data URL's base64 content, in bytes. */
const dataBytes = (url: string): number => Buffer.from(url.slice(url.indexOf(',') + 1), 'base64').length;

/** Reads the body of a prediction of `model`. Throws a `Rejection` if the API would refuse. */
export function readPrediction(body: Json, model: string): Prediction {
  const { input } = body;
  if (!isObject(input)) invalid('- input: input is required');
  const { prompt } = input;
  if (typeof prompt !== 'string') invalid('- input: prompt is required');
  const tally: Tally = { tokens: 3, key: hash(model) };
  tallyMessage(tally, 'user');
  for (const text of [input.system_prompt, input.system_instruction, prompt])
    if (typeof text === 'string') tallyText(tally, text);
  const range = { min: 1, max: Number.MAX_SAFE_INTEGER, whole: true };
  const most = limits.map((name) => numberField('replicate', input, name, range, Number.POSITIVE_INFINITY));
  // Of a longer conversation only the last user turn.
  const last = prompt.split(/(?:^|\n\n)User: /).at(-1) ?? prompt;
  const question = last.replace(/\n\nAssistant:$/, '');
  const line = takeLine(question);
  const asked: Asked = {
    dialect: 'replicate',
    model,
    stream: false,
    choices: 1,
    outputMax: Math.min(...most),
    stops: readStops(input),
    question: line?.rest ?? question,
    line: line?.pairs ?? null,
    toolResult: null,
    attachments: attachments(input),
    tools: [],
    toolChoice: 'none',
    parallel: true,
    json: null,
    thinkingMax: 0,
    thinkingShown: false,
    includeUsage: true,
    inputTokens: tally.tokens,
    key: tally.key,
  };
  return { asked, input };
}

/** The body of the reply; the output is the list of pieces that a stream would have. */
export function predictionBody(reply: Reply, input: Json): string {
  const [answer] = reply.answers;
  const id = reply.id.toLowerCase();
  const at = new Date(createdSeconds * 1000).toISOString();
  const seconds = (answer?.outputTokens ?? 0) / 100;
  const counts = reply.withUsage
    ? { input_token_count: reply.asked.inputTokens, output_token_count: answer?.outputTokens ?? 0 }
    : {};
  return JSON.stringify({
    id,
    model: reply.asked.model,
    version: 'hidden',
    input,
    logs: '',
    output: answer?.text ?? [],
    data_removed: false,
    error: null,
    source: 'api',
    status: 'succeeded',
    created_at: at,
    started_at: at,
    completed_at: at,
    urls: { get: `${host}/${id}`, cancel: `${host}/${id}/cancel` },
    metrics: { predict_time: seconds, total_time: seconds, ...counts },
  });
}
