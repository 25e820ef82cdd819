/**
 * Sources on the web that a reply cites, in the words of each dialect. OpenAI's two dialects, Perplexity, Anthropic and
 * Gemini have them; documents that were cited are something else.
 */
import { type Json, listOf, numberOf, objectOf, textOf } from '../base/json.ts';
import type { ChatEvent, UrlCitation } from './chat-reply.ts';

/** Reads `annotations` of a message or a text; kinds other than `url_citation` are ignored. */
export const readAnnotations = (annotations: unknown): UrlCitation[] =>
  listOf(annotations).flatMap((one): UrlCitation[] => {
    // Chat completions nest it once more.
    const { url, title, start_index, end_index } = { ...one, ...objectOf(one.url_citation) };
    if (one.type !== 'url_citation' || typeof url !== 'string') return [];
    return [{ url, title: textOf(title), start: numberOf(start_index) ?? 0, end: numberOf(end_index) ?? 0 }];
  });

/** Reads the lists beside the choices in which Perplexity names what it found; the text refers to them by number. */
export function readFound({ citations, search_results: results }: Json): UrlCitation[] {
  const titles = new Map(listOf(results).map(({ url, title }) => [url, textOf(title)]));
  const urls = Array.isArray(citations) ? citations : [...titles.keys()];
  return urls
    .filter((url): url is string => typeof url === 'string')
    .map((url) => ({ url, title: titles.get(url) ?? null, start: 0, end: 0 }));
}

/** Citations kept for a text that has not begun. */
const citationsMax = 1000;

/** The citations of one stream. */
export interface Citing {
  /** Some wait for a text, and there was one before. */
  readonly waits: boolean;
  /** Gives these, and those that wait, to a text. @param text index of the open one; null: none is, so they wait */
  give(citations: readonly UrlCitation[], text: number | null, events: ChatEvent[]): void;
}

/** Follows the citations of one stream, which may come while no text is open: before it, or beside a call. */
export function createCiting(): Citing {
  let kept: UrlCitation[] = [];
  let hasText = false;
  return {
    get waits() {
      return hasText && kept.length > 0;
    },
    give(citations, text, events) {
      hasText ||= text !== null;
      if (kept.length === 0 && citations.length === 0) return;
      const all = [...kept, ...citations];
      kept = text === null ? all.slice(0, citationsMax) : [];
      if (text !== null) for (const citation of all) events.push({ kind: 'citation', index: text, citation });
    },
  };
}

const written = ({ url, title, start, end }: UrlCitation, offset: number): Json => ({
  url,
  title: title ?? url,
  start_index: start + offset,
  end_index: end + offset,
});

/** An annotation of chat completions. @param offset where its text begins in the message */
export const writeChatAnnotation = (citation: UrlCitation, offset: number): Json => ({
  type: 'url_citation',
  url_citation: written(citation, offset),
});

/** An annotation of the Responses API. */
export const writeAnnotation = (citation: UrlCitation): Json => ({
  type: 'url_citation',
  ...written(citation, 0),
});

/** Marks what Anthropic must not be given back: it can only read indexes of its own search. */
const foreignIndex = 'openai~';

/** A citation of Anthropic's. @param text what cites it; empty: unknown */
export const writeSearchLocation = ({ url, title, start, end }: UrlCitation, text: string): Json => ({
  type: 'web_search_result_location',
  url,
  title,
  cited_text: text.slice(start, end),
  encrypted_index: foreignIndex,
});

/** Gemini's metadata of what was found; null: nothing. */
export const writeGrounding = (citations: readonly UrlCitation[]): Json | null =>
  citations.length === 0
    ? null
    : { groundingChunks: citations.map(({ url, title }) => ({ web: { uri: url, title: title ?? url } })) };
