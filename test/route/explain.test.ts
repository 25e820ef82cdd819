/** `sidegate explain`, and what the record and the reply's headers say of the route that was taken. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { Refusal } from '../../src/base/errors.ts';
import { type Explanation, explain as explainRequest } from '../../src/commands/explanation.ts';
import { parseConfig } from '../../src/config/load.ts';
import { endpointsByPath } from '../../src/listen/endpoints.ts';
import { readDocument } from '../support/documents.ts';
import { startGate } from '../support/gate.ts';
import { openaiWire } from '../support/replies.ts';
import { runCommand, type Said } from '../support/run-command.ts';
import { answers } from '../support/upstream.ts';

const complex =
  'Prove that there are infinitely many primes, and derive a bound for the n-th one step by step.';
const config = {
  authenticate: { anonymousTenant: 'a' },
  providers: {
    openai: { preset: 'openai', apiKey: 'sk-very-secret' },
    own: { dialect: 'openai', baseUrl: 'http://127.0.0.1:9/v1' },
  },
  catalog: {
    models: [{ model: 'llama', inputUsdPerMTok: 0.01, outputUsdPerMTok: 0.02, contextTokens: 8000 }],
  },
  routes: [
    {
      model: 'auto',
      strategy: 'cost',
      targets: [
        { provider: 'own', model: 'llama', tier: 'simple', capabilities: [] },
        { provider: 'openai', model: 'gpt-4o-mini', tier: 'simple' },
        { provider: 'openai', model: 'gpt-4.1', tier: 'moderate' },
        { route: 'best', tier: 'complex' },
      ],
    },
    { model: 'best', targets: [{ provider: 'openai', model: 'gpt-4o' }, { provider: 'own' }] },
  ],
};

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-explain-'));
  writeFileSync(join(folder, 'sidegate.yaml'), stringify(config));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the command on a body. */
function explain(body: unknown, ...args: string[]): Promise<Said> {
  const file = join(folder, 'request.json');
  writeFileSync(file, typeof body === 'string' ? body : JSON.stringify(body));
  return runCommand(['explain', file, '--config', join(folder, 'sidegate.yaml'), ...args]);
}

const ask = (content: string, more: object = {}) => ({
  model: 'auto',
  messages: [{ role: 'user', content }],
  ...more,
});

describe('explain', () => {
  test('prints the features, the tier and every target’s price and verdict', async () => {
    const { code, out } = await explain(ask(complex));
    expect(code).toBe(0);
    expect(out).toMatch(/tier +complex\n/);
    expect(out).toMatch(/features .*prove \d/);
    expect(out).toMatch(/1 openai\/gpt-4o +complex +\$0\.00\d+ +chosen/);
    expect(out).toMatch(/2 own\/best +complex +unknown/);
    expect(out).not.toContain('sk-very-secret');
  });

  test('as JSON: prices from the catalog, and why a target is skipped', async () => {
    const tools = [{ type: 'function', function: { name: 'x', parameters: {} } }];
    const { out } = await explain(ask('What is the capital of Peru?', { tools, max_tokens: 100 }), '--json');
    const found = JSON.parse(out) as Explanation;
    expect(found).toMatchObject({
      model: 'auto',
      route: 'auto',
      tier: 'simple',
      needs: ['tools'],
      maxTokens: 100,
    });
    expect(found.targets.map(({ target, tier, order }) => [target, tier, order])).toEqual([
      ['openai/gpt-4o-mini', 'simple', 1],
      ['openai/gpt-4.1', 'moderate', 2],
      ['openai/gpt-4o', 'complex', 3],
      ['own/best', 'complex', 4],
      ['own/llama', 'simple', null],
    ]);
    const left = found.targets.at(-1);
    expect(left?.verdict).toBe('left out: it lacks what the request needs');
    expect(left?.costUsd).toBeCloseTo((found.promptTokens * 0.01 + 100 * 0.02) / 1e6, 9);
  });

  test('a header decides as it would for a request', async () => {
    const { out } = await explain(ask(complex), '--json', '--header', 'X-Sidegate-Tier: simple');
    expect(JSON.parse(out)).toMatchObject({ tier: 'simple', classified: 'complex' });
    const wrong = await explain(ask(complex), '--header', 'x-sidegate-tier: huge');
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain('x-sidegate-tier');
  });

  test('a plain chain is explained too', async () => {
    const { out } = await explain({ ...ask('Hi'), model: 'best' });
    expect(out).toMatch(/tier +none/);
    expect(out).toMatch(/1 openai\/gpt-4o/);
  });

  test('Gemini’s paths name the model, by either method and with or without a query', async () => {
    const body = { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] };
    for (const method of ['generateContent', 'streamGenerateContent?alt=sse']) {
      const { code, out } = await explain(body, '--json', '--path', `/v1beta/models/best:${method}`);
      expect(code).toBe(0);
      const { targets } = JSON.parse(out) as Explanation;
      expect(targets.find(({ order }) => order === 1)?.target).toBe('openai/gpt-4o');
    }
    const vertex = '/v1beta1/projects/p/locations/l/publishers/google/models/none:generateContent';
    expect(await explain(body, '--path', vertex)).toMatchObject({
      code: 1,
      err: expect.stringContaining('none'),
    });
    expect(await explain(body, '--path', '/v1beta/models/best:tuneModel')).toMatchObject({ code: 2 });
  });

  test('what can’t be explained is refused with a reason', async () => {
    expect(await explain('{')).toMatchObject({ code: 1, err: expect.stringContaining('JSON') });
    expect(await explain({ ...ask('Hi'), model: 'none' })).toMatchObject({
      code: 1,
      err: expect.stringContaining('none'),
    });
    expect(await explain(ask('Hi'), '--path', '/v1/models')).toMatchObject({ code: 2 });
    expect(await explain(ask('Hi'), '--config', join(folder, 'missing.yaml'))).toMatchObject({ code: 1 });
  });
});

