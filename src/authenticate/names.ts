/** What keys, users and tags look like. */

/** Begins every key that is made here, so that scanners for leaked secrets can find one. */
export const keyPrefix = 'sg-';

/** Tags a key, a token or a request may have. */
export const tagsMax = 16;

/** A user as a header or a claim may name one. */
export const userPattern = /^[\w.:@/+-]{1,128}$/;
