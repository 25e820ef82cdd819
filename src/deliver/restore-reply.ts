/** Restores masked values in a whole reply: in a small one at once, in a large one as the work of another thread. */
import type { Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { scriptOf } from '../base/place.ts';
import type { Passage } from '../passage.ts';
import { restoreBody, type Vault } from '../scrub/scrub.ts';

/** Replies up to this size are restored at once: that takes 3 ns a byte. */
const atOnceMaxBytes = 1024 * 1024;

const module = scriptOf('deliver/restore-reply').href;

/** Restores a reply in a thread; no body: nothing was to be restored. */
export const work: Work<Vault, null> = (body, vault) => {
  const restored = restoreBody(body, vault);
  return { value: null, body: restored === body ? null : restored };
};

/** The reply with the values in it that were masked in its request. */
export function restoreReply(
  body: Buffer,
  vault: Vault | null,
  { stages, exchange: { cancellation }, deadlineMs }: Passage,
): Buffer | Promise<Buffer | Refusal> {
  if (vault === null) return body;
  if (body.length <= atOnceMaxBytes) return restoreBody(body, vault);
  return stages.aside
    .run<Vault, null>(module, body, vault, { cancellation, deadlineMs })
    .then((done) => (done instanceof Refusal ? done : (done.body ?? body)));
}
