/** Times `inspect`, the one pass over a request's body, against what JavaScript alone would need. */
import { createHmac, hash } from 'node:crypto';
import { inspect, nativeEndpoint } from '../../src/native/inspect.ts';
import { PiiFinder, piiKinds } from '../../src/native/pii.ts';
import { chatBody, personalData } from './samples.ts';

export const subject = 'inspect';

const key = Buffer.alloc(32, 7);
const finder = new PiiFinder(piiKinds.map(({ name }) => name));
const look = (body: Buffer): unknown => inspect(body, nativeEndpoint.Chat, finder, false, key);

/** What `JSON.parse` costs from the bytes, and with the two digests that `inspect` makes as well. */
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
