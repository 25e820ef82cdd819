/** Edges of a fallback chain: which failures lead where, on real sockets; and the steps that follow, as a function. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { enters, following } from '../../src/attempt/edges.ts';
import { type FallbackCause, fallbackCauses, type Step } from '../../src/upstream/target.ts';
import { startPlan } from '../support/plan.ts';
import { wires } from '../support/replies.ts';
import { silenceMs, standingTime } from '../support/time.ts';
import { answers, refuses, resets, type Script } from '../support/upstream.ts';

describe.each(wires)('$name', (wire) => {
  const good = answers(wire, 'good');
  const time = standingTime();
  const json = { 'content-type': 'application/json' };
  const tooLong =
    wire.name === 'openai'
      ? '{"error":{"message":"Too long","type":"invalid_request_error","code":"context_length_exceeded"}}'
      : '{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}';
  const filtered =
    wire.name === 'openai'
      ? '{"error":{"message":"Filtered","type":"invalid_request_error","code":"content_filter"}}'
      : '{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}';
  const says =
    (status: number, body: string): Script =>
    (call) =>
      call.whole(status, json, body);

  const failures: [string, FallbackCause, Script][] = [
    ['no answer in time', 'timeout', time.silent],
    ['a 500', 'server', refuses(wire.error(500, 'x'))],
    ['an answer that is none', 'server', says(200, 'not JSON')],
    ['a 429', 'rate_limited', refuses(wire.error(429, 'x'))],
    ['a reset', 'outage', resets],
    ['a refused credential', 'outage', refuses(wire.error(401, 'x'))],
    ['a prompt that is too long', 'context_window', says(400, tooLong)],
    ['the content policy', 'content_policy', says(400, filtered)],
  ];

  test.each(failures)(
    '%s goes where an edge asks for %s, past those that don’t',
    async (_, cause, script) => {
      const others = fallbackCauses.filter((other) => other !== cause);
      const plan = await startPlan(
        wire,
        [{ script }, { script: good, on: others }, { script: good, on: [cause] }, { script: good }],
        { replyTimeoutMs: silenceMs },
        time.world,
      );
      expect((await plan.ask()).status).toBe(200);
      expect(plan.calls()).toEqual([1, 0, 1, 0]);
    },
  );

  test.each(failures)('%s ends where no edge asks for it', async (_, cause, script) => {
    const others = fallbackCauses.filter((other) => other !== cause);
    const steps = [{ script }, { script: good, on: others }];
    const plan = await startPlan(wire, steps, { replyTimeoutMs: silenceMs }, time.world);
    const { status, text } = await plan.ask();
    expect(status).toBeGreaterThanOrEqual(400);
    if (cause === 'context_window' || cause === 'content_policy')
      expect(text).toBe(cause === 'context_window' ? tooLong : filtered);
    expect(plan.calls()).toEqual([1, 0]);
  });

  test('an open breaker is a separate cause', async () => {
    const plan = await startPlan(
      wire,
      [{ script: refuses(wire.error(500, 'x')) }, { script: good, on: ['breaker_open'] }],
      { breaker: { failures: 1 } },
    );
    expect((await plan.ask()).status).toBe(503);
    expect((await plan.ask()).status).toBe(200);
    expect(plan.calls()).toEqual([1, 1]);
  });

  test('alternatives of a group follow each other on every failure; their causes count together', async () => {
    const limited = refuses(wire.error(429, 'x'));
    const plan = await startPlan(wire, [
      { script: limited, group: 0 },
      { script: resets, group: 0, on: ['timeout'] },
      { script: good, group: 1, on: ['timeout'] },
      { script: good, group: 1 },
      { script: good, group: 2, on: ['rate_limited'] },
    ]);
    expect((await plan.ask()).status).toBe(200);
    expect(plan.calls()).toEqual([1, 1, 0, 0, 1]);
  });

  test('row 27: a prompt too long for one target goes to the larger one, not to others', async () => {
    const plan = await startPlan(wire, [
      { script: says(400, tooLong) },
      { script: good },
      { script: good, on: ['context_window'] },
    ]);
    expect((await plan.ask()).tried).toBe('s0/test-model: context_window, s2/test-model: ok');
    expect(plan.calls()).toEqual([1, 0, 1]);
  });

  test("row 27: without such a target, or when it fails too, the client gets the provider's error", async () => {
    const alone = await startPlan(wire, [{ script: says(400, tooLong) }, { script: good }]);
    expect(await alone.ask()).toMatchObject({ status: 400, text: tooLong });
    expect(alone.calls()).toEqual([1, 0]);
    const down = await startPlan(wire, [
      { script: says(400, tooLong) },
      { script: resets, on: ['context_window'] },
    ]);
    expect(await down.ask()).toMatchObject({ status: 400, text: tooLong });
    expect(down.calls()).toEqual([1, 1]);
  });

  test('row 27: an estimate skips the target before the call; if no other can be tried, the provider decides', async () => {
    const plan = await startPlan(wire, [
      { script: good, contextTokens: 5 },
      { script: good, on: ['context_window'], contextTokens: 100_000 },
    ]);
    const { tried } = await plan.ask();
    expect(tried).toBe('s0/test-model: context_window, s1/test-model: ok');
    expect(plan.calls()).toEqual([0, 1]);
    const open = await startPlan(
      wire,
      [
        { script: says(400, tooLong), contextTokens: 5 },
        { script: resets, on: ['context_window'] },
      ],
      { breaker: { failures: 1 } },
    );
    await open.ask();
    expect(open.calls()).toEqual([0, 1]);
    expect(await open.ask()).toMatchObject({ status: 400, text: tooLong });
    expect(open.calls()).toEqual([1, 1]);
  });

  test('a cut stream restarts at the target its edge leads to', async () => {
    const cuts: Script = async (call) => {
      call.streamHead();
      call.write(wire.opening + wire.text('Half'));
      call.cut();
    };
    const plan = await startPlan(wire, [
      { script: cuts },
      { script: good, on: ['timeout'] },
      { script: good, on: ['outage'] },
    ]);
    const { text } = await plan.ask({ 'x-sidegate-restart': 'on-cut' }, { stream: true });
    expect(text).toContain('good');
    expect(plan.calls()).toEqual([1, 0, 1]);
  });

  test('nothing in a request can choose its target', async () => {
    const plan = await startPlan(wire, [{ script: good }, { script: good }]);
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example',
      'x-sidegate-target': 's1/test-model',
    };
    const more = { base_url: 'http://evil.example/v1', api_base: 'http://evil.example/v1' };
    expect((await plan.ask(headers, more)).tried).toBe('s0/test-model: ok');
    expect(plan.calls()).toEqual([1, 0]);
  });
});

describe('edges', () => {
  const step = (group: number, on: readonly FallbackCause[] | null): Step =>
    ({ group, on: on === null ? null : new Set(on) }) as Step;
  const anySteps = fc
    .array(fc.tuple(fc.boolean(), fc.option(fc.subarray([...fallbackCauses]))), {
      minLength: 1,
      maxLength: 12,
    })
    .map((drawn) => {
      let group = 0;
      return drawn.map(([next, on], i) => {
        if (next && i > 0) group += 1;
        return step(group, on);
      });
    });
  const anyCauses = fc.subarray([...fallbackCauses], { minLength: 1 });

  test('lead forward, and skip only groups whose edge accepts none of the causes', () => {
    fc.assert(
      fc.property(anySteps, anyCauses, fc.nat(), (steps, causes, seed) => {
        const from = seed % steps.length;
        const next = following(steps, from, causes);
        const heads = steps
          .map((each, at) => ({ each, at }))
          .filter(({ each, at }) => at > from && each.group !== steps[at - 1]?.group);
        const opens = (on: ReadonlySet<FallbackCause>): boolean =>
          on.has('server') || on.has('timeout') || on.has('outage');
        const takes = ({ on }: Step): boolean =>
          on === null || causes.some((cause) => on.has(cause) || (cause === 'breaker_open' && opens(on)));
        const expected =
          steps[from + 1]?.group === steps[from]?.group
            ? from + 1
            : (heads.find(({ each }) => takes(each))?.at ?? -1);
        expect(next).toBe(expected);
        for (const cause of causes) {
          const named = heads.find(({ each }) => each.on?.has(cause))?.at ?? -1;
          expect(enters(steps, from, cause)).toBe(named);
        }
      }),
    );
  });
});
