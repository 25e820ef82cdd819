/** Constants of the load, shared by the upstream that sends it and the report that describes it. */

/** Text events of a streamed reply; the role, finish, usage and end events come in addition. */
export const streamEvents = 200;
/** Pause between two events of a stream, in ms. Real models take 5–50; this keeps a round short. */
export const streamTickMs = 2;
