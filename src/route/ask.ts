/** The properties of a request that strategies decide by. */

import { Refusal } from '../base/errors.ts';
import { type Capability, capabilities } from '../catalog/facts.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { type Tier, tiers } from '../native/classify.ts';
import { bodyFlags } from '../native/inspect.ts';

/** Properties of the request being routed. One object is reused for all requests, since routing is synchronous. */
export interface Ask {
  /** Monotonic ms. */
  nowMs: number;
  stream: boolean;
  /** Capabilities it needs, as bits by their index in `capabilities`. */
  needs: number;
  /** Index in `tiers`. */
  tier: number;
  /** Estimated tokens of the prompt. */
  promptTokens: number;
  /** The request's limit of reply tokens; 0: it sets none. */
  replyMaxTokens: number;
  /** Hashes by which `weighted` keeps requests together; user -1: unknown. */
  tenant: number;
  user: number;
  /** Random number, 0 ≤ x < 1. */
  random: () => number;
  /** Hash of the choices made, where answers may differ by them; 0: none. */
  variant: number;
  /** Whether a strategy used the tier. */
  tierUsed: boolean;
}

/** An empty object for `route` to fill. @param random 0 ≤ x < 1 */
export const createAsk = (random: () => number): Ask => ({
  nowMs: 0,
  stream: false,
  needs: 0,
  tier: 0,
  promptTokens: 0,
  replyMaxTokens: 0,
  tenant: 0,
  user: -1,
  random,
  variant: 0,
  tierUsed: false,
});

/** The bit of a capability. */
const capabilityBit = (capability: Capability): number => 1 << capabilities.indexOf(capability);

/** All bits of a set; null (unknown) counts as having every capability. */
export const capabilityBits = (known: ReadonlySet<Capability> | null): number =>
  known === null ? -1 : [...known].reduce((bits, each) => bits | capabilityBit(each), 0);

/** Names of the capabilities in a mask. */
export const capabilityNames = (bits: number): Capability[] =>
  capabilities.filter((each) => (bits & capabilityBit(each)) !== 0);

/** Flag of the inspected body → capability it requires. */
const found: readonly (readonly [number, number])[] = [
  [bodyFlags.images, capabilityBit('vision')],
  [bodyFlags.tools, capabilityBit('tools')],
  [bodyFlags.schema, capabilityBit('schema')],
  [bodyFlags.reasoning, capabilityBit('reasoning')],
  [bodyFlags.audio, capabilityBit('audio')],
  [bodyFlags.code, capabilityBit('code')],
];

/** Capabilities that the body requires, plus those that the app names in `x-sidegate-capabilities`. */
export function neededOf(
  { headers, endpoint }: Pick<Exchange, 'headers' | 'endpoint'>,
  { flags }: ModelRequest,
): number | Refusal {
  let needs = endpoint.kind === 'embedding' ? capabilityBit('embeddings') : 0;
  for (const [flag, bit] of found) if ((flags & flag) !== 0) needs |= bit;
  const named = headers['x-sidegate-capabilities'];
  if (named === undefined) return needs;
  for (const name of String(named).split(',')) {
    const known = capabilities.find((each) => each === name.trim());
    if (known === undefined) {
      return new Refusal(
        'invalid_header',
        `The header x-sidegate-capabilities may contain ${capabilities.join(', ')}, separated by commas.`,
        { param: 'x-sidegate-capabilities' },
      );
    }
    needs |= capabilityBit(known);
  }
  return needs;
}

/** The tier that the app names in `x-sidegate-tier`, otherwise the one the body was classified as. */
export function tierOf({ headers }: Pick<Exchange, 'headers'>, request: ModelRequest): number | Refusal {
  const named = headers['x-sidegate-tier'];
  if (named === undefined) return request.tier === null ? 0 : tiers.indexOf(request.tier);
  const tier = tiers.indexOf(named as Tier);
  if (tier >= 0) return tier;
  return new Refusal('invalid_header', `The header x-sidegate-tier must be one of ${tiers.join(', ')}.`, {
    param: 'x-sidegate-tier',
  });
}

/** 32-bit hash for sticky routing: FNV-1a over UTF-16 units, with a final mix. */
export function stickyHash(...texts: readonly string[]): number {
  let hash = 0x811c9dc5;
  for (const text of texts) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ 0xff00, 0x01000193);
  }
  return mix(hash);
}

/** MurmurHash3's finalizer: each input bit flips half of the output bits on average. */
export function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
