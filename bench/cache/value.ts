/**
 * What the cache is worth: `npm run bench:cache`. Two days of requests, invented from the groups of the domains that are
 * kept for reports, go through the real cache: questions to an FAQ, of which few are asked often, and a mix of FAQ, talks
 * and requests with tools. Prints how many upstream calls are left, by what level the others were answered, and how many
 * of those answers were wrong. Its last line is JSON.
 */

import { anonymousIdentity } from '../../src/authenticate/keyring.ts';
import { Cancellation } from '../../src/base/cancellation.ts';
import { Refusal } from '../../src/base/errors.ts';
import { silent } from '../../src/base/telemetry.ts';
import { type Cache, createCache } from '../../src/cache/cache.ts';
import { configSchema } from '../../src/config/schema.ts';
import { endpoints } from '../../src/exchange/endpoint.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { inspect } from '../../src/inspect/inspect.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import { keep } from './edits.ts';
import { choose, type Family, fill, readFamilies, type Values } from './groups.ts';
import { type Random, seeded } from './random.ts';

/** A question with one right answer. */
interface Intent {
  readonly name: string;
  readonly wordings: readonly string[];
  readonly values: Values;
}

const intentsMax = 200;
const questions = 10_000;

/** As many intents as there are, one for each line and one choice of values, from families in turn. */
function makeIntents(families: readonly Family[], random: Random): Intent[] {
  const lines = families.flatMap((family) => family.lines.map((wordings) => ({ family, wordings })));
  return random
    .shuffle(lines)
    .slice(0, intentsMax)
    .map(({ family, wordings }, at) => ({
      name: `${at}`,
      wordings,
      values: choose(family, wordings, random),
    }));
}

/** Draws an intent: the n-th is asked 1/n times as often as the first (Zipf). */
function zipf<T>(items: readonly T[], random: Random): () => T {
  const sums: number[] = [];
  for (const at of items.keys()) sums.push((sums.at(-1) ?? 0) + 1 / (at + 1));
  return () => {
    const drawn = random.next() * (sums.at(-1) ?? 0);
    return items[sums.findIndex((sum) => drawn < sum)] as T;
  };
}

interface Asked {
  /** What only one answer is right for. */
  readonly right: string;
  readonly messages: readonly object[];
  readonly tools?: readonly object[];
}

const user = (content: string): object => ({ role: 'user', content });

/** People write one intent in many ways: of its wordings one, half of the time changed a little. */
function word({ wordings, values }: Intent, random: Random): string {
  const text = fill(random.pick(wordings), values, random);
  return random.chance(0.5) ? keep(text, random) : text;
}

const faqOf = (intent: Intent, random: Random): Asked => ({
  right: intent.name,
  messages: [{ role: 'system', content: 'You answer customers.' }, user(word(intent, random))],
});

/** A talk of its own: nobody has asked it before, though its last question may be one of the FAQ. */
const talkOf = (intent: Intent, at: number, random: Random): Asked => ({
  right: `talk ${at}`,
  messages: [
    user(`I am customer ${at}.`),
    { role: 'assistant', content: 'Hello!' },
    user(word(intent, random)),
  ],
});

const toolsOf = (at: number): Asked => ({
  right: `tools ${at}`,
  messages: [user(`Book order ${at} for me.`)],
  tools: [{ type: 'function', function: { name: 'book', parameters: {} } }],
});

const endpoint = endpoints.find(({ name }) => name === 'chat');
const config = configSchema.parse({ cache: { semantic: { mode: 'on' } } });
const policy = createScrubPolicies(config.scrub, Buffer.alloc(32)).of('acme');
const caller = anonymousIdentity('acme');
const digestKey = Buffer.alloc(32);

/** Asks the cache; an answer that isn't there comes from the "provider" and is stored. */
function ask(
  cache: Cache,
  { messages, tools, right }: Asked,
  at: number,
): 'call' | { level: string; right: boolean } {
  if (endpoint === undefined) throw new Error('unreachable');
  const body = Buffer.from(JSON.stringify({ model: 'm', messages, ...(tools && { tools }) }));
  const exchange: Exchange = {
    id: `req_${at}`,
    endpoint,
    path: endpoint.path,
    query: '',
    headers: {},
    body,
    cancellation: new Cancellation(),
    startedMs: 0,
    detach: () => {},
    holdReply: () => true,
    park: () => {},
  };
  const request = inspect(exchange, policy.request, digestKey);
  if (request instanceof Refusal) throw new Error(request.message);
  const place = cache.place(caller.tenant, 'm');
  const key = cache.key(exchange, caller, request, place, {
    policy: policy.name,
    routeVersion: '1',
    credential: '',
  });
  if (key === null) throw new Error('the cache is off');
  const exact = cache.get(key, place, at);
  if (exact !== null) return { level: 'exact', right: exact.body.toString() === right };
  const { hit, asked } = cache.near(key, exchange, request, place, at);
  if (hit !== null) return { level: hit.level, right: hit.reply.body.toString() === right };
  const reply = { status: 200, contentType: 'application/json', body: Buffer.from(right), stream: false };
  const answered = { key, place, askedMs: at, tags: [], asked };
  cache.put(answered, { ...reply, target: 'sim/m', costNanoUsd: 1000 }, at);
  return 'call';
}

interface Outcome {
  readonly requests: number;
  readonly calls: number;
  readonly wrong: number;
  readonly exact: number;
  readonly normalised: number;
  readonly semantic: number;
}

function run(name: string, requests: readonly Asked[]): Outcome {
  const cache = createCache(config.cache, {
    telemetry: silent,
    random: () => 0.5,
    clock: () => 0,
    peers: { tell: () => {} },
    provider: () => undefined,
  });
  const counts: Record<string, number> = { call: 0, exact: 0, normalised: 0, semantic: 0 };
  let wrong = 0;
  requests.forEach((asked, at) => {
    const answer = ask(cache, asked, at);
    const level = answer === 'call' ? answer : answer.level;
    counts[level] = (counts[level] ?? 0) + 1;
    if (answer !== 'call' && !answer.right) wrong += 1;
  });
  const { call: calls = 0, exact = 0, normalised = 0, semantic = 0 } = counts;
  const percent = (part: number): string => `${((100 * part) / requests.length).toFixed(1)}%`;
  console.log(
    `${name.padEnd(6)} ${requests.length} requests, ${percent(calls)} went upstream, ${percent(exact)} exact, ` +
      `${percent(normalised)} normalised, ${percent(semantic)} semantic; ${wrong} wrong answers (${percent(wrong)})`,
  );
  return { requests: requests.length, calls, wrong, exact, normalised, semantic };
}

const random = seeded(7);
const families = readFamilies().filter(({ split }) => split === 'report' || split === 'earlier');
const intents = makeIntents(families, random);
const draw = zipf(intents, random);
const faq = Array.from({ length: questions }, () => faqOf(draw(), random));
const mixed = Array.from({ length: questions }, (_, at) => {
  const kind = random.next();
  return kind < 0.4 ? faqOf(draw(), random) : kind < 0.75 ? talkOf(draw(), at, random) : toolsOf(at);
});
console.log(`${intents.length} intents`);
console.log(JSON.stringify({ faq: run('FAQ', faq), mixed: run('mixed', mixed) }));
