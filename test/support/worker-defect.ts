/** Loaded into all threads of a sidecar by `--import`: workers fail at the second connection that they are handed. */
import { parentPort } from 'node:worker_threads';

type Listener = (message: { readonly kind?: string }) => void;

if (parentPort !== null) {
  const on = parentPort.on.bind(parentPort);
  let connections = 0;
  const failing = (event: string, listener: Listener) =>
    on(event, (message: Parameters<Listener>[0]) => {
      if (message.kind === 'connection') connections += 1;
      if (connections === 2) throw new Error('A defect of this test.');
      listener(message);
    });
  Object.defineProperty(parentPort, 'on', { value: failing });
}
