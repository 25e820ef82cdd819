/** A way to a server that can be lost: what is sent over it then arrives nowhere, and nobody is told. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A relay before a port of this machine. */
export interface Relay {
  readonly port: number;
  /** Connections that are open stay so, and nothing passes any more; new ones work. */
  lose(): void;
  close(): void;
}

/** Opens one. @param port of the server behind it */
export async function openRelay(port: number): Promise<Relay> {
  const all = new Set<Socket>();
  let open: Socket[] = [];
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      all.add(from);
      open.push(from);
      from.on('data', (bytes) => to.write(bytes));
      from.on('error', () => {});
      from.on('close', () => to.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: address === null || typeof address === 'string' ? 0 : address.port,
    lose() {
      for (const socket of open) socket.removeAllListeners('data').resume();
      open = [];
    },
    close() {
      server.close();
      for (const socket of all) socket.destroy();
    },
  };
}
