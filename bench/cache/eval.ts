/**
 * Judges the semantic cache on pairs: `npm run eval:cache -- FILE.jsonl`, a line a pair, `{"cached": …, "asked": …,
 * "same": true}`, each side a question or a list of chat messages. With `--verifier` behind it, the cross-encoder looks
 * at those of which the small model is unsure. With `--embedder URL --model NAME --dimensions COUNT`, an OpenAI-compatible
 * API under that URL makes the vectors; its key is taken from `EMBEDDER_API_KEY`.
 *
 * Each pair's cached side is stored and its asked side looked up. The last line is JSON: how many pairs there are, how
 * many of each kind were served, and the curve of both over the least score that is served.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { silent } from '../../src/base/telemetry.ts';
import { upperBound } from '../../src/cache/bounds.ts';
import { createEmbedder, type Embedder } from '../../src/cache/embedder.ts';
import { isUnsure, readCrossEncoder } from '../../src/cache/verifier.ts';
import { configSchema } from '../../src/config/schema.ts';
import { type CrossEncoder, servedFrom } from '../../src/native/cross-encoder.ts';
import { search } from '../../src/native/search.ts';
import { createProvider } from '../../src/upstream/provider.ts';

interface Message {
  readonly role: string;
  readonly content: unknown;
}

interface Line {
  readonly cached: string | readonly Message[];
  readonly asked: string | readonly Message[];
  readonly same: boolean;
}

/** A pair judged: what the plain cosine says, and the score at which it is served, 0 where it never is. */
interface Judged {
  readonly same: boolean;
  readonly served: boolean;
  readonly score: number;
  readonly similarity: number;
}

/** A message's content as a list of parts, as which a string may be written too. */
function partsOf(content: unknown): unknown[] {
  return Array.isArray(content) ? content : [{ type: 'text', text: content }];
}

function textOf(part: unknown): string | null {
  const { type, text } = (part ?? {}) as { type?: unknown; text?: unknown };
  return (type === 'text' || type === 'input_text') && typeof text === 'string' ? text : null;
}

/** All but the last user's text, which must be equal, and that text; none if anything comes after it. */
function split(side: Line['cached']): { readonly scope: string; readonly text: string } {
  const messages = typeof side === 'string' ? [{ role: 'user', content: side }] : side;
  const all = messages.map(({ role, content, ...rest }) => ({ role, parts: partsOf(content), ...rest }));
  const last = all.at(-1);
  const texts = last?.role === 'user' ? last.parts.map(textOf).filter((text) => text !== null) : [];
  if (last === undefined || texts.length === 0) return { scope: JSON.stringify(all), text: '' };
  const others = last.parts.filter((part) => textOf(part) === null);
  const scope = [...all.slice(0, -1), { ...last, parts: others }];
  return { scope: JSON.stringify(scope), text: texts.join('\n').trim() };
}

/** Times of the closer looks, in ms. */
const looksMs: number[] = [];

/** The vector of a text; undefined: the native core makes it. */
async function vectorOf(embedder: Embedder, text: string): Promise<Float32Array | undefined> {
  if (!embedder.external || text === '') return;
  const vector = await embedder.embed('', text);
  if (vector === null) throw new Error(`the embedder gave no vector of ${JSON.stringify(text)}`);
  return vector;
}

async function judge(
  index: number,
  encoder: CrossEncoder | null,
  embedder: Embedder,
  { cached, asked, same }: Line,
  at: number,
): Promise<Judged> {
  const [left, right] = [split(cached), split(asked)];
  const equal = left.scope === right.scope && left.text === right.text;
  search.insert(index, 0, `${at}\n${left.scope}`, at, left.text, await vectorOf(embedder, left.text));
  const vector = await vectorOf(embedder, right.text);
  const found = search.find(index, `${at}\n${right.scope}`, right.text, vector);
  search.remove(index, at);
  if (equal) return { same, served: true, score: 1, similarity: 1 };
  if (found === null) return { same, served: false, score: 0, similarity: 0 };
  const { verdict, score, similarity } = found;
  if (encoder === null || !isUnsure(found, encoder)) {
    return { same, served: verdict === 'same', score, similarity };
  }
  const beganMs = performance.now();
  const looked = await encoder.look(left.text, right.text, score);
  looksMs.push(performance.now() - beganMs);
  return { same, served: looked >= servedFrom, score: looked, similarity };
}

