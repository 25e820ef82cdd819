/**
 * Prompts of near-misses, built against each anchor of the matchers: ten times the text takes no more than about ten times
 * the CPU time. The core's own tests count steps; these measure what a client could make a sidecar spend.
 */
import { expect, test } from 'vitest';
import { piiAction, piiKinds, policyOf, scrubDocument } from '../../src/native/pii.ts';

const names = piiKinds.map(({ name }) => name);
const scope = {
  policy: policyOf(
    names.map((name) => ({ name, action: piiAction.Tokenise })),
    [],
    Buffer.alloc(32, 1),
  ),
  names,
  tenant: Buffer.alloc(0),
};

const nearMisses = [
  ...['@', 'a@', 'a@b.', '://', 'http://a:b@', 'www.a', '=', 'password=', 'token>', 'apiKey string = '],
  ...[
    '-----BEGIN ',
    '-----BEGIN PRIVATE KEY',
    'eyJ',
    'eyJhbGciOiJIUzI1NiIs.',
    'ghp_',
    '.sk-a',
    'AKIAAAAAAAAAAAAAAAA.',
  ],
  ...['4', '4 ', '4-', '4111 1111 1111 1112 ', '4 (', '+4', '00', '1.2.3.', '12.345.678/0001-'],
  ...['GB82 WEST ', '00:1A:', '::1', 'a1:', '1x1 ', 'born 1 ', 'ssn 123-45-', 'dl A123-', 'zip 1 ', 'call 1'],
  ...['1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb ', 'bc1q', '0x71C7656EC7ab88b098defB751B7401B5f6d8976F '],
  ...['\u00e41', '\uff11', '\u200b1', '\\u0040', '\\\\u0040', '\\n1'],
];

/** The least CPU time of several rounds, in µs. */
function cost(body: Buffer): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 3; round++) {
    const before = process.cpuUsage();
    scrubDocument(body, scope);
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, user + system);
  }
  return least;
}

test.each(nearMisses)('%j over and over takes linear time', (part) => {
  const body = (bytes: number): Buffer =>
    Buffer.from(`{"x":"${part.repeat(bytes / Buffer.byteLength(part))}"}`);
  const [short, long] = [cost(body(10_000)), cost(body(100_000))];
  // Quadratic work takes a hundred times as long. A busy machine's caches may double what is linear.
  expect(long).toBeLessThan(30 * Math.max(short, 500));
});
