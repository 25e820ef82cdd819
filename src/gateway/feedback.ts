/** `POST /v1/cache/feedback`: a caller says whether a cached answer to a question in other words was right. */
import { Refusal } from '../base/errors.ts';
import { addRequestId } from '../dialects/refusal.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Reply } from '../exchange/reply.ts';
import type { Passage } from '../passage.ts';

const bytesMax = 4096;

/** Takes `{"request_id": "…", "correct": false}`: the id that the cached answer's `x-request-id` has. */
export function takeFeedback(identity: Identity, passage: Passage): Reply | Refusal {
  const { exchange, stages } = passage;
  const given = read(exchange.body);
  if (given instanceof Refusal) return given;
  if (!stages.cache.feedback(identity.tenant, given.id, given.correct))
    return new Refusal(
      'answer_unknown',
      'No cached answer to a question in other words has this request id.',
      {
        param: 'request_id',
      },
    );
  passage.close({ status: 200 });
  const headers = ['content-type', 'application/json'];
  addRequestId(exchange.endpoint.dialect, exchange.id, headers);
  return { kind: 'whole', status: 200, headers, body: Buffer.from('{"recorded":true}') };
}

function read(body: Buffer): { readonly id: string; readonly correct: boolean } | Refusal {
  let given: { readonly request_id?: unknown; readonly correct?: unknown } = {};
  try {
    if (body.length <= bytesMax) given = (JSON.parse(body.toString('utf8')) ?? {}) as typeof given;
  } catch {
    return new Refusal('invalid_json', 'The body is not valid JSON.');
  }
  const { request_id: id, correct } = given;
  if (typeof id !== 'string') return wrongField('request_id', 'the x-request-id of a cached answer');
  if (typeof correct !== 'boolean') return wrongField('correct', 'true or false');
  return { id, correct };
}

const wrongField = (name: string, what: string): Refusal =>
  new Refusal('invalid_field', `The field "${name}" must be ${what}.`, { param: name });
