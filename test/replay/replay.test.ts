/** Stage replay: one upstream call for one idempotency key. */
import type { IncomingHttpHeaders } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { Cancellation } from '../../src/base/cancellation.ts';
import { Refusal } from '../../src/base/errors.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';
import type { Identity } from '../../src/exchange/identity.ts';
import type { StoredReply } from '../../src/exchange/reply.ts';
import { createReplay, type Replay } from '../../src/replay/replay.ts';
import type { Claim, Join, Seen } from '../../src/store/flights.ts';
import { type Gate, startGate } from '../support/gate.ts';
import { lastError, wires } from '../support/replies.ts';
import {
  type ExchangeSample,
  sampleExchange,
  sampleIdentity,
  sampleReply,
  sampleRequest,
} from '../support/samples.ts';
import { answers, echoes, refuses, type Script } from '../support/upstream.ts';

const settings = (replay: Partial<Config['replay']> = {}): Config['replay'] =>
  configSchema.parse({ replay }).replay;

interface Asked {
  /** The placeholders in what leaves. */
  readonly masked?: readonly string[];
  readonly key?: IncomingHttpHeaders['idempotency-key'];
  readonly text?: string;
  readonly identity?: Partial<Identity>;
  readonly credential?: string;
  readonly endpoint?: NonNullable<ExchangeSample['endpoint']>;
}

/** A replay stage with a clock that is set by hand. */
function stage(config: Config['replay'] = settings()) {
  const time = { nowMs: 0 };
  const replay: Replay = createReplay(config, () => time.nowMs);
  const ask = ({
    key = 'k1',
    text = 'hello',
    identity = {},
    credential,
    endpoint = 'chat',
    masked,
  }: Asked = {}): Seen | Join | Refusal =>
    replay.claim(
      sampleExchange({ endpoint, headers: { 'idempotency-key': key, authorization: credential } }),
      sampleIdentity(identity),
      sampleRequest({ text, masked: masked ? new Map(masked.map((token) => [token, 'value'])) : null }),
      time.nowMs,
    );
  return { time, replay, ask };
}

function claimOf(seen: Seen | Join | Refusal): Claim {
  if (seen instanceof Refusal || seen.kind !== 'new' || seen.claim === null) throw new Error('no claim');
  return seen.claim;
}

function storedOf(seen: Seen | Join | Refusal): StoredReply | null {
  return !(seen instanceof Refusal) && seen.kind === 'stored' ? seen.reply : null;
}

function joinOf(seen: Seen | Join | Refusal): Join {
  if (seen instanceof Refusal || seen.kind !== 'join') throw new Error('nothing to join');
  return seen;
}

const codeOf = (seen: Seen | Join | Refusal): string => (seen instanceof Refusal ? seen.code : seen.kind);

