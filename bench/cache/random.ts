/** Numbers that look random and are the same in every run. */

export interface Random {
  /** From 0 up to 1. */
  next(): number;
  /** From 0 up to `end`. */
  below(end: number): number;
  chance(share: number): boolean;
  /** One of a list, which isn't empty. */
  pick<T>(from: readonly T[]): T;
  shuffle<T>(list: readonly T[]): T[];
}

/** Mulberry32. */
export function seeded(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const random: Random = {
    next,
    below: (end) => Math.floor(next() * end),
    chance: (share) => next() < share,
    pick(from) {
      if (from.length === 0) throw new Error('nothing to pick from');
      return from[random.below(from.length)] as (typeof from)[number];
    },
    shuffle(list) {
      const all = [...list];
      for (let i = all.length - 1; i > 0; i--) {
        const j = random.below(i + 1);
        [all[i], all[j]] = [all[j] as (typeof all)[number], all[i] as (typeof all)[number]];
      }
      return all;
    },
  };
  return random;
}
