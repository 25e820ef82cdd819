/** The reference pages against the code, in both directions: generated parts, endpoints, metrics, lists of names. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { generated, publishedSchema, withGenerated } from '../../scripts/generate.ts';
import { catalogue } from '../../src/base/errors.ts';
import { engineKinds } from '../../src/catalog/engines.ts';
import { nothingBilled } from '../../src/count/usage.ts';
import { presets } from '../../src/dialects/presets.ts';
import { algorithmNames } from '../../src/exchange/algorithm.ts';
import { endpoints, isPassed } from '../../src/exchange/endpoint.ts';
import { noUsage } from '../../src/exchange/usage.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { createRecord, noCourse } from '../../src/observe/record.ts';
import { createSpend } from '../../src/observe/spend.ts';
import { createTargetNames } from '../../src/observe/target-names.ts';
import { strategyNames } from '../../src/route/settings.ts';
import { actionNames } from '../../src/scrub/action.ts';
import { faultNames } from '../../src/simulate/faults.ts';
import { fallbackCauses } from '../../src/upstream/target.ts';
import { ask } from '../support/client.ts';
import { codesIn, firstCodes, readDocument, readDocuments, root } from '../support/documents.ts';
import { idleGauges } from '../support/gauges.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

type Schema = z.core.JSONSchema.BaseSchema;

const sorted = (names: Iterable<string>): string[] => [...names].sort();

const adminToken = 'a token of the admin port';
/** Nothing listens there. */
const unreached = 'http://127.0.0.1:9';
const folder = mkdtempSync(join(tmpdir(), 'sidegate-reference-'));
let sidecar: TestSidecar;
beforeAll(async () => {
  sidecar = await startTestSidecar({
    authenticate: {
      anonymousTenant: 'test',
      oidc: [{ id: 'idp', issuer: unreached, audience: ['sidegate'], tenant: 'test', waitMs: 10_000 }],
    },
    admin: { token: adminToken },
    store: { path: join(folder, 'store.db') },
    limits: [{ name: 'all', capacity: 100, refillPerSecond: 100, softShare: 0.001 }],
    providers: {
      sim: { preset: 'simulator', engine: 'vllm' },
      'sim-anthropic': { preset: 'simulator-anthropic' },
    },
    batch: { queueMaxBytes: 1024 },
    routes: [
      { model: 'sim', targets: [{ provider: 'sim' }, { provider: 'sim-anthropic' }] },
      { model: 'other', targets: [{ provider: 'sim' }] },
    ],
  });
});
afterAll(async () => {
  await sidecar.stop();
  rmSync(folder, { recursive: true });
});

/** The names in the first column of a page's table. */
const namesOf = (page: string, firstHead: string): string[] =>
  sorted(firstCodes(readDocument(page).table(firstHead)));

describe('what is generated', () => {
  test.each(Object.keys(generated))('%s is as the source has it', (page) => {
    const { text } = readDocument(page);
    expect(text).toBe(withGenerated(page, text));
  });

  test('every marker is of a part that is generated', () => {
    const marked = readDocuments().flatMap(({ name, text }) =>
      [...text.matchAll(/<!-- generated:([\w-]+) -->/g)].map(([, part]) => `${name} ${part}`),
    );
    const known = Object.entries(generated).flatMap(([page, parts]) =>
      Object.keys(parts).map((part) => `${page} ${part}`),
    );
    expect(sorted(marked)).toEqual(sorted(known));
  });

  test('a part whose markers are gone is not passed over', () => {
    const page = 'docs/reference/errors.md';
    const { text } = readDocument(page);
    for (const marker of ['<!-- generated:errors -->', '<!-- /generated:errors -->'])
      expect(() => withGenerated(page, text.replace(marker, ''))).toThrow('generated:errors');
  });

  test('the JSON Schema is as the source has it', () => {
    const file = readFileSync(new URL('deploy/sidegate.schema.json', root), 'utf8');
    expect(file).toBe(`${JSON.stringify(publishedSchema(), null, 2)}\n`);
  });

  test('the errors are those of the catalogue', () => {
    expect(namesOf('docs/reference/errors.md', 'code')).toEqual(sorted(Object.keys(catalogue)));
  });

  test("the simulator's faults are those it knows", () => {
    expect(namesOf('docs/reference/faults.md', 'fault')).toEqual(sorted(faultNames));
  });

  test('the presets are the known ones', () => {
    expect(namesOf('docs/reference/presets.md', 'preset')).toEqual(sorted(Object.keys(presets)));
  });

  test('every setting has a row, and every row is of a setting', () => {
    const keys = firstCodes(readDocument('docs/reference/configuration.md').table('key'));
    const { settings, sections } = pathsIn(publishedSchema(), '');
    expect(new Set(keys).size).toBe(keys.length);
    expect(settings.filter((path) => !keys.includes(path))).toEqual([]);
    expect(keys.filter((key) => !settings.includes(key) && !sections.includes(key))).toEqual([]);
  });
});

