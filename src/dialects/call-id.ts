/** Ids of tool calls: generated if a provider sent none, and replaced if the next provider would refuse them. */
import { hash } from 'node:crypto';

const made = 'call_g_';

const digest = (text: string): string => hash('sha256', text).slice(0, 24);

/**
 * Generates an id for a call without one; the same call of the same reply always gets the same id.
 * @param place distinguishes the call from all others in the conversation
 */
export const makeCallId = (place: string, name: string, args: string): string =>
  made + digest(`${place}\0${name}\0${args}`);

/** The id that the provider gave the call; null: it gave none. */
export const ownCallId = (id: string): string | null => (id === '' || id.startsWith(made) ? null : id);

/** Ids that Anthropic and OpenAI accept, whichever provider made them. */
const plainId = /^[a-zA-Z0-9_-]{1,40}$/;

/** The id if every provider accepts it; otherwise a replacement, the same in the call and in its result. */
export const plainCallId = (id: string): string => (plainId.test(id) ? id : `call_${digest(id)}`);
