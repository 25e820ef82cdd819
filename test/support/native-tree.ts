/** A JSON body as a tree with the position of every value, parsed the slow and obvious way. */
import type { Char } from './native-pii.ts';

/** A parsed value. Offsets are bytes of the body, including the quotes of strings. */
export interface Node {
  readonly type: 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';
  readonly start: number;
  end: number;
  readonly items: Node[];
  readonly members: { readonly key: Node; readonly value: Node }[];
  readonly chars: readonly Char[];
  text: string;
}

const shorts: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** Parses a body that JSON.parse accepts. */
export function parse(body: Buffer): Node {
  let at = 0;
  const space = (): void => {
    while (/^[ \n\r\t]$/.test(String.fromCharCode(body[at] ?? 0))) at++;
  };
  const node = (type: Node['type']): Node => ({
    type,
    start: at,
    end: at,
    items: [],
    members: [],
    chars: [],
    text: '',
  });

  function char(): Char {
    const start = at;
    if (body[at] !== 0x5c) {
      do at++;
      while (((body[at] ?? 0) & 0xc0) === 0x80);
      return { c: body.toString('utf8', start, at), start, end: at };
    }
    const letter = String.fromCharCode(body[at + 1] ?? 0);
    if (letter !== 'u') {
      at += 2;
      return { c: shorts[letter] ?? letter, start, end: at };
    }
    const whole = /^\\u[dD][89abAB]..\\u[dD][c-fC-F]../.exec(body.toString('latin1', at, at + 12));
    at += whole ? 12 : 6;
    const units = body.toString('latin1', start, at).split('\\u').slice(1);
    return { c: String.fromCharCode(...units.map((unit) => Number.parseInt(unit, 16))), start, end: at };
  }

  function string(): Node {
    const result = node('string');
    const chars: Char[] = [];
    at++;
    while (body[at] !== 0x22) chars.push(char());
    at++;
    return { ...result, end: at, chars, text: chars.map(({ c }) => c).join('') };
  }

  function value(): Node {
    space();
    const first = String.fromCharCode(body[at] ?? 0);
    if (first === '"') return string();
    if (first === '{' || first === '[') return container(first === '{');
    const result = node(first === 'n' ? 'null' : first === 't' || first === 'f' ? 'boolean' : 'number');
    while (at < body.length && !/^[\s,\]}]$/.test(String.fromCharCode(body[at] ?? 0))) at++;
    result.end = at;
    result.text = body.toString('latin1', result.start, at);
    return result;
  }

  function container(object: boolean): Node {
    const result = node(object ? 'object' : 'array');
    do {
      at++;
      space();
      if (body[at] === 0x7d || body[at] === 0x5d) break;
      if (object) {
        const key = string();
        space();
        at++;
        result.members.push({ key, value: value() });
      } else {
        result.items.push(value());
      }
      space();
    } while (body[at] === 0x2c);
    at++;
    result.end = at;
    return result;
  }

  return value();
}
