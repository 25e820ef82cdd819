/** The messages between peers: their schema, and how a received one is read. */
import { z } from 'zod';

/** Longest cooldown in a message. */
const cooldownMaxMs = 3_600_000;

const message = z.strictObject({
  /** Id of the sending process. */
  from: z.string().max(64),
  kind: z.enum(['down', 'up', 'limited', 'made']),
  subject: z.enum(['target', 'provider']),
  /** The target's label, the provider's name, or the id of an object that was made at the provider. */
  name: z.string().max(1024),
  provider: z.string().max(256),
  /** Digest of the provider's address: in another process the same name may mean another address. */
  place: z.string().max(64),
  /** Digest of the rate-limited credential. */
  credential: z.string().max(64).optional(),
  /** How long the credential isn't used at the target. */
  restMs: z.number().min(0).max(cooldownMaxMs).optional(),
  /** The tenant that made the object. */
  tenant: z.string().max(128).optional(),
});
/** A message between peers. */
export type Message = z.output<typeof message>;

/** Reads a message; null: it is invalid. */
export function readMessage(text: string): Message | null {
  try {
    return message.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
