/** Which request bodies an endpoint accepts, and how large they may be. */
import type { IncomingHttpHeaders } from 'node:http';
import { Refusal } from '../base/errors.ts';
import { isJson } from '../base/json.ts';
import { isForm } from '../base/multipart.ts';
import type { Endpoint } from '../exchange/endpoint.ts';
import type { ListenSettings } from './settings.ts';

/** Largest body of a request, in bytes. Uploads may be larger than other bodies. */
export const bodyMaxOf = (headers: IncomingHttpHeaders, config: ListenSettings): number =>
  isForm(headers['content-type']) ? config.uploadMaxBytes : config.bodyMaxBytes;

/** The refusal of a body whose media type the endpoint doesn't accept; null: it does. */
export function wrongType({ method, auxiliary }: Endpoint, type: string | undefined): Refusal | null {
  const takes = auxiliary?.takes ?? 'json';
  if (method !== 'POST' || takes === 'anything') return null;
  if (takes !== 'json' && isForm(type)) return null;
  if (takes !== 'form' && (type === undefined || isJson(type))) return null;
  const wanted = takes === 'form' ? 'a form with files' : takes === 'json' ? 'JSON' : 'JSON or a form';
  return new Refusal('unsupported_media_type', `The body is not declared as ${wanted}.`, {
    param: 'content-type',
  });
}
