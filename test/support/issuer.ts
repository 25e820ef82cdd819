/** An issuer of access tokens on a real socket, whose keys and failures the test controls. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { ConfigInput } from './sidecar.ts';

/** A signing key. */
export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** Makes a signing key. */
export async function makeSigningKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** Audience of its tokens. */
export const audience = 'sidegate';

/** The issuer. */
export interface TestIssuer {
  readonly url: string;
  /** Keys listed by its JWKS endpoint. */
  keys: JWK[];
  /** Status of its answers; anything but 200 is a failure. */
  status: number;
  /** JWKS fetches so far. */
  readonly fetches: number;
  /** Resolves once there have been `count` fetches. */
  fetched(count: number): Promise<void>;
  /** Its entry of `authenticate.oidc`, with changes. */
  entry(
    more?: Record<string, unknown>,
  ): NonNullable<NonNullable<ConfigInput['authenticate']>['oidc']>[number];
  /** A valid token, except for changed claims or header fields; `undefined` removes a claim. */
  token(key: SigningKey, claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
  stop(): Promise<void>;
}

/** Starts an issuer that lists these keys. */
export async function startIssuer(...first: SigningKey[]): Promise<TestIssuer> {
  let fetches = 0;
  const waiting: (() => void)[] = [];
  const server: Server = createServer((req, res) => {
    const isKeys = req.url === '/jwks';
    const body = isKeys ? { keys: issuer.keys } : { issuer: issuer.url, jwks_uri: `${issuer.url}/jwks` };
    res.writeHead(issuer.status, { 'content-type': 'application/json' });
    res.end(JSON.stringify(body));
    if (!isKeys) return;
    fetches++;
    for (const look of waiting) look();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer: TestIssuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keys: first.map(({ publicJwk }) => publicJwk),
    status: 200,
    get fetches() {
      return fetches;
    },
    fetched: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (fetches >= count) resolve();
        };
        waiting.push(look);
        look();
      }),
    entry: (more = {}) => ({
      id: 'idp',
      issuer: issuer.url,
      audience: [audience],
      claims: { tenant: 'tenant' },
      ...more,
    }),
    token(key, claims = {}, header = {}) {
      const nowS = Math.floor(Date.now() / 1000);
      const standard = { iss: issuer.url, aud: audience, sub: 'ann', tenant: 'acme', exp: nowS + 300 };
      return new SignJWT({ ...standard, ...claims })
        .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
        .sign(key.privateKey);
    },
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  return issuer;
}
