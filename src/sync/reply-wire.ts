/** Stored replies as pods tell each other of them: a JSON head, and the body as it is. */
import type { StoredReply } from '../exchange/reply.ts';

/** A stored reply without its body. */
export type ReplyHead = Omit<StoredReply, 'body'>;

const isText = (value: unknown): value is string => typeof value === 'string';

/** All but its body. */
export const replyHead = ({
  status,
  contentType,
  stream,
  target,
  dropped,
  costNanoUsd,
}: StoredReply): ReplyHead => ({
  status,
  contentType,
  stream,
  target,
  costNanoUsd,
  ...(dropped !== undefined && { dropped }),
});

/** Reads a head that another pod has written; null: it isn't one. */
export function readReplyHead(given: Partial<ReplyHead>): ReplyHead | null {
  const { status, contentType, stream, target, dropped, costNanoUsd } = given;
  const texts = isText(contentType) && isText(target) && (dropped === undefined || isText(dropped));
  if (!texts || typeof stream !== 'boolean' || !Number.isInteger(status) || !Number.isFinite(costNanoUsd)) {
    return null;
  }
  return {
    status: status as number,
    contentType,
    stream,
    target,
    costNanoUsd: costNanoUsd as number,
    ...(dropped !== undefined && { dropped }),
  };
}
