/** Cuts text for a tokenizer whose time grows with the square of a long run's length. */

/** UTF-16 units of a piece: a run of one letter takes a millisecond then, not half a minute. */
const pieceMax = 1024;
/** A space is looked for in so much of a piece's end: tokens begin with theirs, so a cut before it changes nothing. */
const lookBackMax = 256;

/** Adds up what `count` says of the pieces of a text. Without spaces a cut may add a token each. */
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
    // One space between two words; inside a run of them the tokens would be others.
    if (text[at] === ' ' && text[at - 1] !== ' ' && text[at + 1] !== ' ') return at;
  }
  const unit = text.charCodeAt(end);
  return unit >= 0xdc00 && unit <= 0xdfff ? end - 1 : end;
}
