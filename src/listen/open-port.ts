/** Opens the data port: a port, or a Unix socket, whose file a killed process may have left. */
import { lstatSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { ListenSettings } from './settings.ts';

type Address = Pick<ListenSettings, 'host' | 'port' | 'socket' | 'connectionsMax'>;

/** Begins to listen. Rejects if somebody else does, or may not. */
export async function openPort(server: Server, address: Address): Promise<void> {
  try {
    await listening(server, address);
  } catch (cause) {
    const { socket } = address;
    if (socket === undefined || codeOf(cause) !== 'EADDRINUSE' || !(await isLeft(socket))) throw cause;
    // Nobody else removes it, so that the process could never start again.
    unlinkSync(socket);
    await listening(server, address);
  }
}

/** Clients that connect while the process is busy wait for it; beyond the backlog they would try again after seconds. */
function listening(server: Server, { host, port, socket, connectionsMax }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const at = socket === undefined ? { host, port } : { path: socket };
    server.listen({ ...at, backlog: connectionsMax }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Whether a path is a socket that nobody listens on any more. */
async function isLeft(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (cause) => resolve(codeOf(cause) === 'ECONNREFUSED'));
  });
}

const codeOf = (cause: unknown): unknown =>
  cause instanceof Error && 'code' in cause ? cause.code : undefined;
