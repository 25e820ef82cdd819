/** Requests to a deployment of Azure, whose path names it, made the same as OpenAI's, whose bodies name the model. */
import type { Aside, Work } from '../base/aside.ts';
import { Refusal } from '../base/errors.ts';
import { isForm, readForm } from '../base/multipart.ts';
import { scriptOf } from '../base/place.ts';
import { type Named, renameModel } from '../dialects/edit.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { bodyFlags, inspect, type NativeEndpoint } from '../native/inspect.ts';
import { findNothing } from '../native/pii.ts';

/** Longer bodies are read in a thread: the worst take 12 ns a byte. */
const atOnceMaxBytes = 128 * 1024;
const module = scriptOf('inspect/deployment').href;

/** What must be known of a body to write a model into it. */
interface ToName {
  readonly type: string;
  readonly inspectedAs: NativeEndpoint;
  readonly deployment: string;
}

/** Writes a deployment into the body of a request, as its model. Null: it is done. @param deadlineMs monotonic ms */
export function nameDeployment(
  exchange: Exchange,
  deployment: string,
  aside: Aside,
  deadlineMs: number,
): null | Promise<Refusal | null> {
  const { body, headers, endpoint, cancellation } = exchange;
  const { 'content-type': type = '' } = headers;
  const order: ToName = { type, inspectedAs: endpoint.inspectedAs, deployment };
  if (body.length > atOnceMaxBytes)
    return aside.run<ToName, null>(module, body, order, { cancellation, deadlineMs }).then((done) => {
      if (done instanceof Refusal) return done;
      exchange.body = done.body ?? body;
      return null;
    });
  exchange.body = withModel(body, order);
  return null;
}

/** Does it in a thread. */
export const work: Work<ToName, null> = (body, order) => {
  const named = withModel(body, order);
  return { value: null, body: named === body ? null : named };
};

/** The body, JSON or a form, with its model. One that can't be read stays as it is: it is refused when it is inspected. */
function withModel(body: Buffer, { type, inspectedAs, deployment }: ToName): Buffer {
  const named = isForm(type) ? namedInForm(body, type) : namedInJson(body, inspectedAs);
  return named === null ? body : renameModel(named, deployment);
}

function namedInForm(body: Buffer, type: string): Named | null {
  const form = readForm(body, type);
  if (form instanceof Refusal) return null;
  const { start, end } = form.parts.find(({ name }) => name === 'model') ?? { start: 0, end: 0 };
  const model = body.toString('utf8', start, end);
  return { body, form, model, modelStart: start, modelEnd: end, firstField: 0 };
}

/** Its digest is not used. */
const noKey = Buffer.alloc(32);

function namedInJson(body: Buffer, inspectedAs: NativeEndpoint): Named | null {
  const found = inspect(body, inspectedAs, findNothing, false, noKey);
  if ('kind' in found) {
    const { kind, offset } = found;
    // LangChain sends `null` where it knows nothing but the deployment.
    const isNull =
      kind === 'type' && found.field === 'model' && body.toString('latin1', offset, offset + 4) === 'null';
    // As if its first and last letter were quotes.
    return isNull ? { body, model: '', modelStart: offset + 1, modelEnd: offset + 3, firstField: 0 } : null;
  }
  const { modelStart, modelEnd, firstField, flags } = found;
  const raw = body.toString('utf8', modelStart, modelEnd);
  const model = (flags & bodyFlags.modelEscaped) === 0 ? raw : String(JSON.parse(`"${raw}"`));
  return { body, model, modelStart, modelEnd, firstField };
}
