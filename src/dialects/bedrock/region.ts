/** Regions of Bedrock and their URLs. https://docs.aws.amazon.com/general/latest/gr/bedrock.html */

/** Used if the configuration sets no region. */
export const defaultRegion = 'us-east-1';

/** The region in a base URL; null: it contains none. */
export function regionOf(baseUrl: string): string | null {
  if (!URL.canParse(baseUrl)) return null;
  return /(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\./.exec(new URL(baseUrl).hostname)?.[1] ?? null;
}

/** Base URL of Amazon's endpoint in a region. */
export const endpointIn = (region: string): string =>
  `https://bedrock-runtime.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
