/** What places know of their trust after a restart, and after a reload that changes what is trusted. */
import { describe, expect, test } from 'vitest';
import { createPlaces, type Places } from '../../src/cache/places.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { ConfigInput } from '../support/sidecar.ts';

type Semantic = NonNullable<ConfigInput['cache']>['semantic'];

const settings = (semantic: Semantic = {}, more: ConfigInput['cache'] = {}) =>
  configSchema.parse({ cache: { ...more, semantic } }).cache;

const judged = (places: Places): object[] => places.view().map(({ judged, live }) => ({ judged, live }));

/** Places of which one was judged so often, each time right. */
function judgedOften(times: number, semantic: Semantic = {}): Places {
  const places = createPlaces(settings(semantic));
  for (let i = 0; i < times; i++) places.judge(places.of('t', 'r'), true);
  return places;
}

describe('after a restart', () => {
  const kept = judgedOften(160).kept();
  /** It was taken when the clock of the new process showed 5000. */
  const restored = (semantic: Semantic = {}): Places => {
    const places = createPlaces(settings(semantic));
    places.restore(kept, 4000, 5000);
    return places;
  };

  test('what was judged before counts once, though peers tell of it again', () => {
    const places = restored();
    for (let i = 0; i < 160; i++) expect(places.judge(places.of('t', 'r'), true, 4000 + i)).toBeNull();
    expect(judged(places)).toEqual([{ judged: 160, live: false }]);
    places.judge(places.of('t', 'r'), true, 5001);
    places.judge(places.of('t', 'r'), true);
    places.judge(places.of('t', 'other'), true, 4000);
    expect(judged(places)).toEqual([
      { judged: 162, live: false },
      { judged: 1, live: false },
    ]);
  });

  test('with other settings of what decides, nothing is judged yet', () => {
    const places = restored({ threshold: 0.9 });
    expect(judged(places)).toEqual([{ judged: 0, live: false }]);
    places.judge(places.of('t', 'r'), true, 4000);
    expect(judged(places)).toEqual([{ judged: 1, live: false }]);
  });
});

describe('after a reload', () => {
  const embedder = { provider: 'p', model: 'm', dimensions: 8 };
  test.each([[{ threshold: 0.9 }], [{ verifier: true }], [{ sampled: true }], [{ embedder }]])(
    'with %j, trust has to be earned anew',
    (semantic) => {
      const places = judgedOften(300);
      places.update(settings(semantic));
      expect(judged(places)).toEqual([{ judged: 0, live: false }]);
    },
  );

  test('that changes nothing of what decides, it holds', () => {
    const places = judgedOften(300, { embedder });
    places.update(settings({ embedder: { ...embedder, timeoutMs: 7 }, bytesMax: 1e6 }, { ttlSeconds: 7 }));
    expect(judged(places)).toEqual([{ judged: 300, live: true }]);
  });

  test('with another share of wrong answers, it is what the judgements prove', () => {
    const places = judgedOften(100, { wrongMax: 0.05 });
    expect(judged(places)).toEqual([{ judged: 100, live: true }]);
    places.update(settings());
    expect(judged(places)).toEqual([{ judged: 100, live: false }]);
    places.update(settings({ wrongMax: 0.05 }));
    expect(judged(places)).toEqual([{ judged: 100, live: true }]);
  });
});
