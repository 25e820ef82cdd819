/** The story of a request: what each stage decided, and how long it took. */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { nothingBilled } from '../../src/count/usage.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';
import { stageNames, stagesOf, storyOf } from '../../src/observe/story.ts';
import { startGate } from '../support/gate.ts';
import { openaiWire } from '../support/replies.ts';
import { answers } from '../support/upstream.ts';

const recordOf = (more: Partial<ExchangeRecord>): ExchangeRecord => ({
  ...createRecord(
    { id: 'r', startedMs: 1000, endpoint: { name: 'chat' } },
    noCourse,
    { status: 200 },
    nothingBilled,
    1000,
  ),
  ...more,
});

test('stages follow each other without gaps, and the last ends with the request', () => {
  const times = fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(times, fc.double({ min: 0, max: 1000, noNaN: true }), (took, restMs) => {
      let nowMs = 1000;
      const passedMs = took.map((ms) => {
        nowMs += ms;
        return nowMs;
      });
      const durationMs = nowMs + restMs - 1000;
      const stages = stagesOf(recordOf({ passedMs, durationMs })).slice(1, took.length + 2);
      let atMs = 0;
      for (const [i, stage] of stages.entries()) {
        expect(stage.atMs).toBeCloseTo(atMs, 6);
        expect(stage.ms).toBeCloseTo(took[i] ?? restMs, 6);
        atMs += stage.ms;
      }
      expect(atMs).toBeCloseTo(durationMs, 6);
    }),
  );
});

test('what was found in a reply is told apart from what was found in its request', () => {
  const record = recordOf({
    findings: [{ kind: 'email', count: 2 }],
    replyFindings: [{ kind: 'card', count: 1 }],
  });
  const story = storyOf({ number: 1, endedMs: 2, record });
  expect(story.findings).toEqual({ email: 2 });
  expect(story.replyFindings).toEqual({ card: 1 });
  const scrubbed = story.stages.find(({ stage }) => stage === 'scrub');
  expect(scrubbed?.verdict).toBe('found 2 email, in the reply 1 card');
});

test('stages are timed while the last requests are kept, and else not', async () => {
  for (const recent of [0, 10]) {
    const gate = await startGate([answers(openaiWire, 'hello')], { observe: { recent } });
    onTestFinished(() => gate.stop());
    for (let i = 0; i < 2; i++) await gate.ask(openaiWire, 'hi');
    await gate.sidecar.recordWhere(() => true);
    const text = await fetch(`${gate.sidecar.adminUrl}/api/requests`).then((reply) => reply.text());
    const stories = JSON.parse(text) as ReturnType<typeof storyOf>[];
    expect(stories).toHaveLength(recent === 0 ? 0 : 2);
    if (recent === 0) continue;
    const [miss, hit] = stories.map(({ stages }) =>
      stages.filter(({ ms }) => ms > 0).map(({ stage }) => stage),
    );
    expect(miss).toEqual(expect.arrayContaining(['authenticate', 'inspect', 'route', 'attempt', 'deliver']));
    expect(hit?.at(-1)).toBe('cache');
    expect(miss?.every((stage) => stageNames.includes(stage))).toBe(true);
  }
});