test('the guide’s routes are good, and each of them routes', () => {
  const text =
    readDocument('docs/guides/routing.md').fences.find(({ text }) => text.includes('strategy: cost'))?.text ??
    '';
  const loaded = parseConfig(text, {}, () => '');
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults));
  expect(loaded.warnings).toEqual([]);
  const endpoint = endpointsByPath.get('/v1/chat/completions');
  if (endpoint === undefined) throw new Error('no endpoint');
  const first = (model: string, content: string): string | undefined => {
    const body = Buffer.from(JSON.stringify({ ...ask(content), model }));
    const found = explainRequest(
      loaded.config,
      { body, endpoint, path: '/v1/chat/completions', headers: { 'x-sidegate-user': 'u' } },
      0,
    );
    if (found instanceof Refusal) throw new Error(found.text);
    return found.targets.find(({ order }) => order === 1)?.target;
  };
  expect(first('best', 'Hi')).toBe('openai/gpt-4.1');
  expect(first('canary', 'Hi')).toBe('openai/gpt-4.1');
  expect(first('quick', 'Hi')).toMatch(/gpt-4o-mini$/);
  expect(first('eyes', 'Hi')).toBe('own/llava');
  expect(first('auto', 'What is the capital of Peru?')).toBe('openai/gpt-4o-mini');
  expect(first('auto', complex)).toBe('openai/gpt-4.1');
});

describe('through the sidecar', () => {
  test('record and headers state route and tier, also from the cache', async () => {
    const tiered = (['simple', 'moderate', 'complex'] as const).map((tier) => ({
      provider: 'o',
      model: tier,
      tier,
    }));
    const gate = await startGate([answers(openaiWire, 'Good')], {
      routes: [
        { model: 'auto-*', strategy: 'cost', targets: tiered },
        { model: 'plain', targets: [{ provider: 'o' }] },
      ],
    });
    const send = (prompt: string, model: string, headers = {}) =>
      gate.ask(openaiWire, prompt, { more: { model }, headers });
    const first = await send(complex, 'auto-x');
    expect(first.headers).toMatchObject({ 'x-sidegate-tier': 'complex', 'x-sidegate-target': 'o/complex' });
    expect((await send(complex, 'auto-x')).headers).toMatchObject({
      'x-sidegate-tier': 'complex',
      'cache-status': 'sidegate; hit',
    });
    const forced = await send(complex, 'auto-x', { 'x-sidegate-tier': 'simple' });
    expect(forced.headers).toMatchObject({ 'x-sidegate-tier': 'simple', 'x-sidegate-target': 'o/simple' });
    const plain = await send('Hi', 'plain');
    expect(plain.headers['x-sidegate-tier']).toBeUndefined();
    expect((await send(complex, 'auto-x', { 'x-sidegate-tier': 'huge' })).status).toBe(400);
    const records = gate.sidecar.records();
    expect(records.map(({ route, tier }) => [route, tier])).toEqual([
      ['auto-*', 'complex'],
      ['auto-*', 'complex'],
      ['auto-*', 'simple'],
      ['plain', ''],
      ['', ''],
    ]);
    expect(gate.upstream.calls.map(({ json }) => json.model)).toEqual(['complex', 'simple', 'plain']);
    await gate.stop();
  });
});
