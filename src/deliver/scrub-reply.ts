/** Scrubs a whole reply by policy: a small one at once, a large one as the work of another thread. */
import type { Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { scriptOf } from '../base/place.ts';
import { type Findings, type NumberedScope, numbered, scopeOf, scrubDocument } from '../native/pii.ts';
import type { Passage } from '../passage.ts';

/** Replies up to this size are scrubbed at once, as requests are. */
const atOnceMaxBytes = 64 * 1024;

const module = scriptOf('deliver/scrub-reply').href;

/** Scrubs a reply in a thread. */
export const work: Work<NumberedScope, Findings> = (body, scope) => {
  const { body: scrubbed, findings } = scrubDocument(body, scopeOf(scope));
  return { value: findings, body: scrubbed === body ? null : scrubbed };
};

/** The reply without what the policy keeps from clients; what isn't text, such as sound, stays as it is. */
export function scrubReply(body: Buffer, passage: Passage): Buffer | Promise<Buffer | Refusal> {
  const scope = passage.policy?.reply ?? null;
  if (scope === null) return body;
  if (body.length > atOnceMaxBytes) {
    const { stages } = passage;
    const { cancellation } = passage.exchange;
    return stages.aside
      .run<NumberedScope, Findings>(module, body, numbered(scope), {
        cancellation,
        deadlineMs: passage.deadlineMs,
      })
      .then((done) => {
        if (done instanceof Refusal) return done;
        passage.replyFindings = done.value;
        return done.body ?? body;
      });
  }
  const { body: scrubbed, findings } = scrubDocument(body, scope);
  passage.replyFindings = findings;
  return scrubbed;
}
