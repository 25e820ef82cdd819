/** What goes back to the client, and what of it can be stored. */

/** What goes back to the client. Headers are flat name, value pairs. */
export type Reply = WholeReply | StreamReply;

export interface WholeReply {
  readonly kind: 'whole';
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

export interface StreamReply {
  readonly kind: 'stream';
  readonly status: number;
  readonly headers: readonly string[];
  /** Written while nothing comes, so that nobody thinks the connection dead; empty: nothing may be. */
  readonly keepAlive: string;
  /** Whole SSE events, or pieces of a list; ends by itself, never throws. */
  readonly chunks: AsyncIterable<Buffer>;
  /** After the end: it broke off in a form that can't say so, so the connection must. Left out: it never does. */
  readonly isCut?: () => boolean;
}

/** A reply as it can be kept: before values are restored in it, so that no store holds personal data. */
export interface StoredReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  readonly stream: boolean;
  /** `provider/model` that answered. */
  readonly target: string;
  /** Fields that were left out for it; names separated by commas. */
  readonly dropped?: string;
  /** What it cost, so that what its next use saves is known; 0 where the price isn't. */
  readonly costNanoUsd: number;
}
