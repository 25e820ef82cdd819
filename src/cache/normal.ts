/** Brings a question to a form in which only what can't change its meaning is left out. */

const greeting =
  /^(?:(?:hi|hello|hey)(?: there)?|please|pls|good (?:morning|afternoon|evening))(?:[,!.]+ ?| )/i;
const thanks = /[ ,.!]*\b(?:please|pls|thanks|thank you|thx|cheers)$/i;
/** Where line breaks or code stand, spaces may matter. */
const spaced = /[\n\r`\t]/;
const closing = /[\s.!?…]+$/u;

/**
 * A question without what can't change its meaning: spaces, courtesy, closing punctuation, and the capital it begins
 * with. Two questions of one normal form are the same.
 */
export function normalForm(text: string): string {
  let form = text.normalize('NFC').trim();
  if (!spaced.test(form)) form = form.replace(/ {2,}/g, ' ');
  form = form.replace(closing, '');
  // Each at most twice, as in "hello, please … please, thanks".
  for (let i = 0; i < 2; i++) form = form.replace(greeting, '').replace(thanks, '').replace(closing, '');
  // "US" and "us" differ, "Where" and "where" don't.
  return /^\p{Lu}\p{Ll}/u.test(form) ? form.slice(0, 1).toLowerCase() + form.slice(1) : form;
}
