/** Who sends a request. */
import type { ErrorCode } from '../base/errors.ts';
import type { EndpointName } from './endpoint.ts';
import type { KeyLimitConfig } from './key-limit.ts';

/** Who calls. */
export interface Identity {
  readonly tenant: string;
  readonly team: string | null;
  readonly user: string | null;
  /** Id of the virtual key or of the token's issuer; null for the anonymous tenant. */
  readonly keyId: string | null;
  readonly tags: readonly string[];
  /** Model names the key may use, exact or with a trailing *; null: all. */
  readonly models: readonly string[] | null;
  /** Endpoints the key may use; null: all. */
  readonly endpoints: readonly EndpointName[] | null;
  /** Why the caller would have been refused if the gateway did not only observe; null: it wouldn't. */
  readonly observed: ErrorCode | null;
  /** The caller's credential is a provider's own, and goes there. */
  readonly ownCredential: boolean;
  /** Limits of the key's own; none where it is left out. */
  readonly limits?: readonly KeyLimitConfig[];
}
