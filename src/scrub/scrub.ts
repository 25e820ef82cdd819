/** Stage scrub: decides about the personal data that was found, and restores it in the reply. */
import { Refusal } from '../base/errors.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { ScrubPolicy } from './policy.ts';

/** What restores a reply; null: nothing was masked. */
export type Vault = ReadonlyMap<string, string>;

/** Refuses by policy, or gives the vault of what was masked. */
export function scrub(request: ModelRequest, policy: ScrubPolicy): Vault | null | Refusal {
  if (policy.blockEmail && request.emails > 0) return blocked('an e-mail address');
  if (policy.blockCard && request.cards > 0) return blocked('a payment card number');
  return request.masked;
}

const blocked = (what: string): Refusal =>
  new Refusal('pii_blocked', `The request holds ${what}, which may not leave.`);

/** Restores the masked values in a JSON text, however deep inside strings of JSON a placeholder stands. */
export function restoreBody(body: Buffer, vault: Vault): Buffer {
  if (!body.includes('[')) return body;
  const text = body.toString('utf8');
  const restored = restoreText(text, vault);
  return restored === text ? body : Buffer.from(restored);
}

/** Placeholder → value. Values hold no character that JSON escapes, so any depth of nesting is safe. */
export function restoreText(text: string, vault: Vault): string {
  return text.replace(/\[(?:EMAIL|CARD)_\d{1,8}\]/g, (placeholder) => vault.get(placeholder) ?? placeholder);
}
