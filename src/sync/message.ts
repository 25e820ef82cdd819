/** What peers tell each other: the form of a message, and the reading of one that came. */
import { z } from 'zod';

/** Longest rest that is told of. */
const restMaxMs = 3_600_000;

const message = z.strictObject({
  /** Of the process that sent it. */
  from: z.string().max(64),
  kind: z.enum(['down', 'up', 'limited']),
  subject: z.enum(['target', 'provider']),
  /** Label or name. */
  name: z.string().max(1024),
  provider: z.string().max(256),
  /** Digest of the provider's address: the same name may mean another place elsewhere. */
  place: z.string().max(64),
  /** Digest of the credential that is limited. */
  credential: z.string().max(64).optional(),
  restMs: z.number().min(0).max(restMaxMs).optional(),
});
export type Message = z.output<typeof message>;

/** A message as it should be; null: it is none of ours. */
export function readMessage(text: string): Message | null {
  try {
    return message.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
