/** Fields the other dialect lacks: advisory ones are left out and named; others refuse, unless the route drops them. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { ask } from '../support/client.ts';
import { anthropicWire, openaiWire, testModel, type Wire } from '../support/replies.ts';
import { type ConfigInput, startTestSidecar } from '../support/sidecar.ts';
import { answers, echoes, resets, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

interface Setup {
  readonly url: string;
  readonly upstreams: readonly Upstream[];
  readonly tried: () => string | undefined;
}

/** A route over providers of these dialects, in this order. */
async function startRoute(
  targets: readonly (readonly [wire: Wire, script: Script])[],
  more: ConfigInput = {},
  unsupported: 'refuse' | 'drop' = 'refuse',
): Promise<Setup> {
  const upstreams = await Promise.all(targets.map(([, script]) => startUpstream(script)));
  const providers = Object.fromEntries(
    targets.map(([{ name }], index) => [
      `p${index}`,
      { dialect: name, baseUrl: upstreams[index]?.baseUrl ?? '' },
    ]),
  );
  const sidecar = await startTestSidecar({
    providers,
    routes: [
      { model: testModel, targets: Object.keys(providers).map((provider) => ({ provider })), unsupported },
    ],
    ...more,
    attempt: { retriesMax: 0, backoffBaseMs: 0 },
  });
  onTestFinished(async () => {
    await sidecar.stop();
    await Promise.all(upstreams.map((upstream) => upstream.close()));
  });
  return { url: sidecar.url, upstreams, tried: () => sidecar.records().at(-1)?.tried };
}

const openai = openaiWire;
const anthropic = anthropicWire;
const ok = (wire: Wire): readonly [Wire, Script] => [wire, answers(wire, `from ${wire.name}`)];
const send = (url: string, wire: Wire, more: Record<string, unknown>) =>
  ask(url, wire.path, { body: wire.request('Hi', more) });

/** Two fields of each client that other dialects lack: an advisory and an essential one. */
const odd = [
  { client: openai, other: anthropic, advisory: { seed: 7 }, name: 'seed', matters: { n: 2 }, field: 'n' },
  {
    client: anthropic,
    other: openai,
    advisory: { top_k: 7 },
    name: 'top_k',
    matters: { tools: [{ type: 'web_search_20250305', name: 'web_search' }] },
    field: 'tools[0]',
  },
];

describe('unsupported: drop: a choice of tools goes with the last of them', () => {
  const hosted = {
    openai: [{ type: 'web_search' }],
    anthropic: [{ type: 'web_search_20250305', name: 'web_search' }],
  };
  const to = { openai, anthropic, responses: { ...openai, name: 'responses' as never } };

  test.each<['openai' | 'anthropic', keyof typeof to, unknown, boolean]>([
    ['anthropic', 'openai', { type: 'any' }, true],
    ['anthropic', 'openai', { type: 'auto' }, false],
    ['anthropic', 'openai', { type: 'none' }, false],
    ['anthropic', 'responses', { type: 'any' }, true],
    ['openai', 'anthropic', 'required', true],
    ['openai', 'anthropic', 'auto', false],
  ])('%s, to %s: %j', async (from, provider, choice, named) => {
    const [client, other] = [to[from], to[provider]];
    const { url, upstreams } = await startRoute([ok(other)], {}, 'drop');
    const reply = await send(url, client, { tools: hosted[from], tool_choice: choice });
    expect(upstreams[0]?.calls[0]?.json).not.toHaveProperty('tools');
    expect(upstreams[0]?.calls[0]?.json).not.toHaveProperty('tool_choice');
    // This provider answers in another dialect here.
    if (provider === 'responses') return;
    expect(String(reply.headers['x-sidegate-dropped']).includes('tool_choice')).toBe(named);
  });
});

