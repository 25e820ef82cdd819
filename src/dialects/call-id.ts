/** Ids of tool calls: made where a provider gave none, and made anew where one would be refused. */
import { hash } from 'node:crypto';

const made = 'call_g_';

const digest = (text: string): string => hash('sha256', text).slice(0, 24);

/**
 * An id for a call that came without: the same for the same call of the same reply.
 * @param place what tells this call from the others of its conversation
 */
export const makeCallId = (place: string, name: string, args: string): string =>
  made + digest(`${place}\0${name}\0${args}`);

/** The id as its provider knows it; null: it gave none. */
export const ownCallId = (id: string): string | null => (id === '' || id.startsWith(made) ? null : id);

/** Ids that Anthropic and OpenAI take back, whoever made them. */
const plainId = /^[a-zA-Z0-9_-]{1,40}$/;

/** The id, or one that stands for it in call and result alike where another provider's form would be refused. */
export const plainCallId = (id: string): string => (plainId.test(id) ? id : `call_${digest(id)}`);
