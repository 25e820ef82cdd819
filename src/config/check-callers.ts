/** What the schema can't say of keys and issuers. */

import type { Path } from './faults.ts';
import { absent, type Draft, type Report } from './report.ts';
import { baseUrlFault, isPlainRemote } from './syntax.ts';

type DraftKey = NonNullable<NonNullable<NonNullable<Draft['authenticate']>['keys']>[number]>;

/** Headers that say something else already. */
const taken = /^(authorization|x-api-key|cookie|host|origin|content-.*|x-sidegate-(?!user$).*)$/;

/** What a key says of its user, and when it ends. */
export function checkGrant(
  key: DraftKey | undefined,
  path: Path,
  report: Report,
  nowMs: number = Date.now(),
): void {
  const fault = userHeaderFault(key?.user, key?.userHeader);
  if (fault !== null) report.fault([...path, 'userHeader'], fault);
  if (key?.expires !== undefined && Date.parse(key.expires) <= nowMs)
    report.warn([...path, 'expires'], 'has passed: the key is refused');
}

/** What is wrong with the header that may name a key's user; null: nothing. */
function userHeaderFault(user: string | undefined, userHeader: string | undefined): string | null {
  if (userHeader === undefined) return null;
  if (user !== undefined && userHeader !== 'none') return 'has no use beside `user`: take one of them out';
  const usable = /^[\w!#$%&'*+.^`|~-]{1,128}$/.test(userHeader) && !taken.test(userHeader.toLowerCase());
  return usable ? null : 'is not a header that may name a user';
}

/**
 * Issuers: where they are, that each is there once, and that a tenant can be found.
 * @param id reports an id that is there twice, among keys too
 */
export function checkIssuers(
  draft: Draft,
  id: (value: string | undefined, path: Path) => void,
  report: Report,
): void {
  const seen = new Set<string>();
  draft.authenticate?.oidc?.forEach((issuer, index) => {
    const path = ['authenticate', 'oidc', index];
    id(issuer?.id, [...path, 'id']);
    if (issuer === undefined) return;
    for (const field of ['issuer', 'jwksUrl'] as const) {
      const url = issuer[field];
      if (url === undefined) continue;
      const fault = baseUrlFault(url);
      if (fault !== null) report.fault([...path, field], fault);
      else if (isPlainRemote(url) && (field === 'jwksUrl' || absent(issuer, 'jwksUrl')))
        report.warn([...path, field], 'the keys that tokens are checked with travel unprotected: use https');
    }
    if (issuer.issuer !== undefined && seen.has(issuer.issuer)) {
      const message = 'is there twice: one entry can have several audiences';
      report.fault([...path, 'issuer'], message);
    }
    seen.add(issuer.issuer ?? '');
    const byClaim = !absent(issuer.claims, 'tenant');
    const fixed = !absent(issuer, 'tenant');
    if (byClaim === fixed) {
      const message = byClaim
        ? 'needs one of `tenant` and `claims.tenant`, not both'
        : 'needs a tenant: `tenant` for all its tokens, or the name of a claim as `claims.tenant`';
      report.fault(path, message, 'key');
    }
  });
}
