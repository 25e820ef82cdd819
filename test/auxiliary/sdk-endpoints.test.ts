/**
 * Every endpoint that OpenAI's, Anthropic's and Google's SDKs know, found in the installed packages: what is asked
 * through Sidegate reaches the provider as it would without, and nothing is missing but what is said here.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { isOfProvider } from '../../src/exchange/endpoint.ts';
import { dialectOf, endpointAt } from '../../src/listen/endpoints.ts';
import { startPassing } from '../support/passing.ts';

interface Asked {
  readonly method: string;
  readonly path: string;
}

const call = /_client\.(get|post|delete|put|patch|getAPIList)\(\s*(?:path\s*)?(?:`([^`]*)`|'([^']*)')/g;

/** The requests in the sources of a package, with ids of their own. */
function askedBy(folder: string, prefix: string): readonly Asked[] {
  const root = fileURLToPath(new URL(`../../node_modules/${folder}/resources`, import.meta.url));
  const found = new Map<string, Asked>();
  for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.mjs')) continue;
    for (const [, verb = '', template, plain] of readFileSync(`${root}/${file}`, 'utf8').matchAll(call)) {
      const method = verb === 'getAPIList' ? 'GET' : verb.toUpperCase();
      const path = prefix + (template ?? plain ?? '').replace(/\$\{[^}]*\}/g, 'obj_1');
      found.set(`${method} ${path}`, { method, path });
    }
  }
  return [...found.values()];
}

/** What isn't served, and why. */
const notServed: readonly (readonly [RegExp, string])[] = [
  [/^\/v1\/(organizations?|projects|safety|webhook_\w+)(\/|$)/, 'the administration of an account'],
  [/^\/v1\/fine_tuning\/checkpoints\//, 'the administration of an account: whose checkpoints are whose'],
  [/^\/v1\/(realtime|live)\//, 'tokens and calls of Realtime that would pass by the gateway'],
  [/^\/v1\/models\/obj_1$/, 'deletes a model: /v1/models is a list of routes'],
];
/** The only method of /v1/models/{id} that is missing. */
const isMissing = ({ method, path }: Asked): boolean =>
  notServed.some(([paths]) => paths.test(path)) && !(path.startsWith('/v1/models/') && method === 'GET');

const makers = [
  { dialect: 'openai', asked: askedBy('openai', '/v1'), headers: {}, atLeast: 350 },
  {
    dialect: 'anthropic',
    asked: askedBy('@anthropic-ai/sdk', ''),
    headers: { 'anthropic-version': '2023-06-01' },
    atLeast: 250,
  },
] as const;

describe.each(makers)('$dialect', ({ dialect, asked, headers, atLeast }) => {
  const endpointOf = ({ method, path }: Asked) => {
    const head = { method, url: path, headers, fault: null };
    const found = endpointAt(head, dialectOf(head));
    return found?.method === method ? found : undefined;
  };

  test('every endpoint is served, but for what is named here', () => {
    expect(asked.length).toBeGreaterThan(atLeast);
    const missing = asked.filter((each) => endpointOf(each) === undefined);
    expect(missing.filter((each) => !isMissing(each))).toEqual([]);
    expect(asked.filter((each) => isMissing(each) && endpointOf(each) !== undefined)).toEqual([]);
  });

  test('what is passed on reaches the provider as it is', async () => {
    const { asking, upstream } = await startPassing({ dialect });
    const passed = asked.filter((each) => {
      const endpoint = endpointOf(each);
      return endpoint !== undefined && isOfProvider(endpoint) && endpoint.auxiliary?.takes !== 'form';
    });
    expect(passed.length).toBeGreaterThan(100);
    for (const { method, path } of passed) {
      const body = ['POST', 'PUT', 'PATCH'].includes(method) ? { a: [1, 'ß'] } : '';
      const { status } = await asking(method, path, '', body, headers);
      const seen = upstream.calls.at(-1);
      const through = { status, method: seen?.method, path: seen?.path, body: seen?.body.toString() };
      expect(through).toEqual({ status: 200, method, path, body: body === '' ? '' : JSON.stringify(body) });
    }
    expect(upstream.calls).toHaveLength(passed.length);
  });
});

/** The paths in Google's SDK, without those of Vertex. */
function googlesPaths(): readonly string[] {
  const file = new URL('../../node_modules/@google/genai/dist/node/index.mjs', import.meta.url);
  const found = new Set<string>();
  for (const [, template = ''] of readFileSync(file, 'utf8').matchAll(
    /(?:formatMap\('|pathToFunc\("\/\{api_version\}\/)([^'"]+)/g,
  ))
    found.add(
      template
        .replace(/^\{model\}/, 'models/m')
        .replace(/\{\w+\}/g, 'obj_1')
        .replace(/\?.*/, ''),
    );
  return [...found]
    .filter((path) => !path.startsWith('obj_1') && !onVertex.test(path))
    .map((path) => `/v1beta/${path}`);
}

const onVertex = /^(?:tuningJobs|batchPredictionJobs)/;

/** What of Google's isn't served, and why. */
const notServedOfGoogle: readonly (readonly [RegExp, string])[] = [
  [
    /\/(agents|environments|interactions|triggers|voices)(\/|$)/,
    'ids without a kind, so that owners can not be told',
  ],
  [/\/(credentials|webhooks)(\/|$)/, 'the administration of an account'],
  [/\/auth_tokens$/, 'tokens for calls that pass by the gateway'],
  [/\/upload\//, 'uploads other than of files'],
];

test("Google's are served, but for what is named here", () => {
  const paths = googlesPaths();
  expect(paths.length).toBeGreaterThan(30);
  const isServed = (path: string): boolean =>
    ['GET', 'POST'].some((method) => {
      const head = { method, url: path, headers: {}, fault: null };
      return endpointAt(head, dialectOf(head))?.method === method;
    });
  const missing = paths.filter((path) => !isServed(path));
  expect(missing.filter((path) => !notServedOfGoogle.some(([each]) => each.test(path)))).toEqual([]);
});
