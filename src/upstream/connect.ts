/** How connections to providers are made: to allowed addresses only, and passing over interim replies. */
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { isIP, type Socket } from 'node:net';
import buildConnector from 'undici/lib/core/connect.js';
import symbols from 'undici/lib/core/symbols.js';
import type Pool from 'undici/lib/dispatcher/pool.js';
import { type AddressCheck, addressCode } from './addresses.ts';

type Connector = ReturnType<typeof buildConnector>;

/** A connector that refuses addresses, whether they are written in the URL or a name resolves to them. */
export function createConnector(timeoutMs: number, isAllowed: AddressCheck): Connector {
  const connect = buildConnector({ timeout: timeoutMs, lookup: guarded(isAllowed) } as never);
  return (options, callback) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1');
    // An address is never looked up.
    if (isIP(host) !== 0 && !isAllowed(host)) return queueMicrotask(() => callback(refusal(host), null));
    connect(options, callback);
  };
}

type Found = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

/** Looks names up as Node does, and leaves out the refused addresses. */
const guarded =
  (isAllowed: AddressCheck) =>
  (host: string, options: LookupOptions, done: Found): void =>
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, []);
      const allowed = found.filter(({ address }) => isAllowed(address));
      const [first] = allowed;
      if (first === undefined) return done(refusal(host), []);
      if (options.all === true) done(null, allowed);
      else done(null, first.address, first.family);
    });

const refusal = (host: string): Error =>
  Object.assign(new Error(`the address of ${host} is not one of a provider`), { code: addressCode });

interface Parser {
  onHeadersComplete(status: number, ...rest: unknown[]): number;
}

const patched = new WeakSet<Parser>();

/**
 * Makes the connections of a pool pass over `100 Continue`, which some proxies send unasked (RFC 9110, section 15.2).
 * undici up to 8.13.1 breaks such a connection off, though it passes over all other interim replies.
 */
export function passOverContinue(pool: InstanceType<typeof Pool>): void {
  pool.on('connect', (_origin, targets) => {
    const client = targets.at(-1) as unknown as Record<symbol, Socket & Record<symbol, Parser>>;
    const parser = client[symbols.kSocket]?.[symbols.kParser];
    // HTTP/2 has no such parser, and no such flaw.
    const shared = parser === undefined ? null : (Object.getPrototypeOf(parser) as Parser);
    if (shared === null || patched.has(shared)) return;
    patched.add(shared);
    const { onHeadersComplete } = shared;
    shared.onHeadersComplete = function (status, ...rest) {
      return onHeadersComplete.call(this, status === 100 ? 102 : status, ...rest);
    };
  });
}
