/**
 * Requests as raw bytes, each with the clause of RFC 9112 (HTTP/1.1) or 9110 (HTTP semantics) that says what becomes of
 * them. Where a request ends must be beyond doubt: bytes in a body that look like a request never are one.
 */
import { bodies, connections } from './bodies.ts';
import { fields, heads } from './heads.ts';
import type { Case } from './requests.ts';

/** All cases. */
export const cases: readonly Case[] = [...heads, ...fields, ...bodies, ...connections];
