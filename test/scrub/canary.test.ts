/**
 * Values that occur nowhere else are planted in prompts, tool results, tool arguments, metadata and replies: none of them
 * may be found in what the sidecar sends on or writes down, for every action that replaces or refuses.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { type Gate, ownModel, startGate } from '../support/gate.ts';
import { startReceiver } from '../support/otlp-receiver.ts';
import { recognises } from '../support/recogniser.ts';
import { startRedis } from '../support/redis.ts';
import { wires } from '../support/replies.ts';
import { answers, startUpstream } from '../support/upstream.ts';

/** A value of each sort, by its kind: what is recognised by form, by check digit, by its words, by its prefix. */
const planted = {
  email: 'canary.q7x@leak-test.example',
  card: '4539578763621486',
  iban: 'DE75512108001245126199',
  phone: '+41 44 668 18 77',
  us_ssn: '536-22-8726',
  api_key: 'ghp_9fK3mQ7xT2vB8nR4wY6zL1cD5sH0jP2aE7uG',
  password: 'Zx9!kW3qPv7c',
} as const;
const kinds = Object.keys(planted);
const said = (part: string): string =>
  `${part}: ${Object.entries(planted)
    .map(([kind, value]) => (kind === 'password' ? `password=${value}` : value))
    .join(' , ')} .`;
/** In a reply, a secret of its own: what no request ever held. */
const replied = 'ghp_1aS2dF3gH4jK5lZ6xC7vB8nM9qW0eR1tY2uI';

const actions = ['tokenise', 'redact', 'mask', 'hash', 'block'] as const;

/** All files of a folder, as Latin-1. */
async function filesIn(folder: string): Promise<string> {
  const files = await readdir(folder);
  return (await Promise.all(files.map((file) => readFile(join(folder, file), 'latin1')))).join('\n');
}

/** Everything that a Redis holds. */
async function dump(url: string): Promise<string> {
  const redis = new Redis(url);
  try {
    const keys = await redis.keys('*');
    const values = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
    return [...keys, ...values.map((value) => value?.toString('latin1') ?? '')].join('\n');
  } finally {
    redis.disconnect();
  }
}

/** What a sidecar wrote down and sent on, but to providers. Stops it. */
async function leftIn(gate: Gate, redisUrl: string, folder: string, receiver: { text(): string }) {
  const metrics = await gate.sidecar.metrics();
  const recent = await (await fetch(`${gate.sidecar.adminUrl}/api/requests`)).text();
  const redis = await dump(redisUrl);
  await gate.stop();
  const files = await filesIn(folder);
  return { log: gate.sidecar.logText(), metrics, recent, redis, files, traces: receiver.text() };
}