/** Every path of a schema: those that hold a value, and those that only hold others. */
function pathsIn(schema: Schema, path: string): { settings: string[]; sections: string[] } {
  const parts = (schema.anyOf ?? []).map((part) => part as Schema);
  const inner = [schema, ...parts].flatMap((part): [string, Schema][] => [
    ...Object.entries(part.properties ?? {}).map(([name, child]): [string, Schema] => [
      path === '' ? name : `${path}.${name}`,
      child as Schema,
    ]),
    ...(isSection(part.items) ? [[`${path}[]`, part.items] as [string, Schema]] : []),
    ...(isSection(part.additionalProperties)
      ? [[`${path}.*`, part.additionalProperties] as [string, Schema]]
      : []),
  ]);
  // A value that may also be given as a mapping is one setting, explained in its own row.
  if (inner.length === 0 || parts.length > 0) return { settings: [path], sections: [] };
  const below = inner.map(([name, child]) => pathsIn(child, name));
  return {
    settings: below.flatMap(({ settings }) => settings),
    sections: [path, ...below.flatMap(({ sections }) => sections)],
  };
}

const isSection = (schema: unknown): schema is Schema =>
  typeof schema === 'object' && schema !== null && 'properties' in schema;

/** An upload that names a model nobody serves. */
const form = {
  type: 'multipart/form-data; boundary=b',
  body: '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nunknown\r\n--b--\r\n',
};