describe('claims', () => {
  test('a repeat whose placeholders are others gets no reply that it could not restore', () => {
    const { ask } = stage();
    claimOf(ask({ masked: ['[EMAIL_1]', '[NAME_1]'] })).finish(sampleReply('to [EMAIL_1]'));
    expect(storedOf(ask({ masked: ['[NAME_1]', '[EMAIL_1]'] }))?.body.toString()).toBe('to [EMAIL_1]');
    expect(codeOf(ask({ text: 'other', masked: ['[EMAIL_1]', '[NAME_1]'] }))).toBe('idempotency_mismatch');
    const again = claimOf(ask({ masked: ['[EMAIL_2]', '[NAME_2]'] }));
    expect(codeOf(ask({ masked: ['[EMAIL_1]', '[NAME_1]'] }))).toBe('stored');
    expect(codeOf(ask())).toBe('idempotency_in_flight');
    again.finish(sampleReply('to [EMAIL_2]'));
    expect(storedOf(ask({ masked: ['[EMAIL_2]', '[NAME_2]'] }))?.body.toString()).toBe('to [EMAIL_2]');
  });

  test('without a key nothing is claimed', () => {
    const { replay } = stage();
    const seen = replay.claim(sampleExchange(), sampleIdentity(), sampleRequest(), 0);
    expect(seen).toEqual({ kind: 'new', claim: null });
  });

  test('the first continues; the second waits for it and gets the same reply', async () => {
    const { ask } = stage();
    const claim = claimOf(ask());
    const waiting = joinOf(ask()).wait(new Cancellation(), 60_000);
    claim.finish(sampleReply('the answer'));
    expect(storedOf(await waiting)?.body.toString()).toBe('the answer');
    expect(storedOf(ask())?.body.toString()).toBe('the answer');
  });

  test('another body or endpoint with the same key is refused, in flight and afterwards', () => {
    const { ask } = stage();
    const claim = claimOf(ask());
    expect(codeOf(ask({ text: 'other' }))).toBe('idempotency_mismatch');
    expect(codeOf(ask({ endpoint: 'messages' }))).toBe('idempotency_mismatch');
    claim.finish(sampleReply('a'));
    expect(codeOf(ask({ text: 'other' }))).toBe('idempotency_mismatch');
    expect(codeOf(ask({ endpoint: 'messages' }))).toBe('idempotency_mismatch');
    expect(codeOf(ask())).toBe('stored');
  });

  test('a failure is not stored: the next request with the key continues, with any body', () => {
    const { ask } = stage();
    claimOf(ask()).finish(null);
    claimOf(ask({ text: 'other' })).finish(null);
    expect(codeOf(ask())).toBe('new');
  });

  test.each([
    ['tenants', { tenant: 'beta' }],
    ['keys', { keyId: 'k-2' }],
    ['users', { user: 'ann' }],
  ])('two %s never meet', (_, identity: Partial<Identity>) => {
    const { ask } = stage();
    claimOf(ask()).finish(sampleReply('private'));
    expect(codeOf(ask({ identity }))).toBe('new');
  });

  test('two callers of the anonymous tenant with different credentials never share replies', () => {
    const { ask } = stage();
    claimOf(ask({ credential: 'Bearer a' })).finish(sampleReply('private'));
    expect(codeOf(ask({ credential: 'Bearer b' }))).toBe('new');
    expect(codeOf(ask({ credential: 'Bearer a' }))).toBe('stored');
  });

  test.each([
    ['empty', ''],
    ['with a space', 'a b'],
    ['beyond ASCII', 'é'],
    ['over 255 characters', 'k'.repeat(256)],
  ])('a key that is %s is refused', (_, key) => {
    expect(codeOf(stage().ask({ key }))).toBe('invalid_header');
  });

  test('a key of 255 characters is fine', () => {
    expect(codeOf(stage().ask({ key: 'k'.repeat(255) }))).toBe('new');
  });
});

describe('bounds', () => {
  test('a reply is stored for its time to live from its end, by the passed-in clock', () => {
    const { ask, time } = stage(settings({ ttlSeconds: 10 }));
    const claim = claimOf(ask());
    time.nowMs = 5_000;
    claim.finish(sampleReply('a'));
    time.nowMs = 14_999;
    expect(codeOf(ask())).toBe('stored');
    time.nowMs = 15_000;
    expect(codeOf(ask())).toBe('new');
  });

  test('a claim outlives the time to live of replies: it ends with its request', () => {
    const { ask, time } = stage(settings({ ttlSeconds: 1 }));
    claimOf(ask());
    time.nowMs = 3_600_000;
    expect(codeOf(ask())).toBe('join');
  });

  test('the oldest replies are evicted first, and a reply larger than the memory is not stored', () => {
    const { ask, replay } = stage(settings({ entriesMax: 2 }));
    for (const key of ['a', 'b', 'c']) claimOf(ask({ key })).finish(sampleReply(key));
    expect(['a', 'b', 'c'].map((key) => codeOf(ask({ key })))).toEqual(['new', 'stored', 'stored']);
    replay.update(settings({ entriesMax: 2, bytesMax: 1024 }));
    claimOf(ask({ key: 'big' })).finish(sampleReply('x'.repeat(1024)));
    expect(codeOf(ask({ key: 'big' }))).toBe('new');
  });
});

