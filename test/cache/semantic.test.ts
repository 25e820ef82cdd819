/** Questions in other words: when they are answered from the cache, when only judged, and what they never share. */
import { afterEach, describe, expect, test } from 'vitest';
import type { World } from '../../src/base/world.ts';
import { decide } from '../../src/native/search.ts';
import { type Gate, ownModel, startGate } from '../support/gate.ts';
import { type Wire, wires } from '../support/replies.ts';
import { runCommand } from '../support/run-command.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { eventually, until } from '../support/until.ts';
import { answers, refuses } from '../support/upstream.ts';

const question = 'How can I change my shipping address?';
const reworded = 'How do I update my delivery address?';
const words = ['How can I', 'How do I', 'How could I', 'How should I', 'How would I'];
const objects = ['update my shipping address', 'change my delivery address', 'update my delivery address'];
/** Each asks the same as `question`, and no two have one normal form. */
const rewordings = words
  .flatMap((how) => objects.map((what) => `${how} ${what}?`))
  .filter((text) => text !== reworded && decide(question, text).verdict === 'same');
const trap = 'How do I delete my delivery address?';
/** Two questions that a closer look is taken at. */
const unsure = 'change address for parcel';
const unsureTrap = 'How do I see my delivery address?';

describe.each(wires)('through the sidecar, $name', (wire: Wire) => {
  let gate: Gate;
  afterEach(async () => {
    world = {};
    await gate.stop();
  });
  let world: Partial<World> = {};
  const start = async (
    semantic: NonNullable<ConfigInput['cache']>['semantic'],
    more: ConfigInput = {},
    ...texts: string[]
  ): Promise<void> => {
    const scripts = (texts.length === 0 ? ['Under Settings.'] : texts).map((text) => answers(wire, text));
    gate = await startGate(scripts, { ...more, cache: { semantic, ...more.cache } }, world);
  };
  const status = async (text: string, more: object = {}, headers: Record<string, string> = {}) => {
    const reply = await gate.ask(wire, text, { more: { ...more }, headers });
    return reply.headers['cache-status'];
  };
  const similar = /^sidegate; hit; detail=semantic; similarity=0\.\d{3}$/;

  test('switched on, the same question in other words is a hit, and another one is not', async () => {
    await start({ mode: 'on' });
    const first = await gate.ask(wire, question);
    const second = await gate.ask(wire, reworded);
    expect(second.headers['cache-status']).toMatch(similar);
    expect(second.text).toBe(first.text);
    expect(gate.upstream.calls).toHaveLength(1);
    expect(await status(trap)).toBe('sidegate; fwd=uri-miss');
    expect(gate.sidecar.records().map(({ cache }) => cache)).toEqual(['miss', 'hit', 'miss']);
  });

  test('a request that was decided on before gets the same again, until the answer is forgotten', async () => {
    await start({ mode: 'on' }, { authenticate: { anonymousTenant: 'test' } });
    await gate.ask(wire, question);
    const first = await gate.ask(wire, reworded);
    const again = await gate.ask(wire, reworded);
    expect(again.headers['cache-status']).toBe(first.headers['cache-status']);
    expect(again.text).toBe(first.text);
    const id = again.headers['x-request-id'] ?? again.headers['request-id'];
    const wrong = JSON.stringify({ request_id: id, correct: false });
    await gate.post('/v1/cache/feedback', wrong, { 'content-type': 'application/json' });
    expect(await status(reworded)).toBe('sidegate; fwd=uri-miss');
    expect(gate.upstream.calls).toHaveLength(2);
  });

  test('a stream is answered as a stream', async () => {
    await start({ mode: 'on' });
    const first = await gate.ask(wire, question, { more: { stream: true } });
    const second = await gate.ask(wire, reworded, { more: { stream: true } });
    expect(second.headers['cache-status']).toMatch(similar);
    expect(second.headers['content-type']).toBe(first.headers['content-type']);
    expect(wire.textOf(second.text)).toBe('Under Settings.');
    expect(await status(reworded)).toBe('sidegate; fwd=uri-miss');
  });

  test('courtesy, spaces and closing punctuation make no other question, whatever is switched on', async () => {
    await start({ mode: 'off' });
    await gate.ask(wire, question);
    for (const text of [`Hello, ${question}`, `${question} Thanks!`, ` ${question.replace('?', '')}  `]) {
      expect(await status(text)).toBe('sidegate; hit; detail=normalised; similarity=1.000');
    }
    expect(await status(reworded)).toBe('sidegate; fwd=uri-miss');
    expect(gate.upstream.calls).toHaveLength(2);
  });

  test.each([
    ['off', 'sidegate; fwd=uri-miss'],
    ['auto', 'sidegate; fwd=uri-miss; detail=shadow; similarity=1.000'],
    ['on', 'sidegate; hit; detail=normalised; similarity=1.000'],
  ] as const)(
    'where other texts tell what to do with its words, they have to earn trust: %s',
    async (mode, expected) => {
      await start({ mode });
      const told = (words: string) => {
        const more = wire.request(words);
        const turns = [
          { role: 'user', content: 'Translate what I say.' },
          { role: 'assistant', content: 'Yes.' },
        ];
        const messages = [...turns, ...(more.messages as object[])];
        return status(words, { messages });
      };
      await told('How are you?');
      expect(await told('How are you?')).toBe('sidegate; hit');
      expect(await told('Hello, how are you?')).toBe(expected);
    },
  );

  test('by default it goes upstream, is judged, and is answered once judgements prove it right', async () => {
    await start({ wrongMax: 0.3, sampleShare: 0.001 });
    await gate.ask(wire, question);
    expect(await status(reworded)).toMatch(/^sidegate; fwd=uri-miss; detail=shadow; similarity=0\.\d{3}$/);
    // With none wrong, the upper bound of nine judgements is below 30%.
    for (const text of rewordings.slice(0, 8)) await status(text);
    expect(gate.sidecar.logText()).toContain('judged answers prove the semantic cache right here');
    expect(await status(rewordings.at(-1) ?? '')).toMatch(similar);
    expect(gate.upstream.calls).toHaveLength(10);
  });

  test('where nothing would be answered, no more questions a second are looked for than is set', async () => {
    let nowMs = 1e6;
    world = { clock: () => nowMs };
    await start({ mode: 'shadow', watchPerSecond: 2 });
    await gate.ask(wire, question);
    const [first = '', second = '', third = ''] = rewordings;
    const watched = /detail=shadow/;
    expect(await status(first)).toMatch(watched);
    expect(await status(second)).toBe('sidegate; fwd=uri-miss');
    // What was decided before takes no look.
    expect(await status(`Hello, ${first}`)).not.toMatch(/uri-miss$/);
    nowMs += 400;
    expect(await status(trap)).toBe('sidegate; fwd=uri-miss');
    nowMs += 100;
    expect(await status(third)).toMatch(watched);
  });

  test('where hits are served, each question is looked for', async () => {
    world = { clock: () => 1e6 };
    await start({ mode: 'on', watchPerSecond: 1 });
    await gate.ask(wire, question);
    for (const text of rewordings.slice(0, 3)) expect(await status(text)).toMatch(similar);
  });

  test('answers that differ keep it in the shadow', async () => {
    await start({ wrongMax: 0.3 }, {}, ...rewordings.map((_, i) => `You have ${i} points.`));
    await gate.ask(wire, question);
    for (const text of rewordings) await status(text);
    expect(await gate.sidecar.metrics()).toMatch(/sidegate_cache_questions_total\{event="wrong"\} [1-9]/);
    expect(await gate.sidecar.metrics()).toContain('sidegate_cache_questions_total{event="semantic"} 0');
  });

  test('a temperature above 0 asks for varied answers', async () => {
    await start({ mode: 'on' });
    await gate.ask(wire, question, { more: { temperature: 0.7 } });
    expect(await status(reworded, { temperature: 0.7 })).toBe('sidegate; fwd=uri-miss');
    await gate.ask(wire, question, { more: { temperature: 0 } });
    expect(await status(reworded, { temperature: 0 })).toMatch(similar);
  });

  test('it can be switched on for sampled answers, off for a tenant, and by the plain cosine', async () => {
    await start({ mode: 'on', sampled: true, threshold: 0.5 });
    await gate.ask(wire, question, { more: { temperature: 0.7 } });
    expect(await status(trap, { temperature: 0.7 })).toMatch(similar);
    await gate.stop();
    await start({ mode: 'on' }, { cache: { tenants: { test: { semantic: 'off' } } } });
    await gate.ask(wire, question);
    expect(await status(reworded)).toBe('sidegate; fwd=uri-miss');
    await gate.stop();
    await start({ mode: 'on' }, { cache: { routes: { [ownModel(wire)]: { enabled: false } } } });
    await gate.ask(wire, question);
    expect(await status(question)).toBe('sidegate; fwd=bypass');
  });

  test('a closer look finds what the small model is unsure of, and still refuses another question', async () => {
    await start({ mode: 'on', verifier: true, verifierTimeoutMs: 1000 });
    await until(() => gate.sidecar.logText().includes("the semantic cache's verifier is ready"));
    await gate.ask(wire, question);
    // The second time it is known.
    for (let i = 0; i < 2; i++) expect(await status(unsure)).toMatch(similar);
    expect(await status(unsureTrap)).toBe('sidegate; fwd=uri-miss');
    expect(gate.upstream.calls).toHaveLength(2);
    expect(await gate.sidecar.metrics()).toContain('sidegate_cache_questions_total{event="verified"} 2');
  });

  test('in the shadow, what a closer look finds is judged too', async () => {
    await start({ mode: 'shadow', verifier: true, verifierTimeoutMs: 1000 });
    await until(() => gate.sidecar.logText().includes("the semantic cache's verifier is ready"));
    await gate.ask(wire, question);
    expect(await status(unsure)).toMatch(/^sidegate; fwd=uri-miss/);
    const events = async () => {
      const lines = await gate.sidecar.metrics();
      return ['verified', 'shadow', 'right'].map((event) => lines.includes(`{event="${event}"} 1`));
    };
    await eventually(async () => expect(await events()).toEqual([true, true, true]));
  });

  test('no-cache asks upstream and stores, no-store does neither', async () => {
    await start({ mode: 'on' });
    await gate.ask(wire, question, { headers: { 'cache-control': 'no-store' } });
    expect(await status(reworded)).toBe('sidegate; fwd=uri-miss');
    await gate.ask(wire, 'How do I cancel my subscription?', { headers: { 'cache-control': 'no-cache' } });
    expect(await status('How can I cancel my subscription?')).toMatch(similar);
    expect(await status(question, {}, { 'cache-control': 'no-cache' })).toBe('sidegate; fwd=bypass');
  });

  test('a reply that is older than the request allows answers it at no level', async () => {
    for (const text of [question, `${question} Thanks!`, reworded]) {
      let nowMs = 0;
      const cache = { semantic: { mode: 'on' } } as const;
      gate = await startGate([answers(wire, 'Under Settings.')], { cache }, { clock: () => nowMs });
      const upTo = (seconds: number) => status(text, {}, { 'cache-control': `max-age=${seconds}` });
      await gate.ask(wire, question);
      nowMs = 30_000;
      expect(await upTo(30)).toMatch(/^sidegate; hit/);
      expect(await upTo(29)).toBe('sidegate; fwd=uri-miss');
      expect(gate.upstream.calls).toHaveLength(2);
      if (text !== reworded) await gate.stop();
    }
  });

  test('a reply that is too old for one request stays for others', async () => {
    let nowMs = 0;
    const cache = { semantic: { mode: 'on' } } as const;
    gate = await startGate([answers(wire, 'Under Settings.')], { cache }, { clock: () => nowMs });
    await gate.ask(wire, question);
    nowMs = 30_000;
    gate.upstream.answer(refuses(wire.error(400, 'no')));
    expect(await status(reworded, {}, { 'cache-control': 'max-age=20' })).toBe('sidegate; fwd=uri-miss');
    expect(await status(reworded)).toMatch(similar);
  });

  test('all else of the request must be equal', async () => {
    await start({ mode: 'on' }, { authenticate: { anonymousTenant: 'test' } });
    const others: [string, object, Record<string, string>][] = [
      ['another limit', { max_tokens: 77 }, {}],
      ['another stop', wire.name === 'openai' ? { stop: ['x'] } : { stop_sequences: ['x'] }, {}],
      ['tools', { tools: [] }, {}],
      ['a user', {}, { 'x-sidegate-user': 'ann' }],
      ['a beta', {}, { 'anthropic-beta': 'b' }],
      ['metadata', { metadata: { a: 'b' } }, {}],
    ];
    await gate.ask(wire, question);
    for (const [, more, headers] of others)
      expect(await status(reworded, more, headers)).toBe('sidegate; fwd=uri-miss');
  });

  test('an earlier turn is matched to the byte', async () => {
    await start({ mode: 'on' });
    const turns = (first: string, last: string) => ({
      messages: [
        { role: 'user', content: first },
        { role: 'assistant', content: 'Yes.' },
        { role: 'user', content: last },
      ],
    });
    await gate.ask(wire, '', { more: turns('I moved.', question) });
    expect(await status('', turns('I moved.', reworded))).toMatch(similar);
    expect(await status('', turns('I have moved.', reworded))).toBe('sidegate; fwd=uri-miss');
  });

  test('a question with personal data is answered only by its own reply', async () => {
    await start({ mode: 'on' });
    await gate.ask(wire, `${question} I am ann@example.com`);
    expect(await status(`${reworded} I am ann@example.com`)).toBe('sidegate; fwd=uri-miss');
    expect(await status(`${question} I am ann@example.com.`)).toBe('sidegate; fwd=uri-miss');
    expect(await status(`${question} I am ann@example.com`)).toBe('sidegate; hit');
  });

  test('personal data elsewhere in the request separates, and is restored', async () => {
    await start({ mode: 'on' });
    const from = (address: string, text: string) => ({
      messages: [
        { role: 'user', content: `My address is ${address}.` },
        { role: 'assistant', content: 'Noted.' },
        { role: 'user', content: text },
      ],
    });
    await gate.ask(wire, '', { more: from('ann@example.com', question) });
    expect(await status('', from('ann@example.com', reworded))).toMatch(similar);
    expect(await status('', from('bob@example.com', reworded))).toBe('sidegate; fwd=uri-miss');
  });

  test('feedback that an answer was wrong forgets it, and only its own tenant can give it', async () => {
    await start({ mode: 'on' }, { authenticate: { anonymousTenant: 'test' } });
    await gate.ask(wire, question);
    const hit = await gate.ask(wire, reworded);
    const id = hit.headers['x-request-id'] ?? hit.headers['request-id'];
    const tell = (body: object) =>
      gate.post('/v1/cache/feedback', JSON.stringify(body), { 'content-type': 'application/json' });
    expect((await tell({ request_id: 'req_other', correct: false })).status).toBe(404);
    expect((await tell({ request_id: id, correct: 'no' })).status).toBe(400);
    expect((await tell({ request_id: id, correct: false })).text).toBe('{"recorded":true}');
    expect((await tell({ request_id: id, correct: false })).status).toBe(404);
    expect(await status(reworded)).toBe('sidegate; fwd=uri-miss');
    expect(await gate.sidecar.metrics()).toContain('sidegate_cache_questions_total{event="wrong"} 1');
  });
});

