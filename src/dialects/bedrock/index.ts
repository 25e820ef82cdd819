/**
 * The Bedrock dialect: Amazon's Converse and ConverseStream, which only providers speak.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html
 */
import type { Dialect } from '../dialect.ts';
import { withoutClients } from '../provider-only.ts';
import { opening } from '../turns.ts';
import { fault, readError } from './errors.ts';
import { createFramer, statedIn } from './event-stream.ts';
import { readReply } from './reply.ts';
import { createReader } from './stream.ts';
import { writeRequest } from './write-request.ts';

/** The Bedrock dialect. */
export const bedrock: Dialect = {
  ...withoutClients,
  name: 'bedrock',
  billingHeaders: [],
  chatProvider: {
    native: 'any',
    // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
    trimsEnd: true,
    turns: { documentText: true, opening: { role: 'user', content: [{ text: opening }] } },
    toolNames: /^[a-zA-Z0-9_-]{1,64}$/,
    jsonInWords: true,
    systemApart: true,
    streamType: 'application/vnd.amazon.eventstream',
    writeRequest,
    readReply,
    createReader,
    createFramer,
    statedIn,
    readError,
  },
  // For Bedrock API keys; with other AWS credentials, each request is signed.
  credential: (apiKey) => ['authorization', `Bearer ${apiKey}`],
  fault,
};
