/** Generates thousands of request bodies with everything that may occur in one, valid or not. */
import type { Random } from './native-random.ts';

const words = [
  ...[
    '',
    ' ',
    '.',
    ',',
    "'",
    '-',
    '_',
    '@',
    '@@',
    '..',
    '\n',
    '\t',
    '"',
    '\\',
    '/',
    '\u0000',
    '\u007f',
    'x',
    '7',
    ' 7',
  ],
  ...[
    'hello',
    'äöü',
    '你好',
    '으로',
    '🚀',
    '\u2028',
    '\ud83d',
    '\ude00',
    '\ud83d\ude00',
    '\uffff',
    'e\u0301',
    '\u2024',
    '\ufe6b',
    '%40',
    '\\\\u0040',
  ],
  ...[
    'bob@acme.com',
    "'o'brien@acme.co.uk'",
    'a.b+c_d%e-f@x-y.example',
    'ü@münchen.de',
    '用户@例子.公司',
    'a@b.c1',
  ],
  ...[
    'a@b',
    'a@.com',
    '.a@b.cc',
    'a.@b.cc',
    'a@b.cc.',
    'a@-b.cc',
    'a@b-.cc',
    'pkg@1.2.30',
    'a@1.2.x3',
    '@acme.com',
  ],
  ...[
    'a'.repeat(63),
    `${'b'.repeat(62)}.`,
    '.cc',
    '@b.cc',
    'a@b.',
    '[EMAIL_1]',
    '[EMAIL_2]',
    '[CARD_1]',
    '[EMAIL_01]',
  ],
  ...[
    '4111111111111111',
    '4111 1111 1111 1111',
    '4111-1111-1111-1111',
    '378282246310005',
    '3782 822463 10005',
  ],
  ...[
    '5555555555554444',
    '2223003122003222',
    '4222222222222',
    '6011000990139424',
    '4111111111111112',
    '4444444444444',
  ],
  ...[
    '4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1',
    '4111 11',
    '11 1111',
    '1111',
    '-1',
    '.5',
    '41111111',
    '11111111',
    '5e3',
  ],
];

const keys = [
  ...[
    'model',
    'messages',
    'stream',
    'max_tokens',
    'max_completion_tokens',
    'n',
    'stream_options',
    'tools',
    'input',
  ],
  ...[
    'system',
    'response_format',
    'user',
    'prompt',
    'functions',
    'content',
    'type',
    'role',
    'id',
    'name',
    'data',
    'url',
  ],
  ...[
    'signature',
    'encrypted_content',
    'text',
    'include_usage',
    'format',
    'output_config',
    'output_format',
    'thinking',
  ],
  ...[
    'reasoning',
    'reasoning_effort',
    'web_search_options',
    'cache_control',
    'ttl',
    'service_tier',
    'speed',
    'background',
    'arguments',
    'x',
    '',
    '__proto__',
    '0',
  ],
];

const types = [
  ...[
    'text',
    'image_url',
    'image',
    'input_image',
    'input_audio',
    'file',
    'document',
    'tool_use',
    'tool_result',
  ],
  ...[
    'function',
    'custom',
    'web_search',
    'json_schema',
    'json_object',
    'enabled',
    'disabled',
    'none',
    'imagE',
    'priority',
    'fast',
    '1h',
  ],
];

const numbers = [
  '0',
  '1',
  '-0',
  '-1',
  '100',
  '1e2',
  '5.0',
  '1.5',
  '1E+2',
  '1e400',
  '4294967295',
  '99999999999',
  '-1.5e-7',
];
const spaces = ['', '', '', '', ' ', '\n  ', '\t', '\r\n'];
const shorts: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** Writes a string, with escapes only as needed or with more; a fifth of all strings has many. */
function writeText(random: Random, text: string): string {
  const often = random.once(5) ? 4 : 400;
  let out = '"';
  for (const c of text) {
    const code = c.charCodeAt(0);
    const lone = c.length === 1 && code >= 0xd800 && code <= 0xdfff;
    const must = code < 0x20 || c === '"' || c === '\\' || lone;
    if (!must && !random.once(often)) out += c;
    else if (shorts[c] !== undefined && random.once(2)) out += shorts[c];
    else for (let i = 0; i < c.length; i++) out += `\\u${hex(random, c.charCodeAt(i))}`;
  }
  return `${out}"`;
}