describe('administrators', () => {
  const token = 'an-admin-token-of-a-test';
  let gate: Gate;
  afterEach(() => gate.stop());
  const [wire] = wires;
  const admin = async (method: string, path: string): Promise<{ status: number; body: unknown }> => {
    const headers = { authorization: `Bearer ${token}` };
    const reply = await fetch(`${gate.sidecar.adminUrl}${path}`, { method, headers });
    const text = await reply.text();
    return { status: reply.status, body: text === '' ? null : JSON.parse(text) };
  };

  test('see hits, savings and trust of each place, and purge by tenant and route', async () => {
    if (wire === undefined) throw new Error('unreachable');
    gate = await startGate([answers(wire, 'Under Settings.')], {
      admin: { token },
      cache: { semantic: { mode: 'on' } },
    });
    const status = async (text: string) => (await gate.ask(wire, text)).headers['cache-status'];
    for (const text of [question, question, `${question} Thanks`, reworded]) await status(text);
    const { body } = await admin('GET', '/cache');
    const hits = { exact: 1, normalised: 1, semantic: 1 };
    const place = { tenant: 'test', route: 'test-model', mode: 'on', hits, judged: 0, live: true };
    expect(body).toMatchObject({ entries: 1, places: [place] });

    expect((await admin('DELETE', '/cache?tenant=other')).status).toBe(204);
    expect(await status(question)).toBe('sidegate; hit');
    expect((await admin('DELETE', '/cache?tenant=test&route=test-model')).status).toBe(204);
    expect(await status(reworded)).toBe('sidegate; fwd=uri-miss');
    for (const wrong of ['user=x', 'tag=a&tag=b', 'olderThanSeconds=-1', 'olderThanSeconds=1h', 'older=1'])
      expect((await admin('DELETE', `/cache?${wrong}`)).status).toBe(400);
    expect((await admin('POST', '/cache')).status).toBe(405);
    expect((await fetch(`${gate.sidecar.adminUrl}/cache`)).status).toBe(401);

    const env = { SIDEGATE_ADMIN_TOKEN: token };
    const command = (...args: string[]) =>
      runCommand(['cache', ...args, '--admin', gate.sidecar.adminUrl], env);
    const { out } = await command('report');
    expect(out).toMatch(/test +test-model +2 +1 +1 .* live +switched on, whatever was judged/);
    expect((await command('purge', '--tenant', 'test')).code).toBe(0);
    expect(await status(reworded)).toBe('sidegate; fwd=uri-miss');
    expect((await command('empty')).code).toBe(2);
  });

  test('purge by tag and by age', async () => {
    if (wire === undefined) throw new Error('unreachable');
    gate = await startGate([answers(wire, 'Under Settings.')], {
      admin: { token },
      cache: { semantic: { mode: 'on' } },
    });
    const ask = async (text: string, tags = '') =>
      (await gate.ask(wire, text, { headers: tags === '' ? {} : { 'x-sidegate-tags': tags } })).headers[
        'cache-status'
      ];
    const command = (...args: string[]) =>
      runCommand(['cache', 'purge', ...args, '--admin', gate.sidecar.adminUrl], {
        SIDEGATE_ADMIN_TOKEN: token,
      });
    const other = 'What is the capital of France?';
    await ask(question, 'orders,addresses');
    await ask(other);
    expect((await command('--older-than', '1h')).code).toBe(0);
    expect((await command('--tag', 'order')).code).toBe(0);
    expect((await command('--tag', 'addresses', '--tenant', 'somebody')).code).toBe(0);
    expect(await ask(reworded)).toMatch(/semantic/);
    expect((await command('--tag', 'addresses')).code).toBe(0);
    expect(await ask(reworded)).toBe('sidegate; fwd=uri-miss');
    expect(await ask(`${question} Thanks`)).toMatch(/semantic/);
    expect(await ask(other)).toBe('sidegate; hit');
    expect((await command('--older-than', '0m')).code).toBe(0);
    expect(await ask(other)).toBe('sidegate; fwd=uri-miss');
    const wrong = await command('--older-than', 'yesterday');
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('like 30m, 24h or 7d')]);
  });
});
