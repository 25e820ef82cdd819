/** Offsets of a recogniser, in code points of one joined text, become bytes of each text; its answers are checked. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codePoints, joined, separated } from '../../src/scrub/recogniser/joined.ts';
import { claimsOf } from '../../src/scrub/recogniser/presidio.ts';

const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }), { maxLength: 6 });

/** What stands from one code point to another, as Python slices. */
const slice = (text: string, start: number, end: number): string => [...text].slice(start, end).join('');

test('each part of a claim is where the recogniser meant', () => {
  fc.assert(
    fc.property(texts, fc.nat(80), fc.nat(80), (all, start, length) => {
      const whole = joined(all);
      expect(codePoints(whole)).toBe([...whole].length);
      const found = separated(all, [{ kind: 7, start, end: start + length + 1 }]);
      const parts = found.map((values, at) => {
        if (values.length === 0) return '';
        const [kind, from, to] = values;
        expect([kind, values.length]).toEqual([7, 3]);
        return Buffer.from(all[at] ?? '')
          .subarray(from, to)
          .toString();
      });
      // Between texts stands what belongs to none; a text may end in line breaks, too.
      let before = 0;
      const wanted = all.map((text) => {
        const from = Math.max(0, start - before);
        const to = Math.max(0, start + length + 1 - before);
        before += [...text].length + 2;
        return slice(text, from, to);
      });
      expect(parts).toEqual(wanted);
    }),
    { numRuns: 1000 },
  );
});

test('claims that overlap are one, of each kind', () => {
  const claims = [
    { kind: 1, start: 4, end: 6 },
    { kind: 1, start: 0, end: 3 },
    { kind: 2, start: 0, end: 9 },
    { kind: 1, start: 1, end: 5 },
    { kind: 1, start: 7, end: 8 },
  ];
  expect(separated(['abcdé', 'fgh'], claims)).toEqual([
    [1, 0, 6, 2, 0, 6],
    [1, 0, 1, 2, 0, 2],
  ]);
});

test('a claim over every text, and one for each character, take time that grows with both together', () => {
  const all = Array.from({ length: 5000 }, () => 'ab');
  const claims = Array.from({ length: 10_000 }, (_, at) => ({ kind: at % 3, start: at, end: 20_000 - 2 }));
  const values = separated(all, claims).reduce((sum, each) => sum + each.length / 3, 0);
  // The claims of one kind begin behind the first text.
  expect(values).toBe(3 * 5000 - 1);
});

describe('an answer is believed as a whole or not at all', () => {
  const asking = { language: 'en', scoreMin: 0.5, kinds: new Map([['PERSON', 3]]) };
  const claimed = (list: unknown) => claimsOf(JSON.stringify(list), asking, 10);
  const sound = { entity_type: 'PERSON', start: 0, end: 3, score: 0.85 };

  test.each([
    ['text', 'x', /not JSON/],
    ['an object', '{"error":"no text"}', /not a list/],
    ['null', 'null', /not a list/],
    ['a number in it', '[1]', /no places/],
    ['null in it', '[null]', /no places/],
    ['no offsets', '[{"entity_type":"PERSON"}]', /no places/],
    ['offsets in text', '[{"entity_type":"PERSON","start":"0","end":"3"}]', /no places/],
    ['fractions', '[{"entity_type":"PERSON","start":0.5,"end":3}]', /no places/],
    ['a negative offset', '[{"entity_type":"PERSON","start":-1,"end":3}]', /no places/],
    ['an end beyond the text', '[{"entity_type":"PERSON","start":0,"end":11}]', /outside the text/],
    ['a huge end', '[{"entity_type":"PERSON","start":0,"end":1e300}]', /no places/],
    ['nothing', '[{"entity_type":"PERSON","start":3,"end":3}]', /outside the text/],
    ['an end before its start', '[{"entity_type":"PERSON","start":5,"end":3}]', /outside the text/],
    ['an entity of another type', '[{"entity_type":7,"start":0,"end":3}]', /no places/],
  ])('%s', (_, answer, why) => {
    expect(claimsOf(answer, asking, 10)).toMatch(why);
  });

  test('more values than allowed', () => {
    expect(claimed(Array(10_000).fill(sound))).toHaveLength(10_000);
    expect(claimed(Array(10_001).fill(sound))).toMatch(/more than 10000/);
  });

  test('what was not asked for is left out: other entities, and low scores', () => {
    const others = [
      { ...sound, entity_type: 'URL' },
      { ...sound, score: 0.4 },
      { ...sound, entity_type: '__proto__' },
    ];
    expect(claimed([...others, sound])).toEqual([{ kind: 3, start: 0, end: 3 }]);
  });

  test('anything else is no claim, and nothing throws', () => {
    fc.assert(
      fc.property(fc.json(), (answer) => {
        const given = claimsOf(answer, asking, 10);
        if (typeof given !== 'string') for (const { start, end } of given) expect(end).toBeGreaterThan(start);
      }),
    );
  });
});
