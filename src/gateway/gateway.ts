/** The pipeline: takes one request through the stages, in the order of the diagram in README.md. */
import { authenticate } from '../authenticate/authenticate.ts';
import { Refusal } from '../base/errors.ts';
import { deliverAnswer } from '../deliver/deliver.ts';
import { deliverLate, mayBeginEarly, orLate } from '../deliver/late.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Reply } from '../exchange/reply.ts';
import { Passage } from '../passage.ts';
import { scrub } from '../scrub/scrub.ts';
import type { Stages } from '../stages.ts';
import { countHere } from './count.ts';
import { debugOf, explainOnly, withDebug } from './debug.ts';
import { takeFeedback } from './feedback.ts';
import { listModels } from './models.ts';
import { run, type Steps, wait } from './run.ts';
import { ask, awaitTurn, choose, examine, lookUp, repeated, reserve } from './stages.ts';

/**
 * Takes a request through all stages. Never throws or rejects, and settles whatever it acquired exactly once. Returns a
 * promise only if the request had to wait; a cached reply, for example, is returned directly.
 */
export function handle(exchange: Exchange, stages: Stages): Reply | Promise<Reply> {
  const passage = new Passage(exchange, stages);
  const debug = debugOf(exchange, stages);
  return run(
    pipeline(passage, debug === 'dry'),
    (given) => {
      const reply = given instanceof Refusal ? passage.refuse(given) : given;
      return debug === 'beside' ? withDebug(reply, passage) : reply;
    },
    (cause) => {
      passage.reportDefect(cause);
      return passage.refuse(new Refusal('internal', 'Sidegate failed on this request.'));
    },
  );
}

/** @param dry explained instead of answered */
function* pipeline(passage: Passage, dry: boolean): Steps<Reply | Refusal> {
  const { exchange, stages } = passage;

  const caller = authenticate(exchange.headers, stages.keyring);
  const identity = caller instanceof Promise ? yield* wait(caller) : caller;
  if (identity instanceof Refusal) return identity;
  passage.identity = identity;
  passage.passed();
  if (exchange.endpoint.kind === 'models') return listModels(identity, passage);
  if (exchange.endpoint.kind === 'feedback') return takeFeedback(identity, passage);

  const examining = examine(identity, passage);
  const examined = examining instanceof Promise ? yield* wait(examining) : examining;
  if (examined instanceof Refusal) return examined;
  passage.passed();

  const choosing = choose(identity, examined, passage);
  const work = choosing instanceof Promise ? yield* wait(choosing) : choosing;
  if (work instanceof Refusal) return work;
  passage.passed();
  if (dry) return yield* explainOnly(work, passage);

  const first = repeated(work, passage);
  const earlier = first instanceof Promise ? yield* wait(first) : first;
  if (earlier !== null) return earlier;
  passage.passed();

  const reserved = reserve(work, passage);
  const refused = reserved instanceof Promise ? yield* wait(reserved) : reserved;
  if (refused !== null) return refused;
  passage.passed();

  const vault = passage.policy === null ? null : scrub(work.request, passage.policy);
  if (vault instanceof Refusal) return vault;
  passage.passed();

  if (work.countedHere) return yield* wait(countHere(work, passage));

  const found = lookUp(work, vault, passage);
  const stored = found instanceof Promise ? yield* wait(found) : found;
  if (stored !== null) return stored;
  passage.passed();

  const queued = awaitTurn(work, passage);
  const steps = queued instanceof Promise ? yield* wait(queued) : queued;
  if (steps instanceof Refusal) return steps;
  passage.passed();

  const asked = ask(work, steps, passage);
  const { keepAliveMs } = stages.config.listen;
  const answer = yield* wait(mayBeginEarly(passage) ? orLate(asked, keepAliveMs, stages.clock) : asked);
  if (answer === null) return deliverLate(asked, vault, passage);
  passage.trail = answer.trail;
  if (answer.kind === 'failed') return answer.refusal;
  passage.passed();
  const delivered = deliverAnswer(answer, vault, passage);
  return delivered instanceof Promise ? yield* wait(delivered) : delivered;
}
