/** The story of a request: what each stage decided, and how long it took. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { nothingBilled } from '../../src/count/usage.ts';
import { createRecord, type ExchangeRecord, noCourse } from '../../src/observe/record.ts';
import { stageNames, stagesOf, storyOf } from '../../src/observe/story.ts';
import { startGate } from '../support/gate.ts';
import { openaiWire } from '../support/replies.ts';
import { eventually } from '../support/until.ts';
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
  // Whatever fails, ends in the stage that had not let it pass.
  const error = 'internal';
  const times = fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(times, fc.double({ min: 0, max: 1000, noNaN: true }), (took, restMs) => {
      let nowMs = 1000;
      const passedMs = took.map((ms) => {
        nowMs += ms;
        return nowMs;
      });
      const durationMs = nowMs + restMs - 1000;
      const stages = stagesOf(recordOf({ passedMs, durationMs, error }));
      expect(stages.map(({ stage }) => stage)).toEqual(stageNames.slice(0, took.length + 1));
      expect(stages.at(-1)).toMatchObject({ kind: 'refused', verdict: error });
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

test('a story ends in the stage that refused, answered, or was left', async () => {
  const gate = await startGate([answers(openaiWire, 'hello')], {
    observe: { recent: 100 },
    authenticate: {
      keys: [{ id: 'web', sha256: createHash('sha256').update('sk-web').digest('hex'), tenant: 'a' }],
    },
    limits: [{ name: 'few', capacity: 3, refillPerSecond: 0.0001 }],
  });
  onTestFinished(() => gate.stop());
  const { sidecar } = gate;
  const asked = (prompt: string, { key = 'sk-web', more = {} } = {}) =>
    gate.ask(openaiWire, prompt, { more, headers: { authorization: `Bearer ${key}` } });
  const stories = async (): Promise<ReturnType<typeof storyOf>[]> =>
    (await fetch(`${sidecar.adminUrl}/api/requests`)).json() as Promise<ReturnType<typeof storyOf>[]>;
  const ended = async (send: () => Promise<unknown>): Promise<[string, string]> => {
    const before = (await stories()).length;
    await send();
    const story = await eventually(async () => {
      const all = await stories();
      expect(all).toHaveLength(before + 1);
      return all.at(-1);
    });
    const last = story?.stages.at(-1);
    return [last?.stage ?? '', last?.kind ?? ''];
  };
  const auth = { authorization: 'Bearer sk-web' };
  expect(await ended(() => asked('a'))).toEqual(['deliver', 'end']);
  expect(await ended(() => asked('a'))).toEqual(['cache', 'end']);
  expect(await ended(() => gate.post('/none', '{}', auth))).toEqual(['listen', 'refused']);
  expect(await ended(() => asked('b', { key: 'sk-wrong' }))).toEqual(['authenticate', 'refused']);
  expect(await ended(() => gate.post(openaiWire.path, '{', auth))).toEqual(['inspect', 'refused']);
  expect(await ended(() => asked('b', { more: { model: 'x' } }))).toEqual(['route', 'refused']);
  const models = () => fetch(`${sidecar.url}/v1/models`, { headers: auth }).then((reply) => reply.text());
  expect(await ended(models)).toEqual(['deliver', 'end']);
  expect(await ended(() => asked('c'))).toEqual(['deliver', 'end']);
  expect(await ended(() => asked('d'))).toEqual(['limit', 'refused']);
});