function hex(random: Random, unit: number): string {
  const digits = unit.toString(16).padStart(4, '0');
  return random.once(2) ? digits : digits.toUpperCase();
}

function text(random: Random): string {
  let out = '';
  for (let i = random.below(7); i >= 0; i--) out += random.pick(words) + (random.once(2) ? ' ' : '');
  return writeText(random, out);
}

function list(random: Random, max: number, item: () => string): string {
  const items = Array.from(
    { length: random.below(max + 1) },
    () => random.pick(spaces) + item() + random.pick(spaces),
  );
  return items.join(',');
}

function object(random: Random, max: number, member: (key: string) => string): string {
  const entry = (): string => {
    const key = random.once(8) ? text(random) : random.pick(keys);
    const name = key.startsWith('"') ? key : writeText(random, key);
    return `${name}${random.pick(spaces)}:${random.pick(spaces)}${member(key)}`;
  };
  return `{${list(random, max, entry)}}`;
}

function any(random: Random, level: number): string {
  const kind = random.below(level > 4 ? 5 : 9);
  if (kind < 2) return text(random);
  if (kind === 2) return random.pick(numbers);
  if (kind === 3) return random.pick(['true', 'false', 'null']);
  if (kind === 4) return writeText(random, random.pick(types));
  if (kind < 7) return `[${list(random, 3, () => any(random, level + 1))}]`;
  return object(random, 4, (key) =>
    key === 'type' ? writeText(random, random.pick(types)) : any(random, level + 1),
  );
}

function part(random: Random, level: number): string {
  const nested =
    level < 3 && random.once(3) ? `,"content":[${list(random, 2, () => part(random, level + 1))}]` : '';
  return `{"type":${writeText(random, random.pick(types))},"text":${text(random)}${nested}}`;
}

function message(random: Random): string {
  const content = random.once(2) ? text(random) : `[${list(random, 3, () => part(random, 0))}]`;
  return random.once(9) ? any(random, 2) : `{"role":"user","content":${content}}`;
}

const good: Readonly<Record<string, (random: Random) => string>> = {
  model: (random) => writeText(random, random.pick(['gpt-4o', 'claude-sonnet-4-5', 'bob@acme.com', ''])),
  messages: (random) => `[${list(random, 3, () => message(random))}]`,
  stream: (random) => random.pick(['true', 'false', 'null']),
  max_tokens: (random) => random.pick(['1', '1e2', 'null', '5.0', '99999999999']),
  max_completion_tokens: (random) => random.pick(['7', '-0', 'null']),
  n: (random) => random.pick(['1', '2', 'null', '5e9']),
  stream_options: (random) =>
    random.once(3) ? any(random, 3) : `{"include_usage":${random.pick(['true', 'false'])}}`,
  tools: (random) => `[${list(random, 2, () => any(random, 3))}]`,
  input: (random) => (random.once(2) ? text(random) : `[${list(random, 3, () => text(random))}]`),
  system: (random) => (random.once(2) ? text(random) : `[${list(random, 2, () => part(random, 2))}]`),
  response_format: (random) => `{"type":${writeText(random, random.pick(types))}}`,
  user: text,
};

/** A body: usually a valid request, otherwise random contents. */
export function generate(random: Random): string {
  if (random.once(60)) return nest(random);
  if (random.once(20)) return random.pick(spaces) + any(random, 0);
  const names = new Set(Array.from({ length: random.below(7) }, () => random.pick(keys)));
  const list = [...names, ...(random.once(30) ? names : [])];
  const members = list.map((name) => {
    const value = random.once(25)
      ? any(random, 3)
      : ((Object.hasOwn(good, name) ? good[name]?.(random) : undefined) ?? any(random, 2));
    return `${writeText(random, name)}:${random.pick(spaces)}${value}${random.pick(spaces)}`;
  });
  return `${random.pick(spaces)}{${random.pick(spaces)}${members.join(',')}}${random.pick(spaces)}`;
}

/** A value nested about as deep as is allowed. */
function nest(random: Random): string {
  const depth = 250 + random.below(10);
  const opened = Array.from({ length: depth - 1 }, () => random.pick(['[', '{"a":']));
  const closed = opened.map((open) => (open === '[' ? ']' : '}')).reverse();
  const siblings = random.once(2) ? '[],' : '';
  return `{"x":${opened.join('')}${opened.at(-1) === '[' ? siblings : ''}1${closed.join('')}}`;
}
