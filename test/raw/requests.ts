/** What cases are made of: requests as raw bytes, and what becomes of them. */
import { openaiWire } from '../support/replies.ts';

/** What becomes of a case. */
export type Verdict =
  /** It is served, and the request behind it too. */
  | 'both'
  /** It is served, and nothing behind it. */
  | 'first'
  /** It is refused with this status, and nothing behind it is served. */
  | number
  /** It is refused with this status, and the request behind it is served: where it ends is known. */
  | { readonly refused: number }
  /** It is more than one request, answered with these statuses. The provider is asked for these prompts. */
  | { readonly replies: readonly number[]; readonly asked: readonly string[] };

/** One case. */
export interface Case {
  readonly clause: string;
  readonly name: string;
  readonly bytes: string;
  readonly verdict: Verdict;
}

/** Where a chat is asked for. */
export const { path } = openaiWire;

/** A body whose prompt is this word. */
export const say = (word: string): string => JSON.stringify(openaiWire.request(word));
/** What a request's provider must be asked for, and what it must never be asked for. */
export const prompts = { first: 'first-one', next: 'next-one', smuggled: 'smuggled-one' } as const;

/** The end of a line. */
export const crlf = '\r\n';
/** The host of the port. */
export const host = `Host: 127.0.0.1${crlf}`;
/** The type of every body. */
export const json = `Content-Type: application/json${crlf}`;
/** A body that asks the first prompt. */
export const body = say(prompts.first);
/** The length of that body. */
export const length = `Content-Length: ${body.length}${crlf}`;
/** The first line of a request. */
export const line = `POST ${path} HTTP/1.1${crlf}`;
const smuggledBody = say(prompts.smuggled);
/** A request that must never be seen. */
export const smuggled = `${line}${host}${json}Content-Length: ${smuggledBody.length}${crlf}${crlf}${smuggledBody}`;
const nextBody = say(prompts.next);
/** The request behind each case. */
export const next = `${line}${host}${json}Connection: close${crlf}Content-Length: ${nextBody.length}${crlf}${crlf}${nextBody}`;

/** A good request with these lines in its head, before those that say where its body ends. */
export const withLines = (lines: string): string => `${line}${host}${json}${lines}${length}${crlf}${body}`;
/** The request with another first line. */
export const withLine = (first: string): string => `${first}${host}${json}${length}${crlf}${body}`;
/** The request with another framing. */
export const framed = (framing: string, content: string): string =>
  `${line}${host}${json}${framing}${crlf}${content}`;
const chunkedHead = `${line}${host}${json}Transfer-Encoding: chunked${crlf}${crlf}`;
/** The length of the body, in hexadecimal. */
export const size = body.length.toString(16);
/** A request in chunks. */
export const chunked = (content: string): string => chunkedHead + content;
/** The body as one chunk. */
export const oneChunk = `${size}${crlf}${body}${crlf}`;
/** The last chunk. */
export const end = `0${crlf}${crlf}`;

type Row = readonly [name: string, bytes: string, verdict: Verdict];
/** The cases of one clause. */
export const clause = (number: string, ...rows: readonly Row[]): Case[] =>
  rows.map(([name, bytes, verdict]) => ({ clause: number, name, bytes, verdict }));

/** What is received for a case, and what the provider is asked for. */
export function expected(verdict: Verdict): {
  readonly statuses: readonly number[];
  readonly asked: readonly string[];
} {
  if (verdict === 'both') return { statuses: [200, 200], asked: [prompts.first, prompts.next] };
  if (verdict === 'first') return { statuses: [200], asked: [prompts.first] };
  if (typeof verdict === 'number') return { statuses: [verdict], asked: [] };
  if ('refused' in verdict) return { statuses: [verdict.refused, 200], asked: [prompts.next] };
  return { statuses: verdict.replies, asked: verdict.asked };
}
