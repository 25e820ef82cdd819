/** `GET /v1/models`: lists the models that the caller may use in its dialect. */
import { denyModel } from '../authenticate/authenticate.ts';
import { Refusal } from '../base/errors.ts';
import { dialects } from '../dialects/index.ts';
import { addRequestId } from '../dialects/refusal.ts';
import type { Identity } from '../exchange/identity.ts';
import type { Reply } from '../exchange/reply.ts';
import type { Passage } from '../passage.ts';
import { findWay, servedNames } from '../route/route.ts';

/** Answers with the list, or with one model of it. */
export function listModels(identity: Identity, passage: Passage): Reply | Refusal {
  const { exchange, stages } = passage;
  const dialect = dialects[exchange.endpoint.dialect];
  const name = nameIn(exchange.path);
  if (name === null) {
    const served = servedNames(stages.routes, exchange.endpoint);
    const names = served.filter((model) => denyModel(identity, model) === null);
    return answer(passage, dialect.models(names));
  }
  const found = findWay(name, exchange.endpoint, stages.routes);
  if (found instanceof Refusal) return found;
  const denied = denyModel(identity, name);
  return denied !== null && !passage.observes(denied) ? denied : answer(passage, dialect.model(name));
}

function answer(passage: Passage, body: Buffer): Reply {
  passage.close({ status: 200 });
  const { endpoint, id } = passage.exchange;
  const headers = ['content-type', 'application/json'];
  addRequestId(endpoint.dialect, id, headers);
  return { kind: 'whole', status: 200, headers, body };
}

/** The name after `/v1/models/`, `/v1beta/models/`, `/v1alpha/models/` or, for Azure's clients, `/openai/models/`; null: the list is requested. */
function nameIn(path: string): string | null {
  const name = path.replace(/^(?:\/openai)?(?:\/v1(?:beta|alpha)?)?\/models/, '').replace(/^\/+|\/+$/g, '');
  try {
    return name === '' ? null : decodeURIComponent(name);
  } catch {
    return name;
  }
}
