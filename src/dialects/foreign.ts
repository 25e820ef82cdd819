/**
 * Removes the reasoning of other providers from a conversation before its body is passed through to a provider of the
 * client's own dialect, which would refuse it as forged.
 */
import { isObject, parseObject } from '../base/json.ts';
import { type DialectName, dialectNames } from '../exchange/dialects.ts';

/** Placeholder for a signature that the client's dialect requires but the provider did not send. */
export const unsigned = 'unsigned~';

const tilde = 0x7e;
const marks = new RegExp(`^(?:${dialectNames.join('|')}|${unsigned.slice(0, -1)})~`);
const anywhere = new RegExp(`"(?:signature|data|encrypted_content)"\\s*:\\s*"(?:${marks.source.slice(1)})`);

/** The body without reasoning signed by providers of other dialects; unchanged if there is none. */
export function withoutForeign(body: Buffer, own: DialectName): Buffer {
  // Signatures are Base64, which has no tilde.
  if (!body.includes(tilde)) return body;
  const text = body.toString('utf8');
  const json = anywhere.test(text) ? parseObject(text) : null;
  if (json === null) return body;
  for (const field of ['messages', 'input']) {
    const list = json[field];
    if (Array.isArray(list)) json[field] = keepOwn(list, own);
  }
  return Buffer.from(JSON.stringify(json));
}

function keepOwn(list: readonly unknown[], own: DialectName): unknown[] {
  return list.filter((item) => {
    if (!isObject(item)) return true;
    if ([item.signature, item.data, item.encrypted_content].some((seal) => isForeign(seal, own)))
      return false;
    for (const field of ['content', 'reasoning_details']) {
      const inner = item[field];
      if (!Array.isArray(inner)) continue;
      const kept = keepOwn(inner, own);
      // A turn of nothing but reasoning would become empty, which no dialect accepts.
      if (kept.length === 0 && inner.length > 0 && field === 'content') return false;
      item[field] = kept;
    }
    return true;
  });
}

const isForeign = (seal: unknown, own: DialectName): boolean =>
  typeof seal === 'string' && marks.test(seal) && !seal.startsWith(`${own}~`);
