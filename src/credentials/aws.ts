/**
 * Signs requests to Amazon Bedrock by Signature Version 4, with access keys of the configuration or those the platform
 * gives: environment, shared files, web identity (IRSA), container and EKS Pod Identity, instance.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
 */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Keeper, Kept } from './keeper.ts';
import type { Signer } from './signer.ts';

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of keys that end. */
  readonly sessionToken?: string;
}

/** What to look at when there are none. */
export const advice =
  'check AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_FULL_URI or the instance';

/** Asks for the keys that the machine has now. Loads Amazon's libraries for it, which are large. */
export async function fetchKeys(): Promise<Kept<AwsKeys>> {
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  // A new one each time, which reads its files anew.
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = await defaultProvider({
    ignoreCache: true,
  })();
  return {
    value: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    expiresMs: expiration?.getTime() ?? Number.POSITIVE_INFINITY,
  };
}

/** Keys of the configuration. */
export const fixedKeys = (keys: AwsKeys): Keeper<AwsKeys> => ({
  current: () => keys,
  renew() {},
  close() {},
});

/** The library's own hash is written in JavaScript, and takes many times as long. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secretOf(secret));
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }

  reset(): void {
    throw new Error('a hash is made for each use');
  }
}

const secretOf = (secret: string | ArrayBuffer | ArrayBufferView): string | Uint8Array =>
  typeof secret === 'string'
    ? secret
    : ArrayBuffer.isView(secret)
      ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
      : new Uint8Array(secret);

/** @param name tells these keys from others */
export function createSigner(name: string, keeper: Keeper<AwsKeys>, wallClock: () => number): Signer {
  const signature = new SignatureV4({
    service: 'bedrock',
    // Each request names its own.
    region: '',
    credentials: async () => keeper.current() ?? { accessKeyId: '', secretAccessKey: '' },
    sha256: Sha256,
  });
  return {
    name,
    async sign(host, region, path, headers, body) {
      // Without keys the provider refuses the call, which lets its credential rest.
      if (keeper.current() === null) return headers;
      const query = path.indexOf('?');
      const request = {
        method: 'POST',
        protocol: 'https:',
        hostname: host,
        path: query < 0 ? path : path.slice(0, query),
        query: query < 0 ? {} : Object.fromEntries(new URLSearchParams(path.slice(query))),
        headers: signedHeaders(host, headers),
        body,
      };
      const signed = await signature.sign(request, {
        signingDate: new Date(wallClock()),
        signingRegion: region,
      });
      const all = [...headers];
      for (const [header, value] of Object.entries(signed.headers)) {
        if (!(header in request.headers)) all.push(header, value);
      }
      return all;
    },
    renew: () => keeper.renew(),
    close: () => keeper.close(),
  };
}

/** Those that must be signed; others may be changed on their way. */
function signedHeaders(host: string, headers: readonly string[]): Record<string, string> {
  const signed: Record<string, string> = { host };
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? '';
    if (name === 'content-type' || name.startsWith('x-amz-')) signed[name] = headers[at + 1] ?? '';
  }
  return signed;
}