describe('memory', () => {
  const head = { status: 200, contentType: 'text/event-stream', target: 'p/m' };

  test('recordings and stored replies share the bound: stored replies are evicted first, then recording stops', () => {
    const { ask } = stage(settings({ bytesMax: 16_384, entryMaxBytes: 8192 }));
    for (const key of ['a', 'b']) claimOf(ask({ key })).finish(sampleReply('x'.repeat(5000)));
    const streams = ['c', 'd'].map((key) => claimOf(ask({ key })).stream(head));
    for (const stream of streams) stream.push(Buffer.alloc(8192));
    expect(streams.map((stream) => stream.overflowed)).toEqual([false, false]);
    expect(codeOf(ask({ key: 'a' }))).toBe('new');
    expect(codeOf(ask({ key: 'b' }))).toBe('new');
    const late = claimOf(ask({ key: 'e' })).stream(head);
    late.push(Buffer.alloc(1024));
    expect(late.overflowed).toBe(true);
    expect(late.body()).toBeNull();
    for (const stream of streams) stream.end(null);
    const again = claimOf(ask({ key: 'f' })).stream(head);
    again.push(Buffer.alloc(1024));
    expect(again.body()).toHaveLength(1024);
  });

  test('no reply is recorded beyond the bound of one', () => {
    const { ask } = stage(settings({ entryMaxBytes: 2048 }));
    const stream = claimOf(ask()).stream(head);
    stream.push(Buffer.alloc(2048));
    expect(stream.body()).toHaveLength(2048);
    stream.push(Buffer.alloc(1));
    expect(stream.body()).toBeNull();
  });
});

