/** What a reply states that decides its price, besides its tokens. */
import { numberOf } from '../base/json.ts';
import { type MediaUsage, type Pricing, services } from '../native/reply.ts';

/**
 * As a member of a reply's usage; empty if it states nothing of the kind.
 * @param hourTokens tokens written to the provider's cache for an hour
 * @param service the class of service by its name
 * @param usd what the provider charges, in dollars
 * @param resident whether it was served in one country, at a surcharge
 */
export function pricingOf(
  hourTokens: number,
  service: unknown,
  usd: unknown = undefined,
  resident = false,
): { pricing?: Pricing } {
  const known = services.find((name) => name === service);
  const dollars = numberOf(usd);
  if (hourTokens === 0 && known === undefined && dollars === null && !resident) return {};
  const pricing = {
    ...(hourTokens === 0 ? {} : { cacheWriteHourTokens: hourTokens }),
    ...(known === undefined ? {} : { service: known }),
    ...(resident ? { resident } : {}),
    ...(dollars === null ? {} : { statedNanoUsd: Math.round(dollars * 1e9) }),
  };
  return { pricing };
}

/** Tokens of images and audio as a member of a reply's usage; empty if there are none. @param sound they are of sound only */
export const mediaOf = (inputTokens: number, outputTokens: number, sound: boolean): { media?: MediaUsage } =>
  inputTokens === 0 && outputTokens === 0
    ? {}
    : { media: { inputTokens, outputTokens, soundMs: 0, ...(sound ? { sound } : {}) } };
