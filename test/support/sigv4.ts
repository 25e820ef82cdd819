/** A second implementation of Signature Version 4, from its specification, to check signed requests. */
import { createHash, createHmac } from 'node:crypto';

/** A request as received, and its claimed signing parameters. */
export interface SignedRequest {
  readonly method: string;
  /** As on the request line. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
  readonly secret: string;
}

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();
const escaped = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);

/** The parts of an `Authorization` header. */
export function partsOf(authorization: string): {
  credential: string[];
  signed: string[];
  signature: string;
} {
  const found = /^AWS4-HMAC-SHA256 Credential=(\S+), SignedHeaders=(\S+), Signature=([0-9a-f]{64})$/.exec(
    authorization,
  );
  if (found === null) throw new Error(`not signed: ${authorization}`);
  const [, credential = '', signed = '', signature = ''] = found;
  return { credential: credential.split('/'), signed: signed.split(';'), signature };
}

/** The expected signature. @param scope date, region, service and `aws4_request` */
export function signatureOf(
  request: SignedRequest,
  scope: readonly string[],
  signed: readonly string[],
): string {
  const { method, target, headers, body, secret } = request;
  const [path = '/', query = ''] = target.split('?');
  const canonical = [
    method,
    // All services except S3 escape the path a second time.
    path.split('/').map(escaped).join('/'),
    query.split('&').sort().join('&'),
    ...signed.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    signed.join(';'),
    sha256(body),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope.join('/'), sha256(canonical)].join('\n');
  const key = scope.reduce<string | Buffer>((made, part) => hmac(made, part), `AWS4${secret}`);
  return createHmac('sha256', key).update(toSign).digest('hex');
}
