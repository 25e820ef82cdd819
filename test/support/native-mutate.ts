/** Damages request bodies. */
import type { Random } from './native-random.ts';

const splinters = [
  ...[
    '"',
    '\\',
    '\\u',
    '\\ud800',
    '\\udc00',
    '\\u00',
    '\\x',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '-',
    '.',
    'e',
    'E+',
    '0',
    '01',
  ],
  ...[
    '1e',
    '1.',
    'true',
    'nul',
    'null',
    ' ',
    '\n',
    '\u0000',
    '\u001f',
    '\u007f',
    '\ufeff',
    '\u00a0',
    '//',
    '@b.cc',
    '@',
  ],
  ...[
    ',"stream":true',
    ',"model":"x"',
    '"mod\\u0065l":"y",',
    '4111111111111111',
    '[EMAIL_1]',
    '['.repeat(300),
    'NaN',
  ],
].map((splinter) => Buffer.from(splinter));
const broken = [[0xff], [0xc0, 0x80], [0xe4], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0x80]].map(
  (bytes) => Buffer.from(bytes),
);

/** Damages a body at byte level, in one to three places. */
export function mutate(random: Random, body: Buffer): Buffer {
  let out = body;
  for (let i = random.below(3); i >= 0; i--) {
    const start = random.below(out.length + 1);
    const end = Math.min(out.length, start + random.below(4));
    const from = random.below(out.length + 1);
    const insert = random.pick([
      () => random.pick(splinters),
      () => (random.once(4) ? random.pick(broken) : Buffer.alloc(0)),
      () => Buffer.of(random.below(128)),
      () => out.subarray(from, Math.min(out.length, from + random.below(30))),
    ])();
    out = Buffer.concat([out.subarray(0, start), insert, out.subarray(random.once(2) ? start : end)]);
  }
  return out;
}
