/** The query of a request, as far as it is the provider's business. */
import type { DialectName } from '../exchange/dialects.ts';
import { isAzure } from './endpoints.ts';

/** Names that credentials have in queries. They are for Sidegate, so no provider may see them. */
const credentials: ReadonlySet<string> = new Set([
  'key',
  'api_key',
  'api-key',
  'apikey',
  'access_token',
  'oauth_token',
]);
/** Google's parameters that change the form of a reply, which the dialect chooses: `alt` says whether it is streamed. */
const forms: ReadonlySet<string> = new Set(['alt', 'callback', 'fields']);
/** Forms that Sidegate can read, and a download. In any other, a list would show what belongs to other tenants. */
const readable = /^\$?alt=(?:json|sse|media)$/i;

/** What a provider's URL can't carry as it is. */
const unsafe = /[^\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]/g;

/**
 * A URL's query without its `?`, for a provider of the client's dialect; empty: none. Bounded by the head's size.
 * Parameters that carry credentials are left out, and the version that an app wants of Azure's API.
 * @param raw the whole of it, whatever form of reply it asks for
 */
export function queryOf(url: string, dialect: DialectName, raw = false): string {
  const start = url.indexOf('?');
  if (start < 0) return '';
  const mayPass = (part: string): boolean => {
    const name = nameOf(part);
    if (part === '' || credentials.has(name)) return false;
    // It says how Azure is to answer; another provider may refuse it, and Azure's has its own.
    if (name === 'api-version' && isAzure(url)) return false;
    return dialect !== 'gemini' || !forms.has(name) || (raw && (name === 'fields' || readable.test(part)));
  };
  const [query = ''] = url.slice(start + 1).split('#', 1);
  return query.split('&').filter(mayPass).join('&').replace(unsafe, encoded);
}

/** A parameter's name, decoded. Google's may begin with `$`. */
function nameOf(part: string): string {
  const [text = ''] = part.split('=', 1);
  try {
    return decodeURIComponent(text.replaceAll('+', ' ')).toLowerCase().trim().replace(/^\$/, '');
  } catch {
    return text;
  }
}

/** URLs arrive as bytes, one for each character. */
const encoded = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
