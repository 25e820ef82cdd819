/** Streams as clients get them: values restored, events in the client's form; and those that follow another request's. */
import { type ErrorCode, Refusal } from '../base/errors.ts';
import type { Dialect } from '../dialects/dialect.ts';
import { createListWriter } from '../dialects/gemini/list.ts';
import { dialects } from '../dialects/index.ts';
import { type Chunks, generated } from '../exchange/chunks.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { ReplyFacts } from '../native/reply.ts';
import type { Passage } from '../passage.ts';
import { createRestorer } from '../scrub/restore.ts';
import type { Vault } from '../scrub/scrub.ts';
import type { Recording } from '../store/recording.ts';
import { Pace } from './pace.ts';

/** Content type of event streams. */
export const streamType = 'text/event-stream; charset=utf-8';
const keepAliveComment = ': keep-alive\n\n';
/** White space, allowed between the elements of a JSON list. */
const keepAliveSpace = '\n';

/** Whether a stream is sent as one JSON list. */
export const isList = ({ endpoint }: Exchange): boolean => endpoint.inPath?.list === true;

/** What is sent to keep a silent stream alive. */
export const keepAliveOf = (exchange: Exchange): string =>
  isList(exchange) ? keepAliveSpace : keepAliveComment;

/** Last step of a stream: values restored, events in the client's form. */
export interface Output {
  /** Whole events. */
  push(events: Buffer): Buffer;
  /** Text held back so far, then the last events of the stream. */
  finish(last: Buffer | null): Buffer;
}

/** Creates the last step of one stream. */
export function createOutput(exchange: Exchange, dialect: Dialect, vault: Vault | null): Output {
  const restorer = vault === null ? null : createRestorer(dialect, vault);
  const list = isList(exchange) ? createListWriter() : null;
  const form = (events: Buffer): Buffer => (list === null ? events : list.push(events));
  return {
    push: (events) => form(restorer === null ? events : restorer.push(events)),
    finish(last) {
      const pieces: Buffer[] = [];
      if (restorer !== null) pieces.push(form(restorer.finish()));
      if (last !== null) pieces.push(form(last));
      if (list !== null) pieces.push(list.finish());
      return Buffer.concat(pieces);
    },
  };
}

/**
 * Delivers the running stream of the first request, with the values of this request restored.
 * @param from whether they have one idempotency key, or came at once
 * @param left called at the end
 * @param bytes it is a stream of bytes, not of events
 */
export function followRecording(
  recording: Recording,
  from: 'replay' | 'joined',
  vault: Vault | null,
  passage: Passage,
  left: () => void,
  bytes: boolean,
): Chunks {
  let cut = false;
  const chunks = recorded(recording, from, vault, passage, left, (brokeOff) => {
    cut = brokeOff && bytes;
    return bytes;
  });
  return generated(
    chunks,
    (cause) => passage.reportDefect(cause),
    () => cut,
  );
}

const overdue = (): Refusal =>
  new Refusal(
    'stream_cut',
    'The time of this request (x-sidegate-timeout) was over before the end of the stream that it shares with an earlier one.',
  );

/** @param ended told whether it broke off; gives whether nothing may be added to it */
async function* recorded(
  recording: Recording,
  from: 'replay' | 'joined',
  vault: Vault | null,
  passage: Passage,
  left: () => void,
  ended: (brokeOff: boolean) => boolean,
): AsyncGenerator<Buffer> {
  const { exchange } = passage;
  const dialect = dialects[exchange.endpoint.dialect];
  const out = createOutput(exchange, dialect, vault);
  const { status, target } = recording.head;
  const following = recording.follow(exchange.cancellation);
  const pace = new Pace();
  // As a stream of its own would be cut.
  const leftMs = passage.deadlineMs - passage.stages.clock();
  const late = setTimeout(() => exchange.cancellation.cancel(overdue()), Math.max(0, leftMs));
  let error: ErrorCode | '' = '';
  let savedNanoUsd = 0;
  try {
    let step = await following.next();
    for (; step.done !== true; step = await following.next()) {
      yield out.push(step.value);
      await pace.after(step.value.length);
    }
    const { refusal } = step.value;
    savedNanoUsd = step.value.costNanoUsd;
    if (refusal !== null) error = refusal.code;
    const last =
      ended(refusal !== null) || refusal === null ? null : dialect.errorEvent(refusal, exchange.id);
    const rest = out.finish(last);
    if (rest.length > 0) yield rest;
  } finally {
    clearTimeout(late);
    left();
    const abandoned = exchange.cancellation.reason === 'client_gone';
    passage.close({ status, target, error, replayed: from === 'replay', savedNanoUsd, abandoned });
  }
}

/**
 * Whether a reply may be cached: only complete, successful answers, never tool calls, refusals or truncated text.
 * @param isText the reply is text, which ends with a finish reason; vectors and scores have none
 */
export function mayCache(facts: ReplyFacts, isText: boolean): boolean {
  if (facts.error || facts.tool || facts.refused) return false;
  // An empty answer answers nothing.
  if (isText) return facts.finish === 'stop' && facts.textBytes > 0;
  return facts.finish === 'stop' || facts.finish === 'none';
}
