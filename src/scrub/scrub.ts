/** Stage scrub: decides about the personal data that was found, and restores it in the reply. */
import { Refusal } from '../base/errors.ts';
import type { ModelRequest } from '../exchange/request.ts';
import type { ScrubPolicy } from './policy.ts';

/** What restores a reply, placeholder → value; null: nothing is to be restored. */
export type Vault = ReadonlyMap<string, string>;

/** Refuses by policy, or gives the vault of what was replaced. */
export function scrub(request: ModelRequest, policy: ScrubPolicy): Vault | null | Refusal {
  const kinds = request.findings.filter(({ kind }) => policy.blocked.has(kind)).map(({ kind }) => kind);
  if (kinds.length === 0) return request.masked;
  return new Refusal('pii_blocked', `The request holds what may not leave: ${kinds.join(', ')}.`);
}

/** Restores values in a JSON text, however deep inside strings of JSON a placeholder stands. */
export function restoreBody(body: Buffer, vault: Vault): Buffer {
  if (!body.includes('[')) return body;
  const text = body.toString('utf8');
  const restored = restoreText(text, vault);
  return restored === text ? body : Buffer.from(restored);
}

/** Every placeholder has this form; whether it is one is known by the vault. */
const placeholders = /\[[A-Z][A-Z0-9_]{0,23}_[0-9A-Z]{6}\]/g;

/** Placeholder → value. Values hold no character that JSON escapes, so any depth of nesting is safe. */
export function restoreText(text: string, vault: Vault): string {
  return text.replace(placeholders, (placeholder) => vault.get(placeholder) ?? placeholder);
}
