/** Replaces personal data in what the events of a reply's stream say beside the texts that they continue. */
import type { Json } from '../base/json.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { type Findings, noFindings, type PiiScope, scrubDocument } from '../native/pii.ts';

/** Scrubs the events of one stream. */
export interface BesideTexts {
  /** The event without what is replaced, but for the texts that it continues; the same one if nothing is. */
  scrub(event: Json): Json;
  /** How often each kind occurred, by its number. @param inTexts the same for the texts that the events continue */
  countsWith(inTexts: readonly number[]): number[];
}

type Place = Readonly<{ holder: Json; field: string }>;

/** Members that say what an event is. They are the dialect's words, and no kind of a configuration may change them. */
const fixed = ['type', 'object'];
const fixedIn = (event: Json): Place[] =>
  fixed.filter((field) => typeof event[field] === 'string').map((field) => ({ holder: event, field }));

/** Empties places, and gives what was there. */
const take = (places: readonly Place[]): unknown[] =>
  places.map(({ holder, field }) => {
    const text = holder[field];
    holder[field] = '';
    return text;
  });
const put = (places: readonly Place[], texts: readonly unknown[]): void => {
  for (const [at, { holder, field }] of places.entries()) holder[field] = texts[at];
};

/** Begins with one stream's first event. */
export function createBesideTexts(dialect: Dialect, scope: PiiScope): BesideTexts {
  const repeatsAll = dialect.chatClient?.repeatsStream === true;
  const counts = scope.names.map(() => 0);
  /** The same for events that say all again. */
  const again = scope.names.map(() => 0);
  /** What the last event with findings said in the members that have some. */
  let before = new Set<string>();

  const add = (findings: Findings): void => {
    for (const { kind, count } of findings) {
      const at = scope.names.indexOf(kind);
      counts[at] = (counts[at] ?? 0) + count;
    }
  };
  /** The most that one of these events has is what there is. */
  const addAgain = (findings: Findings): void => {
    for (const { kind, count } of findings) {
      const at = scope.names.indexOf(kind);
      again[at] = Math.max(again[at] ?? 0, count);
    }
  };

  /** Counts what is found in the members of an event that differ from before: each may hold the model's name. */
  const addNew = (event: Json): void => {
    const now = new Set<string>();
    for (const [name, value] of Object.entries(event)) {
      const member = JSON.stringify({ [name]: value });
      if (!before.has(member)) {
        const { findings } = scrubDocument(Buffer.from(member), scope);
        if (findings === noFindings) continue;
        add(findings);
      }
      now.add(member);
    }
    before = now;
  };

  return {
    scrub(event) {
      const repeats = repeatsAll || dialect.repeatsStream?.(event) === true;
      const [places, texts] = [fixedIn(event), dialect.textSlots(event)];
      const [words, said] = [take(places), take(texts)];
      const body = Buffer.from(JSON.stringify(event));
      const { body: scrubbed, findings } = scrubDocument(body, scope);
      if (repeats) addAgain(findings);
      else if (findings !== noFindings) addNew(event);
      put(places, words);
      put(texts, said);
      if (scrubbed === body) return event;
      const out = JSON.parse(scrubbed.toString('utf8')) as Json;
      put(fixedIn(out), words);
      put(dialect.textSlots(out), said);
      return out;
    },
    countsWith: (inTexts) => counts.map((count, at) => Math.max(count + (inTexts[at] ?? 0), again[at] ?? 0)),
  };
}
