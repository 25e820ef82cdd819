/** Stage scrub: applies the policy to the personal data that was found, and restores it in the reply. */
import { Refusal } from '../base/errors.ts';
import type { ModelRequest } from '../exchange/request.ts';
import { piiKinds } from '../native/pii.ts';
import type { ScrubPolicy } from './policy.ts';

/** The masked values of one request, by placeholder. */
export type Vault = ReadonlyMap<string, string>;

/** Refuses by policy, or returns the vault of masked values; null: nothing was masked. */
export function scrub(request: ModelRequest, policy: ScrubPolicy): Vault | null | Refusal {
  for (const kind of policy.blocked)
    if ((request.findings[kind] ?? 0) > 0) return blocked(piiKinds[kind]?.one ?? '');
  return request.masked;
}

const blocked = (what: string): Refusal =>
  new Refusal('pii_blocked', `The request contains ${what}, which the policy does not let through.`);

/** Restores the masked values in a JSON text, even inside strings that contain JSON. */
export function restoreBody(body: Buffer, vault: Vault): Buffer {
  if (!body.includes('[')) return body;
  const text = body.toString('utf8');
  const restored = restoreText(text, vault);
  return restored === text ? body : Buffer.from(restored);
}

const names = piiKinds.map(({ placeholder }) => placeholder).join('|');
const placeholders = new RegExp(`\\[(?:${names})_\\d{1,8}\\]`, 'g');

/** Replaces placeholders by their values. Values contain no character that JSON escapes, so any nesting is safe. */
export function restoreText(text: string, vault: Vault): string {
  return text.replace(placeholders, (placeholder) => vault.get(placeholder) ?? placeholder);
}
