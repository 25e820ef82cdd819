/** What a credential does that is not sent but signs each request. */

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
