/** Ids of tool calls, which Gemini may leave out and the other dialects need. */
import { hash } from 'node:crypto';

const made = 'call_g_';

/**
 * An id for a call that came without: the same for the same call of the same reply.
 * @param place what tells this call from the others of its conversation
 */
export const makeCallId = (place: string, name: string, args: string): string =>
  made + hash('sha256', `${place}\0${name}\0${args}`).slice(0, 24);

/** The id as Gemini knows it; null: it gave none. */
export const ownCallId = (id: string): string | null => (id === '' || id.startsWith(made) ? null : id);
