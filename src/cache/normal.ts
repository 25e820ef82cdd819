/** Brings a question to a form in which only what can't change its meaning is left out. */

/** What asks about "please" itself, as in "please in Spanish". */
const ofWord = 'in|into|to|as|and|or|vs|means?|meanings?|synonyms?|antonyms?|definition|translation|spelling';
/** A mark behind a greeting tells that it isn't what is asked about. That of a file's name, as in hi.js, isn't one. */
const greeting = new RegExp(
  `^(?:(?:(?:hi|hello|hey)(?: there)?|good (?:morning|afternoon|evening))(?:[,!.]*, ?|[!.]+ +)|(?:please|pls)(?:[,!.]+ +| (?!(?:${ofWord})\\b)))`,
  'i',
);
/**
 * So does a mark before courtesy at the end: that of the sentence stays, a comma goes. "Yes, please" and "please, thanks"
 * belong together.
 */
const courtesy =
  /(?:(?<=[.!?…]) +|(?<!\b(?:yes|no|please|pls|thanks|you|thx|cheers)), +)(?:please|pls|thanks|thank you|thx|cheers)[\s.!?…]*$/i;
/** Words may be asked about: "hello, how are you in Spanish", "translate I am fine, thanks". A comma tells nothing there. */
const wording =
  /\b(?:say|says|translat\w*|pronounc\w*|spell\w*|words?|phrases?|means?|meaning|reply|write|type)\b|\bin \p{L}+[\s.!?…]*$/iu;
const commaBehind = /^[\p{L} ]+,/u;
const commaBefore = /,[\s\p{L}]*[\s.!?…]*$/u;
/**
 * Behind a word or a figure it only says that something is asked. "5!" and "5", "sort!" and "sort" differ, as do "." and
 * "?". In code it is a part of that.
 */
const asking = /(?<=[\p{L}\p{M}\p{N}%])(?<!(?:[_\\*^|(){}<>=+[\]]|\$\p{L})\S*)\s*\?[\s?!]*$/u;
/** Where something is quoted, or code stands, any space or mark may matter. */
const quoted = /[\n\r\t`"“”„«»]|(?<![\p{L}\p{N}])['‘’‹]|:(?![\d/])/u;
const words = /[\p{L}\p{N}]/u;

/** Leaves out what was found, unless nothing would be left, or a comma may bind it to words that are asked about. */
function without(form: string, part: RegExp, comma?: RegExp): string {
  if (!part.test(form) || (comma?.test(form) && wording.test(form))) return form;
  const rest = form.replace(part, '');
  return words.test(rest) ? rest : form;
}

/**
 * A question without what can't change its meaning: spaces, courtesy apart from the sentence, a closing question mark, and
 * the capital it begins with. Two questions of one normal form are the same.
 */
export function normalForm(text: string): string {
  const composed = text.normalize('NFC');
  const trimmed = composed.trim();
  const isPlain = !quoted.test(trimmed);
  let form = isPlain ? trimmed.replace(/ {2,}/g, ' ') : composed;
  // Each at most twice, as in "hello, please … please. Thanks".
  for (let i = 0; i < 2; i++) {
    form = without(form, greeting, commaBehind);
    if (isPlain) form = without(form, courtesy, commaBefore);
  }
  if (isPlain) form = form.replace(asking, '');
  // "US" and "us" differ, "Where" and "where" don't.
  return /^\p{Lu}\p{Ll}/u.test(form) ? form.slice(0, 1).toLowerCase() + form.slice(1) : form;
}