test.each(wires.flatMap((wire) => actions.map((action) => [wire.name, action, wire] as const)))(
  '%s: what is set to %s is nowhere but with its caller',
  async (_, action, wire) => {
    const folder = await mkdtemp(join(tmpdir(), 'sidegate-canary-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const receiver = await startReceiver();
    const gate: Gate = await startGate([answers(wire, `The key is ${replied}, done`)], {
      scrub: {
        request: Object.fromEntries(kinds.map((kind) => [kind, action])),
        reply: { api_key: 'redact' },
      },
      cache: { enabled: true, snapshot: join(folder, 'cache.kept') },
      store: { path: join(folder, 'store.db') },
      sync: { redis: redis.url },
      limits: [{ name: 'all', capacity: 1000, refillPerSecond: 100 }],
      observe: {
        recent: 100,
        ledger: { path: join(folder, 'ledger.db') },
        otlp: { endpoint: receiver.url, metricsEveryMs: 1000, contentMaxBytes: 65_536 },
      },
    });
    const body = {
      ...wire.request(said('prompt'), { model: ownModel(wire) }),
      metadata: { user_id: said('metadata') },
      tools: [{ name: 't', description: said('tool'), input_schema: { type: 'object' } }],
      unknown: [{ arguments: JSON.stringify({ note: said('arguments') }) }],
    };
    const statuses: number[] = [];
    let texts = '';
    for (const stream of [false, true, false]) {
      const reply = await gate.post(wire.path, JSON.stringify({ ...body, stream }), {
        'x-unknown-header': said('header').replace(/[^\x20-\x7e]/g, ''),
      });
      statuses.push(reply.status);
      texts += reply.text + JSON.stringify(reply.headers);
    }
    const places = {
      ...(await leftIn(gate, redis.url, folder, receiver)),
      upstream: gate.upstream.calls
        .map(({ body: sent, headers }) => sent + JSON.stringify(headers))
        .join('\n'),
      replies: texts,
    };
    expect(statuses).toEqual(action === 'block' ? [400, 400, 400] : [200, 200, 200]);
    expect(gate.upstream.calls.length).toBe(action === 'block' ? 0 : 2);
    expect(places.files.length).toBeGreaterThan(1000);
    if (action !== 'block') expect(await readdir(folder)).toContain('cache.kept');
    expect(places.redis.length).toBeGreaterThan(0);
    expect(places.traces.length).toBeGreaterThan(0);
    for (const [place, text] of Object.entries(places))
      for (const value of [...Object.values(planted), replied])
        expect(text.includes(value), `${value} in ${place}`).toBe(false);
  },
);

/** Names that a recogniser finds. */
const names = {
  'Quillian Featherstonehaugh': 'PERSON',
  'Zzyzx Überlingen': 'LOCATION',
  'Vexotronix AG': 'ORGANIZATION',
};

test.each(wires.flatMap((wire) => actions.map((action) => [wire.name, action, wire] as const)))(
  '%s: a name that is set to %s is nowhere but with its caller and the recogniser',
  async (_, action, wire) => {
    const folder = await mkdtemp(join(tmpdir(), 'sidegate-canary-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const receiver = await startReceiver();
    const recogniser = await startUpstream(recognises(names));
    onTestFinished(() => recogniser.close());
    const gate: Gate = await startGate([answers(wire, 'Done')], {
      scrub: {
        secret: 'a secret of sixteen characters',
        request: { person: action, location: action, organisation: action },
        recogniser: { url: recogniser.baseUrl, timeoutMs: 30_000 },
      },
      cache: {
        enabled: true,
        secret: 'a secret of sixteen characters',
        snapshot: join(folder, 'cache.kept'),
      },
      store: { path: join(folder, 'store.db') },
      sync: { redis: redis.url },
      observe: {
        recent: 100,
        ledger: { path: join(folder, 'ledger.db') },
        otlp: { endpoint: receiver.url, metricsEveryMs: 1000, contentMaxBytes: 65_536 },
      },
    });
    const messages = [
      { role: 'user', content: `Who is ${Object.keys(names).join(' of ')}?` },
      { role: 'assistant', content: 'Say more' },
      { role: 'user', content: `What does ${Object.keys(names).join(' in ')} do all day?` },
    ];
    const statuses: number[] = [];
    for (const stream of [false, true, false]) {
      const body = wire.request('', { model: ownModel(wire), messages, stream });
      statuses.push((await gate.post(wire.path, JSON.stringify(body))).status);
    }
    const places = {
      ...(await leftIn(gate, redis.url, folder, receiver)),
      upstream: gate.upstream.calls.map(({ body: sent }) => sent).join('\n'),
    };
    expect(statuses).toEqual(action === 'block' ? [400, 400, 400] : [200, 200, 200]);
    expect(recogniser.calls).toHaveLength(1);
    expect(places.recent).toContain('person');
    for (const [place, text] of Object.entries(places))
      for (const part of Object.keys(names).flatMap((name) =>
        name.split(' ').filter(({ length }) => length > 2),
      ))
        for (const form of [part, Buffer.from(part).toString('latin1')])
          expect(text.includes(form), `${form} in ${place}`).toBe(false);
  },
);
