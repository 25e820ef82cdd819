/** Bytes inside a URL (RFC 2397), as OpenAI's dialect carries images and files. */
import type { Source } from '../chat.ts';

/** Null: it is no data URL in Base64. */
export function readDataUrl(url: string): Extract<Source, { kind: 'base64' }> | null {
  if (!url.startsWith('data:')) return null;
  const comma = url.indexOf(',');
  const head = url.slice(5, comma);
  if (comma < 0 || !head.endsWith(';base64')) return null;
  const type = (head.split(';', 1)[0] ?? '').toLowerCase();
  // A name that many say and no provider knows.
  const mediaType = type === 'image/jpg' ? 'image/jpeg' : type;
  return { kind: 'base64', mediaType, data: url.slice(comma + 1) };
}

export const writeDataUrl = (mediaType: string, data: string): string => `data:${mediaType};base64,${data}`;
