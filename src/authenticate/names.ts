/** The forms of keys, users and tags. */

/** Prefix of every key created here, so that scanners for leaked secrets can find it. */
export const keyPrefix = 'sg-';

/** Most tags of a key, a token or a request. */
export const tagsMax = 16;

/** A user or tag as named by a header or claim. */
export const userPattern = /^[\w.:@/+-]{1,128}$/;
