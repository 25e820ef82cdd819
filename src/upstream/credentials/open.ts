/** Opens the signer that a provider's configuration asks for. */
import type { Telemetry } from '../../base/telemetry.ts';
import type { ProviderConfig } from '../settings.ts';
import { nameOf } from './keeper.ts';
import type { Keepers } from './keepers.ts';
import type { Signer } from './signer.ts';

/** The signers of a provider with AWS credentials; none for others, which don't load the AWS libraries either. */
export async function openSigners(
  provider: string,
  { credential, accessKeys = [] }: ProviderConfig,
  keepers: Keepers,
  telemetry: Pick<Telemetry, 'platformCredential'>,
  wallClock: () => number,
): Promise<readonly Signer[]> {
  if (credential !== 'aws' && accessKeys.length === 0) return [];
  const { advice, createSigner, fetchKeys, fixedKeys } = await import('./aws.ts');
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
  const keeper = await keepers.open('aws', fetchKeys, (cause) =>
    telemetry.platformCredential(provider, 'aws', nameOf(cause), advice),
  );
  return [...fixed, createSigner('aws', keeper, wallClock)];
}
