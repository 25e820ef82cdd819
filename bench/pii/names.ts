/**
 * What names and addresses rules would reach, without a model: `node bench/pii/names.ts FILE.json [LIST]`. FILE is labelled as
 * for `npm run eval:pii`; LIST has a first name on each line. Decision 0009 quotes it; nothing of it is in the product.
 */
import { readFileSync } from 'node:fs';
import type { Sample } from './eval.ts';

type Place = readonly [start: number, end: number];

const word = String.raw`\p{Lu}(?:[\p{L}\p{M}'’]*\p{L}|\.)?(?:-\p{Lu}\p{L}*)?`;
const name = `${word}(?: (?:(?:van|de|der|von|bin|al|del|la) )*${word})*`;

/** Words that say that a name follows. */
const told = [
  String.raw`(?<!\p{L})(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herr|Frau|Mme|Sr|Sra|Monsieur|Madame|Sir)\.? (NAME)`,
  String.raw`\b(?:[Mm]y name is|[Mm]y name's|[Nn]ame appears as|named|called|calls me) (NAME)`,
  String.raw`\b(?:I'm|I am|[Tt]his is|i'm) (WORD WORD(?: WORD)?)`,
  String.raw`\b(?:Dear|Hi|Hello|Hey) (NAME)(?=[,!\n.])`,
  String.raw`\b(?:[Rr]egards|[Ss]incerely|[Cc]heers|[Tt]hanks),?\s*\n\s*(NAME)`,
  String.raw`\b(?:[Nn]ame|full_name|[Cc]ustomer|[Pp]atient|[Rr]ecipient|[Aa]ddress)\s*:\s*(NAME)`,
].map((rule) => new RegExp(rule.replaceAll('NAME', name).replaceAll('WORD', word), 'dgu'));
/** What often stands there and is no name. */
const others = new Set(
  'The A An I It We You He She They This That Is Are Not Please My Your Our Hello Hi There World Team All Sir Madam'.split(
    ' ',
  ),
);

/** Forms of the first line of an address. */
const streets = [
  String.raw`\b\d{1,5} (?:\p{Lu}[\p{L}'’]+ ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Square|Place|Terrace|Highway)\b`,
  String.raw`\bP\.?O\.? Box \d+`,
  String.raw`\b(?:Via|Rua|Rue|Calle|Avenida|Piazza) (?:\p{L}+ ){1,3}\d{1,4}\b`,
  String.raw`\p{Lu}\p{L}*(?:straße|strasse|str\.|gasse|weg|platz|gatan|vägen|straat|tie|katu|vej|gata) \d{1,4}\b`,
  String.raw`\b(?:Apt|Suite|Apartment|Unit)\.? \d{1,5}\b`,
].map((rule) => new RegExp(rule, 'gu'));

const byWords = (text: string): Place[] =>
  told.flatMap((rule) =>
    [...text.matchAll(rule)].flatMap((match) => {
      const place = match.indices?.[1];
      return place === undefined || others.has((match[1] ?? '').split(' ')[0] ?? '') ? [] : [place];
    }),
  );

/** A known first name, and up to two capitalised words behind it. */
const byList = (text: string, list: ReadonlySet<string>): Place[] => {
  const places: Place[] = [];
  for (const match of text.matchAll(new RegExp(`${word}(?: ${word}){0,2}`, 'gu'))) {
    const words = match[0].split(' ');
    const first = words.findIndex((each) => list.has(each.replace(/['’]s$/, '')));
    if (first < 0) continue;
    const start = match.index + words.slice(0, first).join(' ').length + (first > 0 ? 1 : 0);
    places.push([start, match.index + match[0].length]);
  }
  return places;
};

const byForm = (text: string): Place[] =>
  streets.flatMap((rule) =>
    [...text.matchAll(rule)].map((match) => [match.index, match.index + match[0].length] as const),
  );

/** Without those within others. */
const outermost = (places: readonly Place[]): Place[] => {
  const sorted = [...places].sort(([a, b], [c, d]) => a - c || d - b);
  let end = -1;
  return sorted.filter((place) => {
    const within = place[1] <= end;
    end = Math.max(end, place[1]);
    return !within;
  });
};

const overlap = ([a, b]: Place, [c, d]: Place): number =>
  Math.max(0, Math.min(b, d) - Math.max(a, c)) / (Math.max(b, d) - Math.min(a, c));

function score(samples: readonly Sample[], type: string, find: (text: string) => Place[]): string {
  let [labelled, found, right] = [0, 0, 0];
  for (const { text, spans } of samples) {
    const labels = spans.filter((span) => span.type === type).map(({ start, end }): Place => [start, end]);
    const places = outermost(find(text));
    labelled += labels.length;
    found += places.length;
    right += places.filter((place) => labels.some((label) => overlap(place, label) >= 0.5)).length;
  }
  const f1 = (2 * right) / (found + labelled);
  return `${(right / found).toFixed(2)} | ${(right / labelled).toFixed(2)} | ${f1.toFixed(2)}`;
}

const [path, listPath] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: node bench/pii/names.ts FILE.json [LIST]');
const samples = JSON.parse(readFileSync(path, 'utf8')) as Sample[];
console.log('| what | precision | recall | F1 |\n| --- | --- | --- | --- |');
console.log(`| names by the words before | ${score(samples, 'PERSON', byWords)} |`);
if (listPath !== undefined) {
  const list = new Set(readFileSync(listPath, 'utf8').split(/\s+/));
  const listed = (text: string): Place[] => byList(text, list);
  console.log(`| names by a list of ${list.size} | ${score(samples, 'PERSON', listed)} |`);
  console.log(
    `| names by both | ${score(samples, 'PERSON', (text) => [...byWords(text), ...listed(text)])} |`,
  );
}
console.log(`| streets by their form | ${score(samples, 'STREET_ADDRESS', byForm)} |`);
