/** Certificates for tests, made by openssl: an authority of the test's own, and what it issues. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate with its private key, in PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
  readonly certPath: string;
  readonly keyPath: string;
}

/** An authority that nobody knows. */
export interface Authority {
  readonly cert: string;
  readonly certPath: string;
  /** Issues a certificate for `localhost`, or for a client. @param days below 0: it has expired */
  issue(name: string, days?: number): Issued;
}

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** Makes an authority. */
export function createAuthority(): Authority {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-ca-'));
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  openssl(
    'req',
    '-x509',
    ...curve,
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
  );
  return {
    cert: readFileSync(at('ca.pem'), 'utf8'),
    certPath: at('ca.pem'),
    issue(name, days = 1) {
      const [key, request, cert, more] = ['key', 'csr', 'pem', 'ext'].map((end) => at(`${name}.${end}`)) as [
        string,
        string,
        string,
        string,
      ];
      openssl('req', ...curve, '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
      writeFileSync(more, 'subjectAltName=DNS:localhost\n');
      const [now, begin] = [new Date(), new Date(Date.now() - 10 * 86_400_000)];
      const stamp = (date: Date): string =>
        `${date
          .toISOString()
          .replace(/[-:T]|\.\d+/g, '')
          .slice(0, 14)}Z`;
      const end = new Date(now.getTime() + days * 86_400_000);
      // `openssl x509` takes no dates before version 3.4, `openssl ca` always did.
      writeFileSync(at('index.txt'), '');
      writeFileSync(at('serial'), `${Date.now().toString(16).padStart(12, '0')}\n`);
      writeFileSync(
        at('ca.cnf'),
        `[ca]\ndefault_ca=d\n[d]\ndatabase=${at('index.txt')}\nserial=${at('serial')}\nnew_certs_dir=${folder}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n`,
      );
      openssl(
        ...['ca', '-batch', '-config', at('ca.cnf'), '-cert', at('ca.pem'), '-keyfile', at('ca.key')],
        ...['-in', request, '-out', cert, '-notext', '-extfile', more],
        ...['-startdate', stamp(begin), '-enddate', stamp(end)],
      );
      return {
        cert: readFileSync(cert, 'utf8'),
        key: readFileSync(key, 'utf8'),
        certPath: cert,
        keyPath: key,
      };
    },
  };
}
