/** How a provider's sockets are opened: at allowed addresses only, through a proxy, with certificates of one's own. */
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { isIP, type OnReadOpts } from 'node:net';
import { type AddressCheck, addressCode } from './addresses.ts';
import { createSocketOpener, type Opened } from './open-socket.ts';
import { createTunnel } from './tunnel.ts';

/** How a provider is reached. */
export interface Reach {
  /** URL of an HTTP proxy; null: directly. */
  readonly proxy: string | null;
  /** For TLS, all in PEM; undefined: what Node uses. */
  readonly tls: TlsFiles | undefined;
}

/** What a provider's certificate is checked by, and the gateway's own certificate, all in PEM. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * An opener of sockets to a provider. It refuses addresses, whether they are written in the URL or a name resolves to
 * them. A proxy looks names up by itself.
 * @param timeoutMs for TCP and TLS, and for each step through a proxy
 * @param onread what is read goes there, except through a proxy without TLS
 * @param protocols that TLS offers
 */
export function createReach(
  origin: string,
  timeoutMs: number,
  isAllowed: AddressCheck,
  { proxy, tls = {} }: Reach,
  onread?: OnReadOpts,
  protocols: readonly string[] = ['http/1.1', 'h2'],
): (done: Opened) => void {
  const { protocol, hostname, port } = new URL(origin);
  const secured = protocol === 'https:';
  const to = { secured, hostname, port: Number(port) || (secured ? 443 : 80) };
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  const { ca, cert, key } = tls;
  const open = createSocketOpener({
    timeoutMs,
    lookup: guarded(isAllowed),
    protocols,
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    },
    ...(onread === undefined ? {} : { onread }),
  });
  const tunnel = proxy === null ? null : createTunnel(proxy, timeoutMs);
  return (done) => {
    // An address is never looked up.
    if (isIP(address) !== 0 && !isAllowed(address)) return queueMicrotask(() => done(refusal(address), null));
    if (tunnel === null) return open(to, null, done);
    tunnel(`${hostname}:${to.port}`, (error, socket) => {
      if (error !== null || socket === null) done(error ?? new Error('no socket'), null);
      else if (secured) open(to, socket, done);
      else done(null, socket);
    });
  };
}

type Found = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

/**
 * Looks names up as Node does, and leaves out the refused addresses. Who asks while the same lookup is under way gets
 * its answer: four threads look up all names, so of a thousand connections opened at once most would wait their turn.
 */
function guarded(isAllowed: AddressCheck): (host: string, options: LookupOptions, done: Found) => void {
  type Take = (error: Error | null, found: LookupAddress[]) => void;
  const underWay = new Map<string, Take[]>();
  const lookUp = (host: string, options: LookupOptions, take: Take): void => {
    const name = JSON.stringify([host, options]);
    const waiting = underWay.get(name);
    if (waiting !== undefined) return void waiting.push(take);
    const takers = [take];
    underWay.set(name, takers);
    lookup(host, { ...options, all: true }, (error, found) => {
      underWay.delete(name);
      for (const each of takers) each(error, found);
    });
  };
  return (host, options, done) =>
    lookUp(host, options, (error, found) => {
      if (error !== null) return done(error, []);
      const allowed = found.filter(({ address }) => isAllowed(address));
      const [first] = allowed;
      if (first === undefined) return done(refusal(host), []);
      if (options.all === true) done(null, allowed);
      else done(null, first.address, first.family);
    });
}

const refusal = (host: string): Error =>
  Object.assign(new Error(`the address of ${host} is not one of a provider`), { code: addressCode });