function readLines(file: string): Line[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, at) => {
    if (line.trim() === '') return [];
    const where = `${file}, line ${at + 1}`;
    let pair: Partial<Line> | null;
    try {
      pair = JSON.parse(line) as Partial<Line> | null;
    } catch {
      throw new Error(`${where}: not JSON`);
    }
    const isSide = (side: unknown): boolean => typeof side === 'string' || Array.isArray(side);
    if (!isSide(pair?.cached) || !isSide(pair?.asked) || typeof pair?.same !== 'boolean') {
      throw new Error(
        `${where}: needs "cached" and "asked", texts or lists of messages, and "same", true or false`,
      );
    }
    return [pair as Line];
  });
}

/** An embedder behind a URL. */
function openEmbedder(baseUrl: string, model: string, dimensions: number): Embedder {
  const apiKey = process.env.EMBEDDER_API_KEY;
  const it = { dialect: 'openai', baseUrl, ...(apiKey !== undefined && { apiKey }) };
  const { attempt, providers } = configSchema.parse({ providers: { it } });
  if (providers.it === undefined) throw new Error('unreachable');
  const provider = createProvider('it', providers.it, attempt, null);
  const settings = { provider: 'it', model, dimensions, shorten: false, version: '' };
  return createEmbedder(
    { ...settings, timeoutMs: 60_000, callsMax: 1 },
    { provider: () => provider, clock: () => performance.now(), telemetry: silent },
  );
}

const usage =
  'npm run eval:cache -- FILE.jsonl [--verifier] [--embedder URL --model NAME --dimensions COUNT]';

function readArguments() {
  const text = { type: 'string' } as const;
  const options = { verifier: { type: 'boolean' }, embedder: text, model: text, dimensions: text } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const { verifier = false, embedder, model, dimensions } = values;
  const [file, ...more] = positionals;
  const count = Number(dimensions);
  if (file === undefined || more.length > 0) throw new Error('it needs one file');
  if (embedder === undefined) return { file, verifier, embedder: null };
  if (model === undefined || !(count > 0)) throw new Error('an embedder needs its model and its dimensions');
  return { file, verifier, embedder: { url: embedder, model, dimensions: count } };
}

let given: ReturnType<typeof readArguments>;
try {
  given = readArguments();
} catch (cause) {
  console.error(`${cause instanceof Error ? cause.message : cause}\nusage: ${usage}`);
  process.exit(2);
}

const asked = given.embedder;
const embedder =
  asked === null
    ? createEmbedder(undefined, { provider: () => undefined, clock: () => 0, telemetry: silent })
    : openEmbedder(asked.url, asked.model, asked.dimensions);
const index = search.open(64 * 1024 * 1024, embedder.dimensions);
const encoder = given.verifier ? await readCrossEncoder() : null;
const judged: Judged[] = [];
for (const [at, line] of readLines(given.file).entries())
  judged.push(await judge(index, encoder, embedder, line, at));
const ofKind = (kind: boolean): Judged[] => judged.filter((pair) => pair.same === kind);
const [same, different] = [ofKind(true), ofKind(false)];
const count = (pairs: readonly Judged[], served: (pair: Judged) => boolean): number =>
  pairs.filter(served).length;
const percent = (part: number, of: number): string => `${((100 * part) / Math.max(of, 1)).toFixed(1)}%`;

function say(name: string, served: (pair: Judged) => boolean): void {
  const [hits, traps] = [count(same, served), count(different, served)];
  const bound = different.length > 0 ? percent(upperBound(traps, different.length), 1) : 'unknown';
  console.log(
    `${name.padEnd(14)} served ${percent(hits, same.length)} of those that ask the same, ` +
      `${percent(traps, different.length)} of the others (95%: at most ${bound})`,
  );
}

say('as configured', (pair) => pair.served);
for (const least of [0.97, 0.95, 0.9]) say(`cosine ${least}`, (pair) => pair.similarity >= least);

if (looksMs.length > 0) {
  const sorted = looksMs.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(share * sorted.length)] ?? 0).toFixed(1);
  const share = percent(sorted.length, judged.length);
  console.log(`${share} of the pairs were looked at closely, in ${at(0.5)} ms (p50), ${at(0.99)} ms (p99)`);
}

const steps = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995];
const curve = steps.map((score) => ({
  score,
  hits_on_same: count(same, (pair) => pair.score >= score),
  hits_on_different: count(different, (pair) => pair.score >= score),
}));
console.log(
  JSON.stringify({
    pairs: judged.length,
    same: same.length,
    different: different.length,
    hits_on_same: count(same, (pair) => pair.served),
    hits_on_different: count(different, (pair) => pair.served),
    curve,
  }),
);
