/**
 * Delivers a stream whose answer is late: the head goes out, comments follow, and whatever comes of the request comes in
 * the same reply. Retries and fallbacks still happen unseen; a refusal becomes an error event, since its status is gone.
 */
import type { AttemptFailure, AttemptReply } from '../attempt/answer.ts';
import { Patience } from '../attempt/patience.ts';
import { Refusal } from '../base/errors.ts';
import { createListWriter } from '../dialects/gemini/list.ts';
import { dialects } from '../dialects/index.ts';
import { addRequestId } from '../dialects/refusal.ts';
import { type Chunks, following, generated, only } from '../exchange/chunks.ts';
import type { StreamReply, WholeReply } from '../exchange/reply.ts';
import type { Passage } from '../passage.ts';
import type { Vault } from '../scrub/scrub.ts';
import { deliverAnswer } from './deliver.ts';
import { isList, keepAliveOf, streamType } from './stream.ts';

type Answer = AttemptReply | AttemptFailure;

/** Whether a request's reply may begin before its answer is known: streams of events can say an error later. */
export const mayBeginEarly = ({ exchange, request }: Passage): boolean =>
  request?.stream === true && exchange.endpoint.kind === 'chat' && exchange.endpoint.auxiliary === undefined;

/** The answer if it comes within `ms`; null: it is late. @param clock monotonic ms */
export function orLate(asked: Promise<Answer>, ms: number, clock: () => number): Promise<Answer | null> {
  return new Promise((resolve, reject) => {
    const patience = new Patience(ms, () => resolve(null), clock);
    asked.then(
      (answer) => {
        patience.cancel();
        resolve(answer);
      },
      (cause: unknown) => {
        patience.cancel();
        reject(cause);
      },
    );
  });
}

/** A reply that begins now, and goes on with what is asked for. */
export function deliverLate(asked: Promise<Answer>, vault: Vault | null, passage: Passage): StreamReply {
  const { exchange, permit } = passage;
  const headers = ['content-type', isList(exchange) ? 'application/json' : streamType];
  addRequestId(exchange.endpoint.dialect, exchange.id, headers);
  headers.push(...(permit?.headers ?? []));
  const keepAlive = keepAliveOf(exchange);
  const chunks = following(Buffer.from(keepAlive), () => chunksOf(asked, vault, passage));
  return { kind: 'stream', status: 200, headers, keepAlive, chunks };
}

async function chunksOf(asked: Promise<Answer>, vault: Vault | null, passage: Passage): Promise<Chunks> {
  const { exchange } = passage;
  let refusal: Refusal;
  try {
    const answer = await asked;
    passage.trail = answer.trail;
    if (answer.kind === 'failed') refusal = answer.refusal;
    else if (answer.kind === 'whole' && answer.facts !== null) refusal = wholeAnswer(answer);
    else {
      passage.passed();
      const reply = await deliverAnswer(answer, vault, passage);
      if (!(reply instanceof Refusal) && reply.kind === 'stream') return reply.chunks;
      if (!(reply instanceof Refusal) && reply.kind === 'session')
        throw new Error('a session never begins early');
      refusal = reply instanceof Refusal ? reply : refusalOf(reply, answer);
    }
  } catch (cause) {
    passage.reportDefect(cause);
    refusal = new Refusal('internal', 'Sidegate failed on this request.');
  }
  const abandoned = exchange.cancellation.reason === 'client_gone';
  passage.close({ status: 200, error: abandoned ? '' : refusal.code, abandoned });
  const event = dialects[exchange.endpoint.dialect].errorEvent(refusal, exchange.id);
  const list = isList(exchange) ? createListWriter() : null;
  const last = list === null ? event : Buffer.concat([list.push(event), list.finish()]);
  return generated(only(last), (cause) => passage.reportDefect(cause));
}

/** An answer that can't be given, as its provider ignored that a stream was asked for: it is billed, but not kept. */
const wholeAnswer = ({ target }: AttemptReply): Refusal =>
  new Refusal('upstream_failed', `${target.label} sent its answer whole, after the stream had begun.`);

/** A provider's refusal, in its own words. */
function refusalOf({ status, body }: WholeReply, { target }: AttemptReply): Refusal {
  const said = target.provider.dialect.chatProvider?.readError(status, body).message ?? '';
  return new Refusal(
    'upstream_failed',
    `${target.label} answered with status ${status}${said === '' ? '.' : `: ${said}`}`,
  );
}
