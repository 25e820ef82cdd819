/**
 * Signs requests to Amazon Bedrock with Signature Version 4, using access keys from the configuration or from the
 * platform: environment, shared files, web identity (IRSA), container and EKS Pod Identity, instance.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
 */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Expiring, Keeper } from './keeper.ts';
import type { Signer } from './signer.ts';

/** AWS access keys. */
export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Only of temporary keys. */
  readonly sessionToken?: string;
}

/** What to check when there are no keys. */
export const advice =
  'check AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_FULL_URI or the instance';

/** Gets the machine's current keys. Loads Amazon's libraries, which are large. */
export async function fetchKeys(): Promise<Expiring<AwsKeys>> {
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  // A new provider each time, so that it reads its files again.
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = await defaultProvider({
    ignoreCache: true,
  })();
  return {
    value: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    expiresMs: expiration?.getTime() ?? Number.POSITIVE_INFINITY,
  };
}

/** Keys from the configuration, which never change. */
export const fixedKeys = (keys: AwsKeys): Keeper<AwsKeys> => ({
  current: () => keys,
  renew() {},
  close() {},
});

/** The hash that the library uses: its default is written in JavaScript and takes many times as long. */
class Sha256 {
  readonly #key: KeyObject | null;
  #bytes: Uint8Array = Buffer.alloc(0);

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#key = secret === undefined ? null : keyOf(secret);
  }

  update(bytes: Uint8Array): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
  }

  digest(): Promise<Uint8Array> {
    const key = this.#key;
    return Promise.resolve(
      key === null
        ? hash('sha256', this.#bytes, 'buffer')
        : createHmac('sha256', key).update(this.#bytes).digest(),
    );
  }

  reset(): void {
    this.#bytes = Buffer.alloc(0);
  }
}

/** The library caches a day's signing keys and passes the same object each time, so its key object is made once. */
const keys = new WeakMap<object, KeyObject>();

function keyOf(secret: string | ArrayBuffer | ArrayBufferView): KeyObject {
  if (typeof secret === 'string') return createSecretKey(secret, 'utf8');
  const kept = keys.get(secret);
  if (kept !== undefined) return kept;
  const key = createSecretKey(
    ArrayBuffer.isView(secret)
      ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
      : new Uint8Array(secret),
  );
  keys.set(secret, key);
  return key;
}

/** @param name identifies these keys among others */
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
      // Without keys the provider refuses the call, and the credential cools down.
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

/** The headers that must be signed; proxies may change the others. */
function signedHeaders(host: string, headers: readonly string[]): Record<string, string> {
  const signed: Record<string, string> = { host };
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? '';
    if (name === 'content-type' || name.startsWith('x-amz-')) signed[name] = headers[at + 1] ?? '';
  }
  return signed;
}
