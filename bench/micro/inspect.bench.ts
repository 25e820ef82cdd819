/** Times `inspect`, the single pass over a request's body, compared with what JavaScript alone would need. */
import { createHmac, hash } from 'node:crypto';
import { configSchema } from '../../src/config/schema.ts';
import { inspect, nativeEndpoint } from '../../src/native/inspect.ts';
import { createScrubPolicies } from '../../src/scrub/policy.ts';
import { chatBody, personalData } from './samples.ts';

/** Name of this group in the report. */
export const subject = 'inspect';

const key = Buffer.alloc(32, 7);
const { request: scope } = createScrubPolicies(configSchema.parse({}).scrub, key).of('acme');
const look = (body: Buffer): unknown => inspect(body, nativeEndpoint.Chat, scope, false, key);

/** The same work in JavaScript: `JSON.parse` of the bytes, alone and with the two digests that `inspect` makes too. */
function twins(body: Buffer): { parse: () => unknown; digested: () => unknown } {
  const parse = (): unknown => JSON.parse(body.toString());
  return {
    parse,
    digested: () => [
      parse(),
      hash('sha256', body, 'hex'),
      createHmac('sha256', key)
        .update(hash('sha256', body, 'buffer'))
        .digest('hex'),
    ],
  };
}

/** The tasks to time. */
export function tasks(): Record<string, () => unknown> {
  const small = chatBody(1024);
  const personal = chatBody(1024, personalData);
  const large = chatBody(100 * 1024);
  return {
    'inspect, 1 KB': () => look(small),
    'inspect, 1 KB, an e-mail and a card masked': () => look(personal),
    'JSON.parse alone, 1 KB': twins(small).parse,
    'JSON.parse and both digests, 1 KB': twins(small).digested,
    'inspect, 100 KB': () => look(large),
    'JSON.parse alone, 100 KB': twins(large).parse,
    'JSON.parse and both digests, 100 KB': twins(large).digested,
  };
}
