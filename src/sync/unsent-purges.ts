/** Purges that other pods have to be told of yet: whoever answered one has promised it, so they are kept until Redis has them. */
import type { CacheNews } from '../exchange/shared-cache.ts';

/** A purge, as other pods are told of it. */
export type PurgeNews = Extract<CacheNews, { readonly kind: 'purge' }>;

/** Purges kept. Beyond it they become one of everything: too much is asked for again, and nothing purged is served. */
const unsentMax = 256;

/** What is kept. */
export interface UnsentPurges {
  /** Keeps one; of two that name the same, the later mark counts. @param nowMs when it is told, ms since 1970 */
  add(news: PurgeNews, nowMs: number): void;
  /** The one to be sent next, its age up to now added to what it says; null: all are sent. @param nowMs ms since 1970 */
  next(nowMs: number): { readonly news: PurgeNews; taken(): void } | null;
  clear(): void;
}

/** Keeps none yet. */
export function createUnsentPurges(): UnsentPurges {
  const marks = new Map<string, { readonly news: PurgeNews; readonly beforeMs: number }>();
  const put = (news: PurgeNews, beforeMs: number): void => {
    const name = JSON.stringify([news.tenant, news.route, news.tag]);
    marks.set(name, { news, beforeMs: Math.max(beforeMs, marks.get(name)?.beforeMs ?? beforeMs) });
  };
  return {
    add(news, nowMs) {
      put(news, nowMs - news.olderThanMs);
      if (marks.size <= unsentMax) return;
      const latestMs = Math.max(...[...marks.values()].map(({ beforeMs }) => beforeMs));
      marks.clear();
      put({ kind: 'purge', tenant: null, route: null, tag: null, olderThanMs: 0 }, latestMs);
    },
    next(nowMs) {
      const [first] = marks;
      if (first === undefined) return null;
      const [name, mark] = first;
      return {
        news: { ...mark.news, olderThanMs: Math.max(0, nowMs - mark.beforeMs) },
        taken() {
          if (marks.get(name) === mark) marks.delete(name);
        },
      };
    },
    clear: () => marks.clear(),
  };
}
