/** Counts a request's tokens by the built-in tokenizer, for models whose providers have no endpoint for that. */
import { Refusal } from '../base/errors.ts';
import { dialects } from '../dialects/index.ts';
import { addRequestId } from '../dialects/refusal.ts';
import type { Reply } from '../exchange/reply.ts';
import type { Passage } from '../passage.ts';
import type { Work } from './stages.ts';

/** Answers in the client's dialect. A prompt that can't be counted in time is estimated from its bytes. Never rejects. */
export function countHere({ request }: Work, passage: Passage): Promise<Reply | Refusal> {
  const { exchange, stages, permit } = passage;
  const { dialect } = exchange.endpoint;
  const job = { endpoint: { dialect, kind: 'chat' as const }, prompt: request.body, replies: [] };
  return new Promise((resolve) => {
    stages.counter.count(job, (counts) => {
      const tokens = counts?.promptTokens ?? stages.estimator.tokens(request.model, request.textBytes);
      const written = dialects[dialect].tokenCount?.(tokens);
      if (written === undefined)
        return resolve(new Refusal('internal', `No client of ${dialect} counts tokens.`));
      passage.close({ status: 200 });
      const headers = ['content-type', 'application/json'];
      addRequestId(dialect, exchange.id, headers);
      headers.push(...(permit?.headers ?? []));
      resolve({ kind: 'whole', status: 200, headers, body: Buffer.from(JSON.stringify(written)) });
    });
  });
}
