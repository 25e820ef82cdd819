/** How long a key that its provider limits rests. */
import { expect, test } from 'vitest';
import {
  coolDownLimited,
  createCredential,
  hintLimited,
  takeCredential,
} from '../../src/upstream/credential.ts';
import { samplePlan } from '../support/samples.ts';

/** A target of two keys. */
function sample() {
  const [step] = samplePlan().steps;
  if (step === undefined) throw new Error('no target');
  const credentials = [createCredential('a', []), createCredential('b', [])] as const;
  return {
    label: step.target.label,
    provider: { ...step.target.provider, credentials, turn: 0 },
    credentials,
  };
}

test('of calls in flight together the one that is told to wait longest counts', () => {
  const { credentials, ...target } = sample();
  const [first, second] = credentials;
  expect(coolDownLimited(first, target, 'rate_limited', 30_000, 0)).toBe(30_000);
  // Another one is told no time, or a shorter one.
  expect(coolDownLimited(first, target, 'rate_limited', null, 100)).toBe(29_900);
  expect(coolDownLimited(first, target, 'rate_limited', 500, 200)).toBe(29_800);
  expect(takeCredential(target, 29_999)).toBe(second);
  target.provider.turn = 0;
  expect(takeCredential(target, 30_000)).toBe(first);
  // Once its time is over, what it is told next counts.
  expect(coolDownLimited(first, target, 'rate_limited', null, 40_000)).toBe(1000);
});

test('a peer’s hint of a shorter time does not end a longer one', () => {
  const { credentials, ...target } = sample();
  const [first, second] = credentials;
  hintLimited(target.provider, first.digest, target.label, 30_000);
  hintLimited(target.provider, first.digest, target.label, 2000);
  expect(takeCredential(target, 20_000)).toBe(second);
});
