/** Reads what requests and replies say, after they have ended, while there is room for it. */
import { setImmediate as afterOthers } from 'node:timers/promises';
import type { Aside } from '../../base/aside.ts';
import type { Said } from '../content.ts';
import { type Content, contentOf } from './content.ts';

/** Most bytes of requests and replies that wait to be read. */
const unreadMaxBytes = 32 * 1024 * 1024;

/** What is exported instead of content that there was no room for, or that can't be read. */
export const leftOut: Content = { system: '', input: '', output: '', cut: true };

/** Reads content. Never rejects. */
export type ContentReader = (said: Said) => Promise<Content>;

/** @param maxBytes of each attribute */
export function createReader(maxBytes: number, aside: Aside): ContentReader {
  let unreadBytes = 0;
  return async (said) => {
    const bytes = (said.reply?.pieces ?? []).reduce((sum, { length }) => sum + length, said.request.length);
    if (unreadBytes + bytes > unreadMaxBytes) return leftOut;
    unreadBytes += bytes;
    // The reply is on its way to the client first.
    await afterOthers();
    const content = await contentOf(said, maxBytes, aside);
    unreadBytes -= bytes;
    return content ?? leftOut;
  };
}
