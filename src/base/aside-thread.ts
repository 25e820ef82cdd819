/** The worker thread of `aside.ts`: runs one computation after the other, and keeps nothing of them. */
import { parentPort } from 'node:worker_threads';
import type { Job, JobResult, Work } from './aside.ts';
import { Refusal } from './errors.ts';

async function run({ module, body, input }: Job): Promise<JobResult> {
  try {
    const { work } = (await import(module)) as { readonly work: Work<unknown, unknown> };
    const worked = work(Buffer.from(body.buffer, body.byteOffset, body.byteLength), input);
    if (worked instanceof Refusal) return { kind: 'refused', refusal: worked };
    const { value, body: made } = worked;
    // Buffers of the native core and those that share memory can't be handed over.
    return { kind: 'done', value, body: made === null ? null : new Uint8Array(made) };
  } catch (error) {
    return { kind: 'failed', error: error instanceof Error ? error.name : 'Error' };
  }
}

parentPort?.on('message', async (job: Job) => {
  const result = await run(job);
  const handedOver = result.kind === 'done' && result.body !== null ? [result.body.buffer] : [];
  parentPort?.postMessage(result, handedOver as ArrayBuffer[]);
  // V8 collects memory outside of its heap late: up to 64 MB of bodies would lie about in this thread.
  job.body.buffer.transfer(0);
});
