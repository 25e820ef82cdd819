/** What the load consists of, as the upstream sends it and the report says it. */

/** Events of a streamed reply that carry text; the role, finish, usage and end events come on top. */
export const streamEvents = 200;
/** Pause between two events of a stream. Real models take 5–50 ms; this keeps a round short. */
export const streamTickMs = 2;
