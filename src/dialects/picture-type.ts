/** What a picture is, whatever it is called: Claude refuses one whose type is not what its bytes show. */
import type { Source } from './chat.ts';

/** Characters of Base64 that hold the bytes by which types are told apart. */
const headLength = 16;

const heads = [
  ['image/png', /^\x89PNG/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8/],
  ['image/webp', /^RIFF....WEBP/s],
] as const;

/** The media type of a picture by its first bytes; the one it is given, if they are of no known type. */
export function pictureType({ data, mediaType }: Extract<Source, { kind: 'base64' }>): string {
  const head = Buffer.from(data.slice(0, headLength), 'base64').toString('latin1');
  return heads.find(([, shape]) => shape.test(head))?.[0] ?? mediaType;
}