describe.each(odd)('$client.name', ({ client, other, advisory, name, matters, field }) => {
  test('one target: a field that matters is a 400 that names it, and no provider is asked', async () => {
    const { url, upstreams } = await startRoute([ok(other)]);
    const reply = await send(url, client, matters);
    expect(reply.status).toBe(400);
    expect(client.errorOf(reply.text)).toMatchObject({ code: 'unsupported_field' });
    expect(JSON.parse(reply.text).error).toMatchObject({ param: field });
    expect(reply.text).toContain(field);
    expect(reply.headers['x-should-retry']).toBe('false');
    expect(upstreams[0]?.calls).toHaveLength(0);
  });

  test('one target: an advisory field is left out and named', async () => {
    const { url, upstreams } = await startRoute([ok(other)]);
    const reply = await send(url, client, advisory);
    expect([reply.status, reply.headers['x-sidegate-dropped']]).toEqual([200, name]);
    expect(upstreams[0]?.calls[0]?.json).not.toHaveProperty(name);
  });

  test('unsupported: drop: a field that matters is left out and named too', async () => {
    const { url, upstreams } = await startRoute([ok(other)], {}, 'drop');
    const reply = await send(url, client, { ...advisory, ...matters });
    expect(reply.status).toBe(200);
    expect(String(reply.headers['x-sidegate-dropped']).split(/, ?/).sort()).toEqual([name, field].sort());
    expect(upstreams[0]?.calls[0]?.json).not.toHaveProperty(field.replace(/\[.*/, ''));
  });

  test('a route: an advisory field is left out and named, for cache hits too', async () => {
    const { url, upstreams } = await startRoute([ok(other), ok(client)]);
    for (const status of ['fwd=uri-miss', 'hit']) {
      const reply = await send(url, client, advisory);
      expect(reply.text).toContain(`from ${other.name}`);
      expect(reply.headers['x-sidegate-dropped']).toBe(name);
      expect(reply.headers['cache-status']).toContain(status);
    }
    expect(upstreams[0]?.calls[0]?.json).not.toHaveProperty(name);
    const streamed = await send(url, client, { ...advisory, stream: true });
    expect(streamed.headers['x-sidegate-dropped']).toBe(name);
  });

  test('a route: a target that lacks an essential field is skipped', async () => {
    const { url, upstreams, tried } = await startRoute([ok(other), ok(client)]);
    const reply = await send(url, client, matters);
    expect(reply.text).toContain(`from ${client.name}`);
    expect(reply.headers['x-sidegate-dropped']).toBeUndefined();
    expect(upstreams[0]?.calls).toHaveLength(0);
    expect(tried()).toBe(`p0/${testModel}: unsupported_field, p1/${testModel}: ok`);
  });

  test('a route: no target supports it: a 400, unless one was asked already', async () => {
    const nobody = await startRoute([ok(other), ok(other)]);
    const reply = await send(nobody.url, client, matters);
    expect(reply.status).toBe(400);
    expect(client.errorOf(reply.text)).toMatchObject({ code: 'unsupported_field' });
    const asked = await startRoute([ok(other), [client, resets]]);
    expect((await send(asked.url, client, matters)).status).toBe(503);
  });

  test('a provider of the same dialect gets every field, byte for byte', async () => {
    const { url, upstreams } = await startRoute([ok(client)]);
    const body = JSON.stringify(client.request('Hi', { ...advisory, ...matters, x_unknown: [1.0] }));
    expect((await ask(url, client.path, { body })).headers['x-sidegate-dropped']).toBeUndefined();
    expect(upstreams[0]?.calls[0]?.body.toString()).toBe(body);
  });

  test('an invalid request is a 400 too', async () => {
    const { url, upstreams } = await startRoute([ok(other)]);
    for (const messages of [7, [{ role: 'nobody', content: 'Hi' }]]) {
      const reply = await send(url, client, { messages });
      expect(reply.status).toBe(400);
      expect(client.errorOf(reply.text)).toMatchObject({ code: 'invalid_field' });
    }
    expect(upstreams[0]?.calls).toHaveLength(0);
  });

  test('personal data is masked in the request and restored in the client’s dialect', async () => {
    const address = 'ann.smith@example.com';
    const echo = echoes(other, (token) => [
      `to ${token.slice(0, 4)}`,
      `${token.slice(4)} and ${token.slice(0, 9)}`,
      `${token.slice(9)}.`,
    ]);
    const { url, upstreams } = await startRoute([[other, echo]]);
    for (const stream of [false, true]) {
      const reply = await ask(url, client.path, { body: client.request(`Write to ${address}`, { stream }) });
      const text = stream ? client.textOf(reply.text) : reply.text;
      expect(text).toContain(`to ${address} and ${address}.`);
    }
    for (const { body } of upstreams[0]?.calls ?? []) expect(body.toString()).not.toContain(address);
  });

  test('a repeated idempotency key gives the same translated bytes, streamed or not', async () => {
    const { url, upstreams } = await startRoute([ok(other)], { cache: { enabled: false } });
    for (const stream of [false, true]) {
      const body = client.request('Hi', { stream });
      const headers = { 'idempotency-key': `k-${stream}` };
      const first = await ask(url, client.path, { body, headers });
      const second = await ask(url, client.path, { body, headers });
      expect(second.text).toBe(first.text);
      expect(second.headers['idempotent-replayed']).toBe('true');
    }
    expect(upstreams[0]?.calls).toHaveLength(2);
  });
});
