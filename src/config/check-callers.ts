/** Checks of keys and issuers that the schema can't express. */

import type { Path } from './faults.ts';
import { absent, type Draft, type Report } from './report.ts';
import { baseUrlFault, isPlainRemote } from './syntax.ts';

type DraftKey = NonNullable<NonNullable<NonNullable<Draft['authenticate']>['keys']>[number]>;

/** Headers that have another meaning already. */
const reserved =
  /^(authorization|api-key|x-api-key|x-goog-api-key|cookie|host|origin|content-.*|x-sidegate-(?!user$).*)$/;

/** Checks a key's user header and its expiry. @param nowMs ms since 1970 */
export function checkGrant(
  key: DraftKey | undefined,
  path: Path,
  report: Report,
  nowMs: number = Date.now(),
): void {
  const fault = userHeaderFault(key?.user, key?.userHeader);
  if (fault !== null) report.fault([...path, 'userHeader'], fault);
  if (key?.expires !== undefined && Date.parse(key.expires) <= nowMs)
    report.warn([...path, 'expires'], 'is in the past: the key is refused');
}

/** The fault of the header that may name a key's user; null: none. */
function userHeaderFault(user: string | undefined, userHeader: string | undefined): string | null {
  if (userHeader === undefined) return null;
  if (user !== undefined && userHeader !== 'none')
    return 'has no effect together with `user`: remove one of them';
  const usable = /^[\w!#$%&'*+.^`|~-]{1,128}$/.test(userHeader) && !reserved.test(userHeader.toLowerCase());
  return usable ? null : 'cannot be used to name a user: choose another header';
}

/**
 * Checks the issuers: their URLs, that none is listed twice, and that each has a tenant.
 * @param id reports duplicate ids, across keys and issuers
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
        report.warn([...path, field], 'the keys that verify tokens are fetched without TLS: use https');
    }
    if (issuer.issuer !== undefined && seen.has(issuer.issuer)) {
      const message = 'is listed twice: use one entry with several audiences';
      report.fault([...path, 'issuer'], message);
    }
    seen.add(issuer.issuer ?? '');
    const byClaim = !absent(issuer.claims, 'tenant');
    const fixed = !absent(issuer, 'tenant');
    if (byClaim === fixed) {
      const message = byClaim
        ? 'has both `tenant` and `claims.tenant`: remove one of them'
        : "needs a tenant: `tenant` for all its tokens, or a claim's name as `claims.tenant`";
      report.fault(path, message, 'key');
    }
  });
}
