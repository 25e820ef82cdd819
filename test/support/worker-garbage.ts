/** Loaded into all threads of a sidecar by `--import`: workers say when what they dropped as the memory is full is collected. */
import { parentPort } from 'node:worker_threads';

type Listener = (message: { readonly kind?: string }) => void;

if (parentPort !== null) {
  const on = parentPort.on.bind(parentPort);
  let kept: object | null = {};
  // What nobody refers to is collected, and says nothing then.
  const state = { said: new FinalizationRegistry<string>((said) => process.stdout.write(said)) };
  Object.assign(globalThis, { state });
  state.said.register(kept, 'A worker has collected its garbage.\n');
  const dropping = (event: string, listener: Listener) =>
    on(event, (message: Parameters<Listener>[0]) => {
      if (message.kind === 'full') kept = null;
      listener(message);
    });
  Object.defineProperty(parentPort, 'on', { value: dropping });
  void kept;
}
