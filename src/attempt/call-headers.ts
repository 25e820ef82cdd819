/** All headers of a call, each with one owner: the configuration, then the dialect, then the app. */

import type { UpstreamRequest } from '../dialects/wire.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Provider } from '../upstream/target.ts';

/** The header that lists features, where the operator's and the app's are joined. */
const listHeader = 'anthropic-beta';

/**
 * Joins the headers of a call, flat.
 * @param own those of the credential and the configuration; they say that the body is JSON, so another type replaces that
 * @param client the app's
 */
export function headersOf(
  own: readonly string[],
  { headers, contentType }: UpstreamRequest,
  { pinned, passed }: Pick<Provider, 'pinned' | 'passed'>,
  client: Exchange['headers'],
): string[] {
  const all = contentType === undefined ? [...own] : typed(own, contentType);
  if (pinned.size === 0) all.push(...headers);
  else pushFree(all, headers, pinned);
  for (const name of passed) {
    const value = client[name];
    if (typeof value === 'string' && !headers.includes(name)) all.push(name, value);
  }
  return all;
}

function typed(own: readonly string[], contentType: string | null): string[] {
  const all = contentType === null ? [] : ['content-type', contentType];
  for (let i = 0; i + 1 < own.length; i += 2)
    if (own[i] !== 'content-type') all.push(own[i] as string, own[i + 1] as string);
  return all;
}

/** Appends the headers that the configuration doesn't set. */
function pushFree(all: string[], headers: readonly string[], pinned: ReadonlySet<string>): void {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name, value] = [headers[i] as string, headers[i + 1] as string];
    if (!pinned.has(name)) all.push(name, value);
    else if (name === listHeader) {
      const at = all.indexOf(name) + 1;
      const known = (all[at] ?? '').split(',').map((each) => each.trim());
      const more = value.split(',').map((each) => each.trim());
      all[at] = [...known, ...more.filter((each) => each !== '' && !known.includes(each))].join(',');
    }
  }
}