describe('endpoints', () => {
  const dataEndpoints = endpoints.filter((each) => each.kind !== 'models' && !isPassed(each));
  const rows = readDocument('docs/reference/endpoints.md')
    .table('endpoint')
    .map(([first = '', dialect = '']) => ({ names: codesIn(first), dialect }));
  const listed = rows.flatMap(({ names, dialect }) => names.map((name) => [name, dialect] as const));

  test('are those that the data port knows', () => {
    const known = dataEndpoints.map(({ path, method }) => `${method} ${path}`);
    const data = listed.filter(([, dialect]) => dialect !== 'admin port').map(([name]) => name);
    expect(sorted(data)).toEqual(sorted([...known, 'GET /v1/models', 'GET /v1/models/{id}']));
  });

  test.each(listed)('%s speaks as is said: %s', async (name, dialect) => {
    const [method = '', path = ''] = name.split(' ');
    if (dialect === 'admin port') {
      const headers = { authorization: `Bearer ${adminToken}` };
      const { status } = await fetch(sidecar.adminUrl + path.replace('{id}', 'nobody'), { method, headers });
      // A key must be described, and one that is revoked must be there; the cache may always be emptied.
      expect(status).toBe({ GET: 200, POST: 415, DELETE: path === '/cache' ? 204 : 404 }[method]);
      return;
    }
    const endpoint = dataEndpoints.find((each) => each.path === path && each.method === method);
    if (endpoint?.name === 'files') {
      const headers = { 'x-sidegate-provider': 'nobody', 'content-type': form.type };
      const body = method === 'POST' ? form.body : '';
      const { text } = await ask(sidecar.url, path.replace('{id}', 'a'), { method, headers, body });
      expect(JSON.parse(text)).toMatchObject({ error: { code: 'provider_unclear' } });
      return expect(dialect).toBe('OpenAI');
    }
    // Whatever it answers to nonsense is in its dialect: Anthropic's errors say `"type": "error"`.
    const speaks = async (headers: Record<string, string>): Promise<string> => {
      const fields = dialect === 'Gemini' ? '{"contents":[]}' : '{"model":"unknown","messages":[]}';
      const asForm = endpoint?.auxiliary?.takes === 'form';
      const body = method === 'POST' ? (asForm ? form.body : fields) : undefined;
      const type = asForm ? { 'content-type': form.type } : {};
      const { text, status } = await ask(
        sidecar.url,
        path.replace('{id}', 'sim').replace('{model}', 'unknown'),
        { method, headers: { ...headers, ...type }, body },
      );
      const reply = JSON.parse(text);
      const code = reply.error?.details?.[0]?.reason ?? reply.error?.code ?? reply.code;
      const [wrong, wrongStatus] =
        endpoint?.kind === 'feedback' ? ['invalid_field', 400] : ['model_not_found', 404];
      expect(code).toBe(method === 'POST' ? wrong : undefined);
      expect(status).toBe(method === 'POST' ? wrongStatus : 200);
      if (reply.error?.details !== undefined) return 'Gemini';
      if (method === 'POST' && reply.error === undefined && reply.type === undefined) return 'Cohere';
      const isAnthropic = reply.type === 'error' || reply.type === 'model' || 'has_more' in reply;
      return isAnthropic ? 'Anthropic' : 'OpenAI';
    };
    const plain = await speaks({});
    if (dialect !== 'the one the client speaks') return expect(plain).toBe(dialect);
    expect([plain, await speaks({ 'anthropic-version': '2023-06-01' })]).toEqual(['OpenAI', 'Anthropic']);
  });

  const passed = endpoints.filter(isPassed);
  test('that are passed on are listed, and refused in their dialect where that is off', async () => {
    const listedPaths = readDocument('docs/reference/endpoints.md').table('path');
    expect(listedPaths.map(([path = '', , name = '']) => [...codesIn(path), ...codesIn(name)])).toEqual(
      passed.map(({ path, name }) => [path, name]),
    );
    const titles = listedPaths.map(([, dialect]) => dialect);
    for (const [at, { path, method, kind, ...more }] of passed.entries()) {
      // A WebSocket is refused before it is known which.
      if (kind === 'session') continue;
      const headers = titles[at] === 'Anthropic' ? { 'anthropic-version': '2023-06-01' } : {};
      const asked = path
        .replace(/(?<=^\/[^/]*(?:\/v1beta)?)\/\*\*/, '/x')
        .replace('/**', '')
        .replace('{id}', 'a')
        .replace('{model}', 'm')
        .replace('{verb}', 'predict');
      const body = method === 'POST' ? '{}' : '';
      const { text, status } = await ask(sidecar.url, asked, { method, headers, body });
      expect([path, status]).toEqual([path, 404]);
      const reply = JSON.parse(text);
      const code = reply.error?.details?.[0]?.reason ?? reply.error?.code ?? reply.code;
      const off = 'unowned' in more ? 'not_found' : 'passthrough_off';
      expect([path, code]).toEqual([path, off]);
      const speaks =
        reply.error === undefined
          ? 'Cohere'
          : reply.error.details !== undefined
            ? 'Gemini'
            : reply.type === 'error'
              ? 'Anthropic'
              : 'OpenAI';
      expect([path, speaks]).toEqual([path, titles[at]]);
    }
  });

  test('the admin port has no others', async () => {
    const { detail } = (await (await fetch(`${sidecar.adminUrl}/none`)).json()) as { detail: string };
    const admin = listed
      .filter(([, dialect]) => dialect === 'admin port')
      .map(([name]) => name.split(' ')[1]?.replace('/{id}', '') ?? '');
    expect(sorted(detail.split(/[\s,.]+/).filter((word) => word.startsWith('/')))).toEqual(
      sorted(new Set(admin)),
    );
  });
});

