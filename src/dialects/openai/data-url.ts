/** Data URLs (RFC 2397), in which OpenAI's dialect sends images and files. */
import type { Source } from '../chat.ts';

/** Reads a data URL; null: it is not one in Base64. */
export function readDataUrl(url: string): Extract<Source, { kind: 'base64' }> | null {
  if (!url.startsWith('data:')) return null;
  const comma = url.indexOf(',');
  const head = url.slice(5, comma);
  if (comma < 0 || !head.endsWith(';base64')) return null;
  const type = (head.split(';', 1)[0] ?? '').toLowerCase();
  // A common mistake that no provider accepts.
  const mediaType = type === 'image/jpg' ? 'image/jpeg' : type;
  return { kind: 'base64', mediaType, data: url.slice(comma + 1) };
}

/** Writes a data URL. @param data Base64 */
export const writeDataUrl = (mediaType: string, data: string): string => `data:${mediaType};base64,${data}`;
