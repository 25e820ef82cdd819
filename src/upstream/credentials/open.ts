/** Opens the signer that a provider's configuration asks for. */
import type { Log } from '../../base/log.ts';
import type { ProviderConfig } from '../settings.ts';
import type { Signer } from './signer.ts';

/** What signs requests to Bedrock, and its library, are loaded only where the configuration has keys for it. */
export async function openSigners(
  provider: string,
  { credential, accessKeys = [] }: ProviderConfig,
  log: Log,
  wallClock: () => number,
): Promise<readonly Signer[]> {
  if (credential !== 'aws' && accessKeys.length === 0) return [];
  const { advice, createSigner, fetchKeys, fixedKeys } = await import('./aws.ts');
  const { keepToken } = await import('./keeper.ts');
  const fixed = accessKeys.map(({ id, secret, sessionToken }) =>
    createSigner(
      id,
      fixedKeys({
        accessKeyId: id,
        secretAccessKey: secret,
        ...(sessionToken === undefined ? {} : { sessionToken }),
      }),
      wallClock,
    ),
  );
  if (credential !== 'aws') return fixed;
  const keeper = await keepToken(fetchKeys, wallClock, (cause) =>
    log.error(
      { provider, cause: cause instanceof Error ? cause.name : 'unknown' },
      `no keys from AWS: ${advice}; asked again in 15 s`,
    ),
  );
  return [...fixed, createSigner('aws', keeper, wallClock)];
}
