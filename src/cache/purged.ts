/** What was purged: entries asked for before a mark are never served again. They leave memory when their time is over. */

/** Tags marked for one place. Beyond it, the place is purged as a whole. */
const tagsMax = 256;

/** Separates an entry's tags; none contains it. */
const separator = '\0';

/** What to purge; undefined: whatever it is. */
export interface Purge {
  readonly tenant?: string | undefined;
  /** The route's `model`. */
  readonly route?: string | undefined;
  readonly tag?: string | undefined;
  /** Only entries asked for at least so long ago, in ms. */
  readonly olderThanMs?: number | undefined;
}

/** The marks of a place, in monotonic ms. */
export interface Purged {
  /** Of all entries. */
  beforeMs: number;
  /** Of entries with a tag. */
  readonly tags: Map<string, number>;
}

/** What is known of an entry. */
export interface Origin {
  /** When its request came, monotonic ms. A reply on its way during a purge counts as one from before it. */
  readonly askedMs: number;
  /** The request's tags, joined. */
  readonly note: string;
}

/** Tags as they are kept with an entry. */
export const joinTags = (tags: readonly string[]): string => (tags.length === 0 ? '' : tags.join(separator));

/** The tags of an entry. */
export const tagsOf = (note: string): string[] => (note === '' ? [] : note.split(separator));

/** Nothing but what was asked for up to then is purged. */
export const purgedBefore = (beforeMs: number): Purged => ({ beforeMs, tags: new Map() });

/** Purges what was asked for up to a moment. @param tag undefined: whatever its tags */
export function purge(purged: Purged, tag: string | undefined, beforeMs: number): void {
  const { tags } = purged;
  if (tag === undefined) purged.beforeMs = Math.max(purged.beforeMs, beforeMs);
  else tags.set(tag, Math.max(tags.get(tag) ?? beforeMs, beforeMs));
  if (tags.size > tagsMax) purged.beforeMs = Math.max(purged.beforeMs, ...tags.values());
  for (const [name, markMs] of tags) if (markMs <= purged.beforeMs) tags.delete(name);
}

/** Whether an entry must not be served. */
export function isPurged({ beforeMs, tags }: Purged, { askedMs, note }: Origin): boolean {
  if (askedMs <= beforeMs) return true;
  return tags.size > 0 && tagsOf(note).some((tag) => askedMs <= (tags.get(tag) ?? Number.NEGATIVE_INFINITY));
}
