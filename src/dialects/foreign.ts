/**
 * Removes the reasoning of other providers from a conversation before its body is passed through to a provider of the
 * client's own dialect, which would refuse it as forged.
 */
import { isObject, parseObject } from '../base/json.ts';
import { type DialectName, dialectNames } from '../exchange/dialects.ts';
import { withoutBudget } from './turns.ts';

/** Placeholder for a signature that the client's dialect requires but the provider did not send. */
export const unsigned = 'unsigned~';

const tilde = 0x7e;
const marks = new RegExp(`^(?:${dialectNames.join('|')}|${unsigned.slice(0, -1)})~`);
const anywhere = new RegExp(
  `"(?:signature|data|encrypted_content|encrypted_index)"\\s*:\\s*"(?:${marks.source.slice(1)})`,
);
/** Claude's signature of a text, which is valid wherever Claude runs. */
const claudes = /^(?:anthropic|bedrock)~/;

/** A body without foreign reasoning, and what else had to be left out because of that. */
export interface OwnBody {
  readonly body: Buffer;
  readonly dropped: readonly string[];
}

const nothing: readonly string[] = [];

/**
 * The body without reasoning signed by providers of other dialects; unchanged if there is none.
 * @param isClaude it goes to a Claude, so signatures of Claude elsewhere stay
 */
export function withoutForeign(body: Buffer, own: DialectName, isClaude: boolean): OwnBody {
  // Signatures are Base64, which has no tilde.
  if (!body.includes(tilde)) return { body, dropped: nothing };
  const text = body.toString('utf8');
  const json = anywhere.test(text) ? parseObject(text) : null;
  if (json === null) return { body, dropped: nothing };
  for (const field of ['messages', 'input']) {
    const list = json[field];
    if (Array.isArray(list)) json[field] = keepOwn(list, own, isClaude);
  }
  const dropped = own === 'anthropic' ? withoutBudget(json) : nothing;
  return { body: Buffer.from(JSON.stringify(json)), dropped };
}

function keepOwn(list: readonly unknown[], own: DialectName, isClaude: boolean): unknown[] {
  return list.filter((item) => {
    if (!isObject(item)) return true;
    if (isClaude && typeof item.signature === 'string') item.signature = item.signature.replace(claudes, '');
    if (
      [item.signature, item.data, item.encrypted_content, item.encrypted_index].some((seal) =>
        isForeign(seal, own),
      )
    )
      return false;
    for (const field of ['content', 'reasoning_details', 'citations']) {
      const inner = item[field];
      if (!Array.isArray(inner)) continue;
      const kept = keepOwn(inner, own, isClaude);
      // A turn of nothing but reasoning would become empty, which no dialect accepts.
      if (kept.length === 0 && inner.length > 0 && field === 'content') return false;
      item[field] = kept;
    }
    return true;
  });
}

const isForeign = (seal: unknown, own: DialectName): boolean =>
  typeof seal === 'string' && marks.test(seal) && !seal.startsWith(`${own}~`);
