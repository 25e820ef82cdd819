/** Determinism for the simulator: a text hash and a small generator, so that equal requests get equal answers. */

/** A source of numbers in [0, 1); equal seeds give equal sequences. */
export type Random = () => number;

/** Mixes a 32-bit number so that neighbours end up far apart (the finaliser of MurmurHash3). */
export function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 32-bit FNV-1a over UTF-16 code units, mixed. Not for security. */
export function hash(text: string, seed = 0): number {
  let h = 0x811c9dc5 ^ seed;
  for (let at = 0; at < text.length; at++) h = Math.imul(h ^ text.charCodeAt(at), 0x01000193);
  return mix(h);
}

/** A generator that starts from `seed` (mulberry32). */
export function generator(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number from `min` to `max`, both included. */
export function between(random: Random, min: number, max: number): number {
  return min + Math.floor(random() * (max - min + 1));
}

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** An identifier such as `call_8dKs…`, of `length` letters and digits after the prefix. */
export function identifier(random: Random, prefix: string, length: number): string {
  let id = prefix;
  for (let n = 0; n < length; n++) id += alphabet[Math.floor(random() * alphabet.length)];
  return id;
}
