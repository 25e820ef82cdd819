/** Who sends a request. */
import type { ErrorCode } from '../base/errors.ts';
import type { EndpointName } from './endpoint.ts';
import type { KeyLimitConfig } from './key-limit.ts';

/** The caller, as authentication established it. */
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
  /** In observe mode, the error the caller would have been refused with; null: none. */
  readonly observed: ErrorCode | null;
  /** The caller sent a credential of the provider, which is passed on to it. */
  readonly ownCredential: boolean;
  /** Limits set on the key itself; undefined: none. */
  readonly limits?: readonly KeyLimitConfig[];
}
