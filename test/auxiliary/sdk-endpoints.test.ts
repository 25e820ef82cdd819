/**
 * Every endpoint that OpenAI's, Anthropic's and Google's SDKs know, found in the installed packages, is served: what is
 * asked through Sidegate reaches the provider as it would without.
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

const placeholders = /\$?\{[^}]*\}/g;
const inNode = /_client\.(get|post|delete|put|patch|getAPIList)\(\s*(?:path\s*)?(?:`([^`]*)`|'([^']*)')/g;
const inPython = /self\._(get|post|delete|put|patch|get_api_list)\(\s*(?:path_template\(\s*)?f?"([^"]*)()"/g;

/** The requests in the sources of a package. @param prefix of each path */
function askedIn(folder: URL, ending: string, call: RegExp, prefix: string): readonly Asked[] {
  const root = fileURLToPath(folder);
  const found = new Map<string, Asked>();
  for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith(ending)) continue;
    for (const [, verb = '', template, plain] of readFileSync(`${root}/${file}`, 'utf8').matchAll(call)) {
      const method = /list/i.test(verb) ? 'GET' : verb.toUpperCase();
      const [named = ''] = (template || plain || '').split('?', 1);
      const path = prefix + named.replace(placeholders, 'obj_1');
      found.set(`${method} ${path}`, { method, path });
    }
  }
  return [...found.values()];
}

const node = (name: string, prefix: string): readonly Asked[] =>
  askedIn(new URL(`../../node_modules/${name}/resources/`, import.meta.url), '.mjs', inNode, prefix);
const python = (name: string, prefix: string): readonly Asked[] => {
  const packages = new URL('../../.sidegate/venv/lib/', import.meta.url);
  const [version = ''] = readdirSync(packages);
  const folder = new URL(`${version}/site-packages/${name}/resources/`, packages);
  return askedIn(folder, '.py', inPython, prefix);
};

const makers = [
  { name: 'openai', dialect: 'openai', asked: node('openai', '/v1'), headers: {}, atLeast: 350 },
  { name: 'openai of Python', dialect: 'openai', asked: python('openai', '/v1'), headers: {}, atLeast: 350 },
  {
    name: '@anthropic-ai/sdk',
    dialect: 'anthropic',
    asked: node('@anthropic-ai/sdk', ''),
    headers: { 'anthropic-version': '2023-06-01' },
    atLeast: 250,
  },
  {
    name: 'anthropic of Python',
    dialect: 'anthropic',
    asked: python('anthropic', ''),
    headers: { 'anthropic-version': '2023-06-01' },
    atLeast: 250,
  },
] as const;

describe.each(makers)('$name', ({ dialect, asked, headers, atLeast }) => {
  const endpointOf = ({ method, path }: Asked) => {
    const head = { method, url: path, headers, fault: null };
    const found = endpointAt(head, dialectOf(head));
    return found?.method === method ? found : undefined;
  };

  test('every endpoint is served', () => {
    expect(asked.length).toBeGreaterThan(atLeast);
    expect(asked.filter((each) => endpointOf(each) === undefined)).toEqual([]);
  });

  test('no word of a path is taken for the id of an object, which would have to be somebody’s', () => {
    const named = asked.flatMap((each) => {
      const endpoint = endpointOf(each);
      const isOwned = endpoint !== undefined && isOfProvider(endpoint) && endpoint.unowned !== true;
      return isOwned ? [[each.path, endpoint.object] as const] : [];
    });
    expect(named.length).toBeGreaterThan(100);
    expect(named.filter(([, object]) => object !== null && object !== 'obj_1')).toEqual([]);
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

test("every one of Google's is served", () => {
  const paths = googlesPaths();
  expect(paths.length).toBeGreaterThan(30);
  const isServed = (path: string): boolean =>
    ['GET', 'POST'].some((method) => {
      const head = { method, url: path, headers: {}, fault: null };
      return endpointAt(head, dialectOf(head))?.method === method;
    });
  expect(paths.filter((path) => !isServed(path))).toEqual([]);
});
