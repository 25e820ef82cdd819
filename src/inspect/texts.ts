/** The texts of a request that a recogniser is asked about: read here and now, or where the body is large, in a thread. */
import type { Aside, Waits, Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { isForm, readForm } from '../base/multipart.ts';
import { scriptOf } from '../base/place.ts';
import { type PromptTexts, promptTexts } from '../native/pii.ts';
import { factsOf } from './auxiliary.ts';
import type { Received } from './inspect.ts';

/** Bodies up to this size are read at once, which takes 1 ns a byte. */
const atOnceMaxBytes = 64 * 1024;

const module = scriptOf('inspect/texts').href;

const noTexts: PromptTexts = { texts: [], strings: [] };

function read({ headers, body, endpoint }: Received): PromptTexts | Refusal {
  const { auxiliary, inspectedAs, kind } = endpoint;
  if (kind === 'passthrough' || auxiliary?.takes === 'nothing') return noTexts;
  const type = headers['content-type'] ?? '';
  if (auxiliary === undefined || !isForm(type)) return promptTexts(body, inspectedAs);
  const form = readForm(body, type);
  if (form instanceof Refusal) return form;
  const facts = factsOf(form, body);
  return facts instanceof Refusal ? facts : promptTexts(facts, inspectedAs);
}

/** Reads texts in a thread, where buffers come as plain bytes. */
export const work: Work<Omit<Received, 'body'>, PromptTexts> = (body, request) => {
  const value = read({ ...request, body });
  return value instanceof Refusal ? value : { value, body: null };
};

/** The texts of a request that was inspected. Refuses it if it can't wait for them. */
export function textsOf(
  request: Received,
  aside: Aside,
  waits: Waits,
): PromptTexts | Refusal | Promise<PromptTexts | Refusal> {
  const { headers, body, endpoint } = request;
  if (body.length <= atOnceMaxBytes) return read({ headers, body, endpoint });
  return aside
    .run<Omit<Received, 'body'>, PromptTexts>(module, body, { headers, endpoint }, waits)
    .then((done) => (done instanceof Refusal ? done : done.value));
}
