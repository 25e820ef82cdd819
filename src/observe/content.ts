/** What requests and replies say, on its way to the traces. Nothing is kept unless its export is configured. */
import type { DialectName } from '../exchange/dialects.ts';
import type { PiiScope } from '../native/pii.ts';

/** What a request and its reply say, both in the client's dialect and before any value was restored. */
export interface Said {
  readonly dialect: DialectName;
  /** What is replaced in it before it is exported. */
  readonly scope: PiiScope;
  readonly request: Buffer;
  /** Null: there is none, or it isn't kept. */
  readonly reply: SaidReply | null;
}

/** A reply, or the beginning of one. */
export interface SaidReply {
  readonly pieces: readonly Buffer[];
  /** It consists of events. */
  readonly stream: boolean;
  /** It went on. */
  readonly cut: boolean;
}

/** Keeps the beginning of a stream. */
export interface StreamKeeper {
  push(chunk: Buffer): void;
  /** Called once. */
  finish(): SaidReply;
}

/** Keeps the beginnings of streams while they pass. */
export interface StreamKeeping {
  begin(): StreamKeeper;
}

/** Most that is kept of a stream: a token takes some 200 bytes of it. */
const streamMaxBytes = 1024 * 1024;
/** Most that is kept of all streams that have not ended. */
const allMaxBytes = 32 * 1024 * 1024;

/** Creates it. */
export function keepStreams(): StreamKeeping {
  let heldBytes = 0;
  return {
    begin() {
      const pieces: Buffer[] = [];
      let bytes = 0;
      let cut = false;
      return {
        push(chunk) {
          const { length } = chunk;
          cut ||= bytes + length > streamMaxBytes || heldBytes + length > allMaxBytes;
          if (cut) return;
          pieces.push(chunk);
          bytes += length;
          heldBytes += length;
        },
        finish() {
          heldBytes -= bytes;
          return { pieces, stream: true, cut };
        },
      };
    },
  };
}
