/** Brings a question to a form in which only what can't change its meaning is left out. */

/** A mark behind a greeting tells that it isn't what is asked about. */
const greeting =
  /^(?:(?:(?:hi|hello|hey)(?: there)?|good (?:morning|afternoon|evening))[,!.]+ ?|(?:please|pls)(?:[,!.]+ ?| ))/i;
/**
 * So does a mark before courtesy at the end: that of the sentence stays, a comma goes. "Yes, please" and "please, thanks"
 * belong together.
 */
const courtesy =
  /(?:(?<=[.!?…]) +|(?<!\b(?:yes|no|please|pls|thanks|you|thx|cheers)), +)(?:please|pls|thanks|thank you|thx|cheers)[\s.!?…]*$/i;
/** Behind a word or a figure it only says that something is asked. "5!" and "5", "sort!" and "sort" differ, as do "." and "?". */
const asking = /(?<=[\p{L}\p{M}\p{N}%])(?<!_\S*)\s*\?[\s?!]*$/u;
/** Where something is quoted, or code stands, any space or mark may matter. */
const quoted = /[\n\r\t`"“”„«»]|:(?![\d/])/;
const words = /[\p{L}\p{N}]/u;

/** Leaves out what was found, unless nothing would be left. */
function without(form: string, part: RegExp): string {
  const rest = form.replace(part, '');
  return words.test(rest) ? rest : form;
}

/**
 * A question without what can't change its meaning: spaces, courtesy apart from the sentence, a closing question mark, and
 * the capital it begins with. Two questions of one normal form are the same.
 */
export function normalForm(text: string): string {
  let form = text.normalize('NFC').trim();
  const isPlain = !quoted.test(form);
  if (isPlain) form = form.replace(/ {2,}/g, ' ');
  // Each at most twice, as in "hello, please … please. Thanks".
  for (let i = 0; i < 2; i++) {
    form = without(form, greeting);
    if (isPlain) form = without(form, courtesy);
  }
  if (isPlain) form = form.replace(asking, '');
  // "US" and "us" differ, "Where" and "where" don't.
  return /^\p{Lu}\p{Ll}/u.test(form) ? form.slice(0, 1).toLowerCase() + form.slice(1) : form;
}
