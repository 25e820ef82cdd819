/** What replies are read by, whole or as streams: reasons, and what is stated of them. */
import type { Finish, ReplyFacts } from '../native/reply.ts';
import type { FinishReason, ReplyPart } from './chat-reply.ts';

/** A call without arguments has those of an empty object: apps parse them as JSON. */
export const noArguments = '{}';

/** A reply with tool calls ends for them, whatever reason the provider states. */
export const correctedReason = (reason: FinishReason, called: boolean): FinishReason =>
  called && (reason === 'stop' || reason === 'other') ? 'tool_calls' : reason;

/** The reasons as facts have them. */
export const finishes: Readonly<Record<FinishReason, Finish>> = {
  stop: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  tool_calls: 'tool',
  content_filter: 'filter',
  refusal: 'filter',
  other: 'other',
  failed: 'other',
};

/** Whether a part is content without any text. */
export const isWhole = (kind: ReplyPart['kind']): kind is 'redacted' | 'picture' =>
  kind === 'redacted' || kind === 'picture';

/** Facts that only some replies state. */
export const statedOf = (reasoningTokens = 0, model = ''): Pick<ReplyFacts, 'reasoningTokens' | 'model'> => ({
  ...(reasoningTokens === 0 ? {} : { reasoningTokens }),
  ...(model === '' ? {} : { model }),
});