describe.each(wires)('through the sidecar, $name', (wire) => {
  let gate: Gate;
  afterEach(() => gate.stop());
  // Not what is tested here.
  const cache = { enabled: false };
  const headers = { 'idempotency-key': 'key-1' };
  const streaming = { headers, more: { stream: true } };

  test('the same key twice is one call and one answer', async () => {
    gate = await startGate([answers(wire, 'first'), answers(wire, 'second')], { cache });
    const [first, second] = [
      await gate.ask(wire, 'hi', { headers }),
      await gate.ask(wire, 'hi', { headers }),
    ];
    expect(second.text).toBe(first.text);
    expect(first.headers['idempotent-replayed']).toBeUndefined();
    expect(second.headers['idempotent-replayed']).toBe('true');
    expect(second.headers['x-request-id']).not.toBe(first.headers['x-request-id']);
    expect(gate.upstream.calls).toHaveLength(1);
    expect(gate.sidecar.records().map(({ replayed, status }) => [replayed, status])).toEqual([
      [false, 200],
      [true, 200],
    ]);
  });

  test('without a key, or with different keys, each continues', async () => {
    gate = await startGate([answers(wire, 'ok')], { cache });
    await gate.ask(wire, 'hi', { headers });
    await gate.ask(wire, 'hi');
    await gate.ask(wire, 'hi', { headers: { 'idempotency-key': 'key-2' } });
    expect(gate.upstream.calls).toHaveLength(3);
  });

  test('if none may wait, the second gets 409 with Retry-After, and later the answer', async () => {
    gate = await startGate([], { cache, replay: { joinersMax: 0 } });
    const first = gate.ask(wire, 'hi', { headers });
    const call = await gate.upstream.call(0);
    const second = await gate.ask(wire, 'hi', { headers });
    expect(second.status).toBe(409);
    expect(Number(second.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(Number(second.headers['retry-after-ms'])).toBeGreaterThanOrEqual(1);
    expect(wire.errorOf(second.text)?.code).toBe('idempotency_in_flight');
    call.whole(200, { 'content-type': 'application/json' }, wire.whole('done'));
    const { text } = await first;
    expect((await gate.ask(wire, 'hi', { headers })).text).toBe(text);
    expect(gate.upstream.calls).toHaveLength(1);
  });

  test('another body with the same key gets 422', async () => {
    gate = await startGate([answers(wire, 'ok')], { cache });
    await gate.ask(wire, 'hi', { headers });
    const other = await gate.ask(wire, 'hi!', { headers });
    expect(other.status).toBe(422);
    expect(wire.errorOf(other.text)?.code).toBe('idempotency_mismatch');
    expect(gate.upstream.calls).toHaveLength(1);
  });

  test('a stream is replayed as a stream, byte for byte', async () => {
    gate = await startGate([answers(wire, 'one ', 'two'), answers(wire, 'other')], { cache });
    const [first, second] = [await gate.ask(wire, 'hi', streaming), await gate.ask(wire, 'hi', streaming)];
    expect(second.text).toBe(first.text);
    expect(second.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    expect(wire.textOf(second.text)).toBe('one two');
  });

  test.each<[string, Script, boolean]>([
    ['a failure', refuses(wire.error(500, 'no')), false],
    ['a refused request', refuses(wire.error(400, 'no')), false],
    ['a stream that is cut', cutsAfter(wire.opening + wire.text('a')), true],
  ])('%s is not pinned', async (_, script, stream) => {
    gate = await startGate([script, answers(wire, 'good')], { cache, attempt: { retriesMax: 0 } });
    const asking = { headers, more: { stream } };
    await gate.ask(wire, 'hi', asking);
    const second = await gate.ask(wire, 'hi', asking);
    expect(second.status).toBe(200);
    expect(second.text).toContain('good');
  });

  test('a request that a limit refuses frees its key', async () => {
    const limits = [{ name: 'one', capacity: 1, refillPerSecond: 1 }];
    let nowMs = 0;
    gate = await startGate([answers(wire, 'ok')], { cache, limits }, { clock: () => nowMs });
    await gate.ask(wire, 'hi');
    expect((await gate.ask(wire, 'hi', { headers })).status).toBe(429);
    nowMs = 1_000;
    expect((await gate.ask(wire, 'hi', { headers })).status).toBe(200);
  });

  test('the answer is completed and stored when its client leaves', async () => {
    gate = await startGate([], { cache, replay: { joinersMax: 0 } });
    const reply = gate.stream(wire, 'hi', { headers });
    const call = await gate.upstream.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('half'));
    const incoming = await reply;
    await incoming.sees('half');
    incoming.hangUp();
    // Only once the sidecar has seen it leave does its staying mean something.
    expect((await gate.ask(wire, 'hi', streaming)).status).toBe(409);
    call.write(wire.text(' and half') + wire.finish() + wire.usage);
    call.end(wire.end);
    await gate.sidecar.recordWhere(({ status }) => status === 200);
    expect(wire.textOf((await gate.ask(wire, 'hi', streaming)).text)).toBe('half and half');
    expect(gate.upstream.calls).toHaveLength(1);
  });

  test.each([
    ['idempotency key', headers, { cache }],
    ['cached request', {}, { cache: { singleFlight: true } }],
  ])('who follows the stream of the same %s is told when its own time is over', async (_, own, config) => {
    gate = await startGate([], config);
    const reply = gate.stream(wire, 'hi', { headers: own });
    const call = await gate.upstream.call(0);
    call.streamHead();
    call.write(wire.opening + wire.text('half'));
    const first = await reply;
    await first.sees('half');
    const hurried = await gate.ask(wire, 'hi', {
      headers: { ...own, 'x-sidegate-timeout': '30' },
      more: { stream: true },
    });
    expect(wire.textOf(hurried.text)).toBe('half');
    expect(lastError(wire, hurried.text)).toMatchObject({
      code: 'stream_cut',
      message: expect.stringContaining('x-sidegate-timeout'),
    });
    call.write(wire.text(' and half') + wire.finish() + wire.usage);
    call.end(wire.end);
    expect(wire.textOf(await first.all())).toBe('half and half');
    expect(gate.upstream.calls).toHaveLength(1);
  });

  test('the stored reply is masked, and each caller gets the values back', async () => {
    gate = await startGate([echoes(wire, (token) => ['to ', token.slice(0, 4), token.slice(4)])], { cache });
    const first = await gate.ask(wire, 'I am ann@example.com', streaming);
    const second = await gate.ask(wire, 'I am ann@example.com', streaming);
    expect(wire.textOf(first.text)).toBe('to ann@example.com');
    expect(wire.textOf(second.text)).toBe('to ann@example.com');
    expect(second.headers['idempotent-replayed']).toBe('true');
  });

  test('a stream larger than the memory for replies is passed on, but not stored', async () => {
    gate = await startGate([answers(wire, 'x'.repeat(2000))], { cache, replay: { bytesMax: 1024 } });
    await gate.ask(wire, 'hi', streaming);
    const second = await gate.ask(wire, 'hi', streaming);
    expect(second.headers['idempotent-replayed']).toBeUndefined();
    expect(gate.upstream.calls).toHaveLength(2);
  });
});

/** Begins a stream and cuts it off. */
function cutsAfter(events: string): Script {
  return (call) => {
    call.streamHead();
    call.write(events);
    call.cut();
  };
}
