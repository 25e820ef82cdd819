/** Tells the causes of a failed connection apart, by the codes of Node, OpenSSL, undici and our own. */
import { addressCode } from '../upstream/addresses.ts';
import { connectTimeoutCode } from '../upstream/open-socket.ts';
import { malformedCode } from '../upstream/sending.ts';
import { proxyPrefix } from '../upstream/tunnel.ts';

/** Why a connection failed. */
export type NetworkFailure =
  /** The host doesn't accept connections, or not in time. */
  | 'connect'
  /** Its name can't be resolved. */
  | 'dns'
  /** Its address is not one of a provider. */
  | 'address_refused'
  /** Its certificate is invalid: expired, for another name, or of an unknown issuer. */
  | 'certificate'
  /** TLS failed otherwise: no protocol in common, no TLS at all, or it wants a client certificate. */
  | 'tls'
  /** The proxy in between can't be reached, or opens no connection to it. */
  | 'proxy'
  /** The connection broke. */
  | 'reset';

/** Code or name of an error → failure. */
const failures: Readonly<Record<string, NetworkFailure | 'malformed'>> = {
  [connectTimeoutCode]: 'connect',
  ECONNREFUSED: 'connect',
  EHOSTUNREACH: 'connect',
  ENETUNREACH: 'connect',
  EHOSTDOWN: 'connect',
  ETIMEDOUT: 'connect',
  EADDRNOTAVAIL: 'connect',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  EAI_NODATA: 'dns',
  EAI_NONAME: 'dns',
  [addressCode]: 'address_refused',
  EPROTO: 'tls',
  [malformedCode]: 'malformed',
  UND_ERR_HEADERS_OVERFLOW: 'malformed',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'malformed',
  HTTPParserError: 'malformed',
};

/** https://nodejs.org/api/tls.html#x509-certificate-error-codes, and Node's for another name. */
const certificateCodes =
  /^(?:CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERROR_IN_C|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|HOSTNAME_MISMATCH|ERR_TLS_CERT_)/;
const tlsCodes = /^ERR_(?:SSL|TLS)_/;

/** Codes of connections that were never made; others may also be of one that broke later. */
export const neverConnected: ReadonlySet<string> = new Set([connectTimeoutCode, 'ECONNREFUSED']);

/** A code that the record may have. */
const plainCode = /^[A-Z][A-Z0-9_]{1,60}$/;

/** Why a connection failed, and the code that says so; an empty code: none. */
export function networkFailure(error: Error): { failure: NetworkFailure | 'malformed'; code: string } {
  // OpenSSL has a code `ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE`.
  const said = 'code' in error ? String(error.code).replaceAll('/', '_') : '';
  const code = plainCode.test(said) ? said : '';
  if (code.startsWith(proxyPrefix)) return { failure: 'proxy', code };
  const known = failures[code] ?? failures[error.name];
  if (known !== undefined) return { failure: known, code };
  if (certificateCodes.test(code)) return { failure: 'certificate', code };
  return { failure: tlsCodes.test(code) ? 'tls' : 'reset', code };
}

/** What an operator can do about a failure. Those without a row are the network's or the provider's. */
const advices: Readonly<Partial<Record<string, string>>> = {
  dns: 'The host name could not be resolved: check baseUrl, and the DNS of this machine.',
  address_refused: 'The address is not one of a provider: if it is yours, name it in allowedAddresses.',
  certificate:
    "The certificate is not trusted: check baseUrl; a private CA is named by the provider's tls.ca, or by NODE_EXTRA_CA_CERTS for all.",
  tls: "TLS could not be agreed on: check baseUrl, its scheme and its port, and the provider's tls.cert if it wants a client certificate.",
  proxy:
    "The HTTP proxy gave no connection: check the provider's proxy, or HTTPS_PROXY and NO_PROXY, and what the proxy lets through.",
};

/** What an operator can do about an outcome; undefined: it is nothing that the configuration could mend. */
export const networkAdvice = (outcome: string): string | undefined => advices[outcome];
