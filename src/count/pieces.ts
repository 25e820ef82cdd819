/** Splits text for a tokenizer whose time grows with the square of the length of an unbroken run. */

/** UTF-16 units of a piece: a run of one letter then takes a millisecond instead of half a minute. */
const pieceMax = 1024;
/** Units at a piece's end searched for a space: tokens begin with their space, so splitting before it changes nothing. */
const lookBackMax = 256;

/** Sum of `count` over the pieces of a text. Each split may add a token if there are no spaces. */
export function countPieces(text: string, count: (piece: string) => number): number {
  let tokens = 0;
  for (let from = 0; from < text.length; ) {
    const to = cutOf(text, from);
    tokens += count(text.slice(from, to));
    from = to;
  }
  return tokens;
}

function cutOf(text: string, from: number): number {
  const end = from + pieceMax;
  if (end >= text.length) return text.length;
  for (let at = end; at > end - lookBackMax; at--) {
    // A single space between two words; inside a run of spaces the tokens would change.
    if (text[at] === ' ' && text[at - 1] !== ' ' && text[at + 1] !== ' ') return at;
  }
  const unit = text.charCodeAt(end);
  return unit >= 0xdc00 && unit <= 0xdfff ? end - 1 : end;
}
