/** A recogniser that is slow, dead, wrong or overwhelmed: what becomes of requests, and what is said. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { send } from '../support/client.ts';
import { type Gate, startGate } from '../support/gate.ts';
import { recognises } from '../support/recogniser.ts';
import { openaiWire as wire } from '../support/replies.ts';
import type { ConfigInput } from '../support/sidecar.ts';
import { standingTime } from '../support/time.ts';
import { answers, type Script, startUpstream, type Upstream } from '../support/upstream.ts';

let gate: Gate;
let recogniser: Upstream;
beforeEach(async () => {
  recogniser = await startUpstream(recognises());
});
afterEach(async () => {
  await gate.stop();
  await recogniser.close();
});

type Settings = Partial<NonNullable<NonNullable<ConfigInput['scrub']>['recogniser']>>;

const scrubWith = (settings: Settings) => ({
  recogniser: { url: recogniser.baseUrl, timeoutMs: 30_000, ...settings },
});
const start = async (script: Script, settings: Settings = {}, world = {}) => {
  recogniser.answer(script);
  gate = await startGate([answers(wire, 'ok')], { scrub: scrubWith(settings) }, world);
};
const sent = (at = 0): unknown => gate.upstream.calls[at]?.json.messages;
/** The lines that the log has about the recogniser. */
const said = (): string[] =>
  gate.sidecar
    .logText()
    .split('\n')
    .filter((line) => line.includes('the recogniser of names'));

const json = { 'content-type': 'application/json' };
const claims =
  (...results: object[]): Script =>
  (call) =>
    call.whole(200, json, JSON.stringify(results));

