/** Where Bedrock's models run. https://docs.aws.amazon.com/general/latest/gr/bedrock.html */

/** Where nothing else is said. */
export const defaultRegion = 'us-east-1';

/** The region that a base URL names; null: none. */
export function regionOf(baseUrl: string): string | null {
  if (!URL.canParse(baseUrl)) return null;
  return /(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\./.exec(new URL(baseUrl).hostname)?.[1] ?? null;
}

/** Amazon's own endpoint in a region. */
export const endpointIn = (region: string): string =>
  `https://bedrock-runtime.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
