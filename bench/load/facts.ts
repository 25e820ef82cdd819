/** Facts of the load, shared by the upstream that sends it and the report that describes it. */

/** How a streamed reply is paced. */
export interface StreamPace {
  /** Text events; the role, finish, usage and end events come in addition. */
  readonly events: number;
  /** Pause between two events, in ms. */
  readonly pauseMs: number;
}

/** Real models pause 5–50 ms; this keeps a round short. */
export const usualStreams: StreamPace = { events: 200, pauseMs: 2 };
