/** Replies to clients, and the form in which they are stored. */
import type { WebSocket } from 'ws';
import type { Refusal } from '../base/errors.ts';
import type { Chunks } from './chunks.ts';

/** A reply to the client. Headers are flat name, value pairs. */
export type Reply = HttpReply | SessionReply;

/** One that is written to an HTTP connection. */
export type HttpReply = WholeReply | StreamReply;

/** A reply that isn't streamed. */
export interface WholeReply {
  readonly kind: 'whole';
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** A streamed reply. */
export interface StreamReply {
  readonly kind: 'stream';
  readonly status: number;
  readonly headers: readonly string[];
  /** Written in pauses so that proxies don't time out; empty: the format allows no such bytes. */
  readonly keepAlive: string;
  /** Complete SSE events, or elements of a list. Taken to their end in every case, which closes the request. */
  readonly chunks: Chunks;
}

/** A session is open at the provider: the client's connection becomes a WebSocket, too. */
export interface SessionReply {
  readonly kind: 'session';
  readonly status: 101;
  readonly headers: readonly string[];
  /** The protocol that the provider chose; empty: none. */
  readonly protocol: string;
  /**
   * Must be called once. Resolves when the session is over; never rejects.
   * @param client null: it is gone
   * @param mayStay whether the caller's key still allows it
   */
  begin(client: WebSocket | null, mayStay: () => boolean): Promise<void>;
  /** Ends the session with this as soon as no reply is in progress. */
  leave(refusal: Refusal): void;
}

/** A reply as it is stored: before masked values are restored, so that no store holds personal data. */
export interface StoredReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  readonly stream: boolean;
  /** The `provider/model` that answered. */
  readonly target: string;
  /** Names of fields left out of the request to that target, separated by commas. */
  readonly dropped?: string;
  /** What it cost, which is what a cache hit saves; 0 if the price is unknown. */
  readonly costNanoUsd: number;
}

/** How near the question of a stored reply is to the one asked: the same request, the same but for its form, or alike. */
export type CacheLevel = 'exact' | 'normalised' | 'semantic';
