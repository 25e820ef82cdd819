/** What a credential does that is not sent but signs each request. */
import type { Config } from '../../config/schema.ts';
import type { Log } from '../../observe/log.ts';

/** Signs the requests of one provider with one credential. */
export interface Signer {
  /** Names the credential to peers that have the same one; says nothing of it. */
  readonly name: string;
  /**
   * Gives all headers of a request, signed; as they came while there is no credential. Never rejects.
   * @param host as in the request's `Host`
   * @param headers flat
   */
  sign(
    host: string,
    region: string,
    path: string,
    headers: readonly string[],
    body: Buffer,
  ): Promise<readonly string[]>;
  /** The provider has refused it. */
  renew(): void;
  close(): void;
}

/** What signs requests to Bedrock, and its library, are loaded only where the configuration has keys for it. */
export async function openSigners(
  provider: string,
  { credential, accessKeys = [] }: Config['providers'][string],
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
