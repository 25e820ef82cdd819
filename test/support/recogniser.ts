/** A recogniser of names as Presidio's analyzer answers: it finds what a list names, and counts in code points. */
import type { ConfigInput } from './sidecar.ts';
import type { Script } from './upstream.ts';

/** A value as Presidio's API gives it. */
export interface Result {
  readonly entity_type: string;
  readonly start: number;
  readonly end: number;
  readonly score: number;
}

/** People, places and organisations that the tests speak of. */
export const entities: Readonly<Record<string, string>> = {
  'Ann Smith': 'PERSON',
  'Zoë 😀 Müller': 'PERSON',
  'Bob Li': 'PERSON',
  'Elm Street 5': 'LOCATION',
  Paris: 'LOCATION',
  'Acme Corp': 'ORGANIZATION',
};

/** The values of a list in a text. */
export function resultsIn(text: string, named = entities): Result[] {
  return Object.entries(named).flatMap(([value, entity]) =>
    [...text.matchAll(new RegExp(value, 'g'))].map(({ index }) => {
      const start = [...text.slice(0, index)].length;
      return { entity_type: entity, start, end: start + [...value].length, score: 0.85 };
    }),
  );
}

/** Answers as an analyzer does. */
export const recognises =
  (named = entities): Script =>
  (call) => {
    const { text } = call.json as { text: string };
    call.whole(200, { 'content-type': 'application/json' }, JSON.stringify(resultsIn(text, named)));
  };

/** The texts it was sent. */
export const textsOf = (calls: readonly { readonly json: Record<string, unknown> }[]): string[] =>
  calls.map(({ json }) => String(json.text));

/** A configuration whose recogniser nobody runs. */
export const unheard = (textMaxBytes = 65_536): ConfigInput => ({
  scrub: { recogniser: { url: 'http://127.0.0.1:9', textMaxBytes } },
});
