/** `GET /v1/models`: the models the caller may use in its own dialect, by the routes' names. */
import { authenticate, denyModel } from './authenticate/authenticate.ts';
import { Refusal } from './base/errors.ts';
import { dialects } from './dialects/index.ts';
import { addRequestId } from './dialects/refusal.ts';
import type { Exchange } from './exchange/exchange.ts';
import type { Identity } from './exchange/identity.ts';
import type { Reply } from './exchange/reply.ts';
import { Passage } from './passage.ts';
import { findWay, modelNames } from './route/route.ts';
import type { Stages } from './stages.ts';

/** Answers the list, or one model of it. */
export function listModels(exchange: Exchange, stages: Stages): Reply | Promise<Reply> {
  const passage = new Passage(exchange, stages);
  const caller = authenticate(exchange.headers, stages.keyring);
  return caller instanceof Promise
    ? caller.then((identity) => listFor(identity, passage))
    : listFor(caller, passage);
}

function listFor(identity: Identity | Refusal, passage: Passage): Reply {
  if (identity instanceof Refusal) return passage.refuse(identity);
  const { exchange, stages } = passage;
  passage.identity = identity;
  const dialect = dialects[exchange.endpoint.dialect];
  const name = nameIn(exchange.path);
  if (name === null) {
    const speaks = (model: string): boolean =>
      !(findWay(model, exchange.endpoint, stages.routes) instanceof Refusal);
    const names = modelNames(stages.routes).filter(
      (model) => speaks(model) && denyModel(identity, model) === null,
    );
    return answer(passage, dialect.models(names));
  }
  const found = findWay(name, exchange.endpoint, stages.routes);
  if (found instanceof Refusal) return passage.refuse(found);
  const denied = denyModel(identity, name);
  return denied === null ? answer(passage, dialect.model(name)) : passage.refuse(denied);
}

function answer(passage: Passage, body: Buffer): Reply {
  passage.close({ status: 200 });
  const { endpoint, id } = passage.exchange;
  const headers = ['content-type', 'application/json'];
  addRequestId(endpoint.dialect, id, headers);
  return { kind: 'whole', status: 200, headers, body };
}

/** The name after `/v1/models/` or `/v1beta/models/`, null for the list. */
function nameIn(path: string): string | null {
  const name = path.replace(/^\/v1(?:beta)?\/models/, '').replace(/^\/+|\/+$/g, '');
  try {
    return name === '' ? null : decodeURIComponent(name);
  } catch {
    return name;
  }
}
