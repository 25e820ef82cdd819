/** When a second, hedged call is sent: learns per route how long the first content usually takes. */

/** The part of a configuration that says which routes use hedging, and after what delay. */
export interface HedgeConfig {
  readonly attempt: {
    readonly hedge: {
      readonly enabled: boolean;
      /** Ms; unset: learned. */
      readonly delayMs?: number | undefined;
    };
  };
  readonly routes: readonly { readonly model: string; readonly hedge?: boolean | undefined }[];
}

/** The hedging delays of all routes. A pattern's are learned for each model, by the state of its target. */
export interface Hedges {
  /** Ms without content after which a request of this route is hedged; null: hedging is off, or not known yet. */
  delayMs(pattern: string, model: object, stream: boolean): number | null;
  /** Learns how long the first content took, for whole replies the reply. */
  observe(pattern: string, model: object, stream: boolean, ms: number): void;
}

/** Hedging as configured, by route; null: no route uses it. */
export function createHedges(config: HedgeConfig): Hedges | null {
  const { enabled, delayMs } = config.attempt.hedge;
  const wanted = config.routes.filter(({ hedge }) => hedge ?? enabled);
  if (wanted.length === 0) return null;
  const made = () => ({ stream: createQuantile(), whole: createQuantile() });
  const routes = new Map(wanted.map(({ model }) => [model, made()]));
  // No longer than the states of the models, which are bounded.
  const models = new WeakMap<object, ReturnType<typeof made>>();
  const latencies = (pattern: string, model: object): ReturnType<typeof made> | undefined => {
    const route = routes.get(pattern);
    if (route === undefined || !pattern.endsWith('*')) return route;
    let own = models.get(model);
    if (own === undefined) {
      own = made();
      models.set(model, own);
    }
    return own;
  };
  return {
    delayMs(pattern, model, stream) {
      const known = latencies(pattern, model);
      if (known === undefined) return null;
      return delayMs ?? (stream ? known.stream : known.whole).p95();
    },
    observe(pattern, model, stream, ms) {
      const known = latencies(pattern, model);
      if (known !== undefined) (stream ? known.stream : known.whole).add(ms);
    },
  };
}

/** Class bounds grow by the fourth root of 2: the estimate is at most 19% too high, from 1 ms to 18 minutes. */
const classesMax = 80;

const classesPerDoubling = 4;

/** Fewer observations say nothing about a 95th percentile. */
const observationsMin = 20;

/** At this total all counts are halved, so that old observations weigh less and less. */
const observationsMax = 1000;

/** A streaming estimate of a 95th percentile in bounded memory. */
export function createQuantile(): { add(ms: number): void; p95(): number | null } {
  const counts = new Float64Array(classesMax);
  let total = 0;
  return {
    add(ms) {
      const at = Math.ceil(classesPerDoubling * Math.log2(Math.max(1, ms)));
      const index = Math.min(classesMax - 1, at);
      counts[index] = (counts[index] ?? 0) + 1;
      total += 1;
      if (total < observationsMax) return;
      for (let i = 0; i < classesMax; i++) counts[i] = (counts[i] ?? 0) / 2;
      total /= 2;
    },
    p95() {
      if (total < observationsMin) return null;
      let left = 0.05 * total;
      let at = classesMax - 1;
      for (; at > 0; at--) {
        left -= counts[at] ?? 0;
        if (left < 0) break;
      }
      return 2 ** (at / classesPerDoubling);
    },
  };
}
