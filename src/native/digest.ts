/** Digests of credentials. */
import { native } from './load.ts';

/** SHA-256 of a text's UTF-8 bytes, hex. */
export const textDigest = native.textDigest;
