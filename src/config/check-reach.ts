/** Checks how providers are reached: their proxies, and what their TLS is checked by. */
import { proxyUrl } from '../upstream/tunnel.ts';
import type { Path } from './faults.ts';
import { absent, type DraftProvider, type Report } from './report.ts';

/** Checks a provider's proxy and certificates. Faults quote neither, since they may contain secrets. */
export function checkReach(path: Path, { proxy, tls, baseUrl }: DraftProvider, report: Report): void {
  if (proxy !== undefined && proxy !== 'none' && (!proxy.includes('://') || proxyUrl(proxy) === null))
    report.fault(
      [...path, 'proxy'],
      'must be `none`, or the URL of an HTTP proxy as http://proxy.internal:3128',
    );
  if (tls === undefined) return;
  if (baseUrl?.startsWith('http:') === true)
    report.fault([...path, 'tls'], 'has no effect: the base URL begins with http://', 'key');
  const missing = (['cert', 'key'] as const).filter((each) => absent(tls, each));
  const [only] = missing;
  if (missing.length === 1 && only !== undefined)
    report.fault([...path, 'tls'], `needs \`${only}\`: a client certificate has both`, 'key');
  const { ca, cert, key } = tls;
  if (ca !== undefined && !isUsable({ ca }))
    report.fault(
      [...path, 'tls', 'ca'],
      'is no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----',
    );
  if (cert !== undefined && !isUsable({ cert }))
    report.fault(
      [...path, 'tls', 'cert'],
      'is no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----',
    );
  else if (key !== undefined && !isUsable({ key }))
    report.fault([...path, 'tls', 'key'], 'is no private key in PEM, or has a passphrase');
  else if (cert !== undefined && key !== undefined && !isUsable({ cert, key }))
    report.fault([...path, 'tls', 'key'], 'is not the key of `cert`');
}

/** Whether TLS can use these texts. OpenSSL passes over a CA that is no PEM without a word. */
function isUsable(given: { ca?: string; cert?: string; key?: string }): boolean {
  if (given.ca?.includes('-----BEGIN CERTIFICATE-----') === false) return false;
  try {
    process.getBuiltinModule('node:tls').createSecureContext(given);
    return true;
  } catch {
    return false;
  }
}
