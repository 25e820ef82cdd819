/** A port of the lane by itself, without the rest of the sidecar. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { onTestFinished } from 'vitest';
import { Connection, type LanePort } from '../../src/listen/lane.ts';

/** A port whose connections never leave the lane. */
export async function startLane(
  serve: LanePort['serve'],
  { firstMs = 60_000, idleMs = 60_000 } = {},
): Promise<{ readonly url: string; readonly lane: LanePort }> {
  const lane: LanePort = {
    connections: new Set(),
    firstMs,
    idleMs,
    closing: false,
    gatheringBytes: 0,
    serve,
    accepts: () => true,
    handOver: (socket) => void socket.destroy(),
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => new Connection(socket, lane));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    for (const { socket } of lane.connections) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, lane };
}

/** A request without a body. */
export const plainRequest = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n';
/** Times that nothing reaches but a client that never reads. */
export const times = { keepAliveMs: 60_000, clientTimeoutMs: 50 };
