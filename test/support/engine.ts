/** A self-hosted engine under a test's control. */
import { onTestFinished } from 'vitest';
import { type Script, startUpstream, type Upstream } from './upstream.ts';

/** Settings of a probe that runs only when the test asks for it. */
export const probe = { intervalMs: 600_000, timeoutMs: 2_000, failuresMax: 2 };

/** Starts an engine that answers each path with a page: a status, or a text with 200. */
export async function engineServer(
  pages: Record<string, number | string>,
  model?: Script,
): Promise<Upstream> {
  const upstream = await startUpstream((call) => {
    if (call.method === 'POST') return model?.(call);
    const page = pages[call.path] ?? 404;
    if (typeof page === 'string') call.whole(200, { 'content-type': 'text/plain' }, page);
    else if (page > 0) call.whole(page, {}, '{}');
  });
  onTestFinished(() => upstream.close());
  return upstream;
}