/** Each way to answer wrongly, and what the refusal says of it. */
const faults: readonly [string, Script, RegExp][] = [
  ['hangs up', (call) => call.reset(), /can't be reached \(ECONNRESET\)/],
  ['answers with an error', (call) => call.whole(500, json, '{"error":"Ann Smith"}'), /status 500/],
  ['redirects', (call) => call.whole(302, { location: 'http://127.0.0.1:1/' }, ''), /status 302/],
  ['answers with something else', (call) => call.whole(200, {}, '<html>'), /not JSON/],
  ['names a place outside', claims({ entity_type: 'PERSON', start: 0, end: 1000 }), /outside the text/],
  [
    'names too much',
    claims(...Array(10_001).fill({ entity_type: 'URL', start: 0, end: 1 })),
    /more than 10000/,
  ],
  [
    'answers without end',
    (call) => {
      call.head(200, json);
      return call.flood(Buffer.alloc(65_536, 0x20), 1000);
    },
    /larger than 1048576 bytes/,
  ],
  [
    'breaks off',
    (call) => {
      call.head(200, { ...json, 'content-length': '100' });
      call.write('[');
      call.cut();
    },
    /broke off/,
  ],
  [
    'never ends its answer',
    (call) => {
      call.head(200, json);
      call.write('[');
    },
    /took more than 300 ms/,
  ],
  ['never answers', () => {}, /took more than 300 ms/],
];

describe.each(faults)('a recogniser that %s', (_, script, why) => {
  const timeoutMs = String(why).includes('300 ms') ? 300 : 30_000;

  test('has requests refused, with what to do', async () => {
    await start(script, { timeoutMs });
    const { status, text, headers } = await gate.ask(wire, 'Ann Smith');
    expect([status, wire.errorOf(text)?.code]).toEqual([503, 'recogniser_down']);
    expect(text).toMatch(why);
    expect(text).toContain('scrub.recogniser.url');
    expect(text).not.toContain('Ann');
    expect(headers['retry-after']).toBe('1');
    expect(gate.upstream.calls).toHaveLength(0);
  });

  test('lets requests pass where the configuration says so', async () => {
    await start(script, { timeoutMs, onFailure: 'pass' });
    const { status, headers } = await gate.ask(wire, 'Ann Smith, a@b.cc');
    expect(status).toBe(200);
    expect(headers['x-sidegate-scrubbed']).toBe('email=1');
    expect(JSON.stringify(sent())).toMatch(/Ann Smith, \[EMAIL_\w{6}]/);
  });
});

test('an address where nobody listens is refused with its reason', async () => {
  await recogniser.close();
  gate = await startGate([answers(wire, 'ok')], { scrub: scrubWith({}) });
  const { status, text } = await gate.ask(wire, 'Ann Smith');
  expect(status).toBe(503);
  expect(text).toContain('ECONNREFUSED');
  recogniser = await startUpstream();
});

test('claims that overlap, and one over everything, are replaced once', async () => {
  await start(
    claims(
      { entity_type: 'PERSON', start: 0, end: 9 },
      { entity_type: 'PERSON', start: 4, end: 16 },
      { entity_type: 'LOCATION', start: 2, end: 3 },
      { entity_type: 'LOCATION', start: 0, end: 16 },
    ),
  );
  await gate.ask(wire, 'Ann Smith, a@b.c');
  expect(JSON.stringify(sent())).toMatch(/"content":"\[PERSON_\w{6}]"/);
});

describe('a dead recogniser', () => {
  test('is no longer waited for after five failures, and asked again after a while', async () => {
    const time = standingTime();
    await start((call) => call.whole(500, {}, ''), {}, time.world);
    for (let i = 0; i < 20; i++) expect((await gate.ask(wire, `Ann Smith ${i}`)).status).toBe(503);
    expect(recogniser.calls).toHaveLength(5);
    expect(said()).toHaveLength(1);
    expect(said()[0]).toContain('status 500');
    const metrics = await gate.sidecar.metrics();
    expect(metrics).toContain('sidegate_recogniser_checks_total{check="failed"} 5');
    expect(metrics).toContain('sidegate_recogniser_checks_total{check="skipped"} 15');
    expect(metrics).toContain('sidegate_recogniser_up 0');
    const skipped = await gate.ask(wire, 'Ann Smith');
    expect(skipped.text).toContain('failed lately');

    // One request tries again; still dead, it is left alone for longer.
    time.pass(1001);
    expect((await gate.ask(wire, 'Ann Smith')).status).toBe(503);
    expect((await gate.ask(wire, 'Ann Smith')).status).toBe(503);
    expect(recogniser.calls).toHaveLength(6);
    expect(said()).toHaveLength(1);

    recogniser.answer(recognises());
    time.pass(30_001);
    expect((await gate.ask(wire, 'Ann Smith')).status).toBe(200);
    expect((await gate.ask(wire, 'Bob Li')).status).toBe(200);
    expect(said()).toHaveLength(2);
    expect(said()[1]).toContain('answers again');
    expect(await gate.sidecar.metrics()).toContain('sidegate_recogniser_up 1');
  });

  test('does no harm to texts that were checked before', async () => {
    await start(recognises());
    expect((await gate.ask(wire, 'Ann Smith', { headers: { 'cache-control': 'no-store' } })).status).toBe(
      200,
    );
    recogniser.answer((call) => call.reset());
    expect((await gate.ask(wire, 'Bob Li')).status).toBe(503);
    const again = await gate.ask(wire, 'Ann Smith', { headers: { 'cache-control': 'no-store' } });
    expect(again.status).toBe(200);
    expect(sent(1)).toEqual(sent(0));
  });
});

test('a connection that its server closed meanwhile costs nothing but a second one', async () => {
  await start(recognises());
  await gate.ask(wire, 'Ann Smith');
  // It answers, and hangs up on what comes next on that connection.
  recogniser.answer((call) => (call.connection === 0 ? call.reset() : recognises()(call)));
  expect((await gate.ask(wire, 'Bob Li')).status).toBe(200);
  expect(recogniser.calls.map(({ connection }) => connection)).toEqual([0, 0, 1]);
});

test('at most so many calls are made at once; the others wait', async () => {
  let [now, most] = [0, 0];
  const held: (() => void)[] = [];
  await start(
    (call) => {
      most = Math.max(most, ++now);
      held.push(() => {
        now--;
        recognises()(call);
      });
      // The first ones are held until all that may come at once are there.
      if (held.length >= 3) for (const answer of held.splice(0)) answer();
    },
    { concurrency: 3 },
  );
  const replies = await Promise.all(Array.from({ length: 12 }, (_, at) => gate.ask(wire, `Ann Smith ${at}`)));
  expect(replies.map(({ status }) => status)).toEqual(Array(12).fill(200));
  expect(most).toBe(3);
});

test('more text than allowed is refused, or passes; what was checked before does not count', async () => {
  const long = 'word '.repeat(150);
  await start(recognises(), { textMaxBytes: 1024 });
  expect((await gate.ask(wire, `${long}a`)).status).toBe(200);
  const messages = ['a', 'b'].map((end) => ({ role: 'user', content: long + end }));
  expect((await gate.ask(wire, '', { more: { messages } })).status).toBe(200);
  const more = ['c', 'd'].map((end) => ({ role: 'user', content: long + end }));
  const { status, text } = await gate.ask(wire, '', { more: { messages: more } });
  expect([status, wire.errorOf(text)?.code]).toEqual([413, 'text_unchecked']);
  expect(text).toContain('1502 bytes');
  expect(text).toContain('scrub.recogniser.textMaxBytes');
  expect(recogniser.calls).toHaveLength(2);
});

test('a client that leaves is not waited for, and says nothing about the recogniser', async () => {
  await start(() => {});
  const { sidecar } = gate;
  const requests = Array.from({ length: 6 }, (_, at) =>
    send(sidecar.url, wire.path, { body: wire.request(`Ann Smith ${at}`) }),
  );
  for (const { reply } of requests) reply.catch(() => {});
  const calls = await Promise.all([0, 1, 2, 3].map((at) => recogniser.call(at)));
  for (const request of requests) request.hangUp();
  await Promise.all(calls.map(({ aborted }) => aborted));
  await sidecar.recordWhere(({ abandoned }) => abandoned);
  recogniser.answer(recognises());
  expect((await gate.ask(wire, 'Bob Li')).status).toBe(200);
  expect(said()).toEqual([]);
});

test("a request's own deadline ends the wait", async () => {
  await start(() => {});
  const { status } = await gate.ask(wire, 'Ann Smith', { headers: { 'x-sidegate-timeout': '50' } });
  expect(status).toBe(503);
});

test('a reload keeps what is known, and a request in flight its recogniser', async () => {
  await start(() => {});
  const { baseUrl } = gate.upstream;
  const reload = (settings: Settings) =>
    gate.sidecar.sidecar.reload(
      configSchema.parse({
        authenticate: { anonymousTenant: 'test' },
        providers: { o: { dialect: 'openai', baseUrl } },
        routes: [{ model: 'test-model', targets: [{ provider: 'o' }] }],
        scrub: scrubWith(settings),
      }),
    );
  const asked = gate.ask(wire, 'Ann Smith');
  const call = await recogniser.call(0);
  await reload({ language: 'de' });
  recognises()(call);
  expect((await asked).status).toBe(200);
  recogniser.answer(recognises());
  await gate.ask(wire, 'Ann Smith');
  await reload({ language: 'de' });
  await gate.ask(wire, 'Ann Smith');
  expect(recogniser.calls.map(({ json: { language } }) => language)).toEqual(['en', 'de']);
});
