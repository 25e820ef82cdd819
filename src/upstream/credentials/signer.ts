/** The interface of credentials that aren't sent but sign each request. */

/** Signs the requests of one provider with one credential. */
export interface Signer {
  /** Identifies the credential to peers that share it, without revealing it. */
  readonly name: string;
  /**
   * All headers of a request with its signature; unchanged while there is no credential. Never rejects.
   * @param host value of the request's `Host` header
   * @param headers flat
   */
  sign(
    host: string,
    region: string,
    path: string,
    headers: readonly string[],
    body: Buffer,
  ): Promise<readonly string[]>;
  /** The provider refused the credential: fetches another. */
  renew(): void;
  close(): void;
}