describe('metrics', () => {
  /** What traffic through a simulator doesn't bring about: prices, and replies that state no usage. */
  async function rare(): Promise<string> {
    const names = createTargetNames(() => false);
    const spend = createSpend(names.of);
    const gauges = idleGauges(spend, {
      budgets: () => [{ budget: 'b', scope: 's', limitUsd: 1, spentUsd: 0 }],
      limits: () => [{ limit: 'l', unit: 'usd', capacity: 1, used: 0 }],
      restingKeys: () => [['p', 1] as const],
      sinks: () => [['otlp', { sent: 1, dropped: 0, waiting: 0, lagMs: 0 }] as const],
    });
    const metrics = createMetrics(gauges, names);
    const record = createRecord(
      { id: '', startedMs: 0, endpoint: { name: '' } },
      noCourse,
      { status: 0 },
      nothingBilled,
      0,
    );
    const usage = { ...noUsage, inputTokens: 1, cachedInputTokens: 1 };
    spend.add({ ...record, charges: [{ target: 'p/m', usage, costNanoUsd: 1 }] });
    metrics.charge('', { target: '', usage, costNanoUsd: 1 });
    metrics.record({ ...record, savedNanoUsd: 1, routingSavedNanoUsd: 1 });
    metrics.charge('', { target: '', usage: { ...noUsage, searchUnits: 1 }, costNanoUsd: 1 });
    metrics.charge('', { target: '', usage: noUsage, costNanoUsd: null });
    metrics.count('counted');
    metrics.connectionsSpent('p');
    metrics.recogniserCheck('checked', 1);
    return metrics.registry.metrics();
  }

  /** Metric → labels, as a scrape has them. */
  async function scraped(): Promise<Map<string, Set<string>>> {
    const found = new Map<string, Set<string>>();
    let current = '';
    for (const line of ((await sidecar.metrics()) + (await rare())).split('\n')) {
      if (line.startsWith('# TYPE ')) current = line.split(' ')[2] ?? '';
      const labels = found.get(current) ?? new Set();
      if (current !== '') found.set(current, labels);
      if (line.startsWith('#') || !line.includes('{')) continue;
      const inside = line.slice(line.indexOf('{') + 1, line.lastIndexOf('}'));
      for (const part of inside.split('",')) labels.add(part.slice(0, part.indexOf('=')));
      // Buckets of a histogram.
      labels.delete('le');
    }
    return found;
  }

  test('are those of a scrape, with their labels', async () => {
    const body = { model: 'sim', messages: [{ role: 'user', content: 'Write to alice@example.com' }] };
    expect((await ask(sidecar.url, '/v1/chat/completions', { body })).status).toBe(200);
    const batch = { 'x-sidegate-priority': 'batch', 'cache-control': 'no-cache' };
    expect((await ask(sidecar.url, '/v1/chat/completions', { body, headers: batch })).status).toBe(200);
    const large = { ...body, user: 'x'.repeat(2000) };
    expect((await ask(sidecar.url, '/v1/chat/completions', { body: large, headers: batch })).status).toBe(
      503,
    );
    sidecar.sidecar.reloadRefused();
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'RS256' })}.${part({ iss: unreached })}.AA`;
    const refused = await ask(sidecar.url, '/v1/chat/completions', { body, headers: { 'x-api-key': token } });
    expect(refused.status).toBe(503);
    const found = await scraped();
    const rows = readDocument('docs/reference/metrics.md')
      .table('metric')
      .flatMap(([names = '', labels = '']) =>
        codesIn(names).map((name) => [name, sorted(codesIn(labels))] as const),
      );
    expect(Object.fromEntries(rows)).toEqual(
      Object.fromEntries([...found].map(([name, labels]) => [name, sorted(labels)])),
    );
  });
});

describe('lists of names in guides', () => {
  test('the strategies', () => {
    expect(namesOf('docs/guides/routing.md', 'strategy')).toEqual(sorted(strategyNames));
  });

  test('what a condition may name', () => {
    expect(namesOf('docs/guides/routing.md', '`on`')).toEqual(sorted(fallbackCauses));
  });

  test('the algorithms of limits', () => {
    expect(namesOf('docs/guides/limits-and-budgets.md', '`algorithm`')).toEqual(sorted(algorithmNames));
  });

  test('what becomes of personal data', () => {
    expect(namesOf('docs/guides/privacy.md', 'action')).toEqual(sorted(actionNames));
  });

  test('the engines, with the paths and figures that are read', () => {
    const rows = readDocument('docs/guides/self-hosted-engines.md').table('engine');
    const listed = rows.map(([name = '', health = '', figures = '']) => [
      codesIn(name)[0],
      [...codesIn(health), ...codesIn(figures).filter((code) => !code.startsWith('--'))].sort(),
    ]);
    const known = Object.entries(engineKinds).map(([name, { healthPath, metrics }]) => [
      name,
      [healthPath, ...Object.values(metrics?.names ?? {}).flat()].sort(),
    ]);
    expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(known));
  });
});

test('what the container image is built from is there', () => {
  const lines = readFileSync(new URL('deploy/Dockerfile.dockerignore', root), 'utf8').split('\n');
  const kept = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  expect(kept).toContain('src');
  expect(kept.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});
