/**
 * Prompts of near-misses, built against each matcher: 1 MB takes no more than about a hundred times the CPU time of 10 KB. The
 * core's own tests count steps; these measure what a client could make a sidecar spend.
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

/** Almost a value of each kind, or of several, and what matchers are anchored at. */
const nearMisses = [
  ...[
    '-----BEGIN ',
    '-----BEGIN RSA PRIVATE KEY',
    'postgres://a:@',
    '://',
    'http://a:b@',
    'eyJ',
    'eyJhbGciOiJIUzI1NiIs.',
  ],
  ...[
    'ghp_',
    '.sk-a',
    'sk-ant-',
    'AKIAAAAAAAAAAAAAAAA.',
    '=',
    'password=',
    'secret=',
    'secret=s1',
    'token>',
    'apiKey string = ',
  ],
  ...[
    'password is ',
    '@',
    'a@',
    'a@b.',
    'a%40',
    'GB82',
    'GB82 WEST ',
    '4111 1111 1111 1112 ',
    '4',
    '4 ',
    '44 ',
    '444 ',
    '4-',
  ],
  ...[
    'ssn 123-45-',
    '912-78-345 ',
    'routing 021000022 ',
    'dl A123-',
    'licence 12 34 ',
    'passport 1234567 8 ',
    '943 476 5918 ',
  ],
  ...[
    'AB 12 34 56 E ',
    'pps 6433435E ',
    '54362315-A ',
    'NIF 501964844 ',
    'RCCMNL83S18D969A ',
    'pesel 44051401358 ',
    '36 574 261 800 ',
  ],
  ...[
    '2 95 10 99 126 111 94 ',
    '1 85 05 2A 006 084 36 ',
    'bsn 111222334 ',
    '880320-0017 ',
    '131052-308U ',
    '85.07.30-033.29 ',
  ],
  ...[
    '756.9217.0769.86 ',
    'kimlik 17291716061 ',
    '390.533.447-06 ',
    '12.345.678/0001-',
    'aadhaar 2341 2341 2347 ',
    'ABCPE1234 ',
  ],
  ...[
    '11010519491231002Z ',
    '971013-9019903 ',
    'S1234567A ',
    'tfn 123 456 783 ',
    'sin 123 456 783 ',
    'BOXW310820HNERXN08 ',
  ],
  ...[
    'sa id 7503305044088 ',
    '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb ',
    'bc1q',
    '0x71C7656EC7ab88b098defB751B7401B5f6d8976F ',
  ],
  ...[
    '00:1A:',
    '00:1A:2b:3C:4d:5e:',
    '::1',
    'a1:',
    '1.2.3.',
    '1.2.3.4.',
    'born 1 ',
    'born 24 June ',
    'call 1',
    '4 (',
    '+4',
    '00',
    '0)0 ',
  ],
  ...[
    'zip 1 ',
    'address\\n 1 ',
    'www.a',
    '1x1 ',
    '\u00e41',
    '\uff11',
    '\u200b1',
    '1\u0336',
    '\\u0040',
    '\\\\u0040',
    '\\n1',
  ],
  ...['12 34 56 78 ', '1 23 4 56 7 ', '{\\"a\\":1234567,', '\\\\', '\\\\\\"1234567,'],
];

/** The least CPU time of some rounds, in µs. */
function cost(body: Buffer, rounds: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    scrubDocument(body, scope);
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, user + system);
  }
  return least;
}

test.each(nearMisses)('%j over and over takes linear time', (part) => {
  const body = (bytes: number): Buffer =>
    Buffer.from(`{"x":"${part.repeat(bytes / Buffer.byteLength(part))}."}`);
  const [short, long] = [cost(body(10_000), 5), cost(body(1_000_000), 1)];
  // Quadratic work takes ten thousand times as long. A busy machine's caches may triple what is linear.
  expect(long).toBeLessThan(300 * Math.max(short, 500));
});
