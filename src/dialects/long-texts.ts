/**
 * Long texts of a request, which translation moves but doesn't look into: they stand aside as the bytes that the client
 * sent, so that they are neither decoded nor encoded again, which takes nearly all of the time for large requests.
 * Marks stand in their places; every byte comes out as it would without them.
 */

/** A body whose long texts are replaced by marks. */
export interface LongTexts {
  /** The body with marks in their places. */
  readonly rest: Buffer;
  /** The texts as JSON writes them, without quotes, by the numbers in their marks. */
  readonly texts: readonly Buffer[];
}

/** Shorter bodies and texts are translated as they are. */
const minBytes = { body: 4096, text: 512 };

/** Stands on both sides of a text's number. Clients may say it too, but then nothing is set aside. */
const mark = '\\u0001';
/** Members that hold text. What else may hold some is read, or may be. */
const members = ['"text"', '"content"'];

const [quote, backslash, colon, space] = [0x22, 0x5c, 0x3a, 0x20];

/** Whether a JSON text has a mark in it. */
export const hasMark = (json: string): boolean => json.includes(mark);

/** Sets the long texts of a valid JSON body aside; null: there are none. */
export function takeTexts(body: Buffer): LongTexts | null {
  if (body.length < minBytes.body || body.includes(mark)) return null;
  const found = members.flatMap((name) => placesOf(name, body)).sort((a, b) => a.start - b.start);
  if (found.length === 0) return null;
  const pieces: Buffer[] = [];
  const texts: Buffer[] = [];
  let done = 0;
  for (const { start, end } of found) {
    pieces.push(body.subarray(done, start), Buffer.from(`${mark}${texts.length}${mark}`));
    texts.push(body.subarray(start, end));
    done = end;
  }
  pieces.push(body.subarray(done));
  return { rest: Buffer.concat(pieces), texts };
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Where the members of this name have long texts. */
function placesOf(name: string, body: Buffer): Span[] {
  const places: Span[] = [];
  for (let at = body.indexOf(name); at >= 0; at = body.indexOf(name, at)) {
    const before = body[at - 1];
    at += name.length;
    // The quote stands inside of a name or a text.
    if (before === backslash) continue;
    while (body[at] === space) at += 1;
    if (body[at] !== colon) continue;
    at += 1;
    while (body[at] === space) at += 1;
    if (body[at] !== quote) continue;
    const start = at + 1;
    const end = endOfText(body, start);
    at = end;
    if (end - start >= minBytes.text && mayStandAside(body.subarray(start, end))) places.push({ start, end });
  }
  return places;
}

/** The quote that ends a text. */
function endOfText(body: Buffer, start: number): number {
  for (let at = body.indexOf(quote, start); at >= 0; at = body.indexOf(quote, at + 1)) {
    let escapes = 0;
    while (body[at - 1 - escapes] === backslash) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
  return body.length;
}

/** First bytes of white space beyond ASCII, and of much else. */
const maybeBlank = [0xc2, 0xe1, 0xe2, 0xe3, 0xef];

/** Whether a text isn't blank, as its first character shows, and has no escapes that would be written in another way. */
const mayStandAside = (text: Buffer): boolean => {
  const [first = 0] = text;
  if (first <= space || first === backslash || maybeBlank.includes(first)) return false;
  return !text.includes('\\u') && !text.includes('\\/');
};

const marked = /\\u0001(\d+)\\u0001/g;

/** The bytes of a JSON text with the texts in the places of their marks; null: one of them isn't where it can stand. */
export function putTexts(json: string, texts: readonly Buffer[]): Buffer | null {
  const pieces: Buffer[] = [];
  let done = 0;
  const put = (piece: string): boolean => {
    pieces.push(Buffer.from(piece));
    return !hasMark(piece);
  };
  for (const { index, 0: all, 1: number } of json.matchAll(marked)) {
    const text = texts[Number(number)];
    // JSON inside of a text escapes the mark once more.
    if (json[index - 1] === '\\' || text === undefined || !put(json.slice(done, index))) return null;
    pieces.push(text);
    done = index + all.length;
  }
  return put(json.slice(done)) ? Buffer.concat(pieces) : null;
}
