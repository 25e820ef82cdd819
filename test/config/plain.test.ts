/** The fast reader of plain YAML against the full parser: the same value, or none. And what it is for: many keys. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDocument, stringify } from 'yaml';
import { readPlainYaml } from '../../src/config/plain-yaml.ts';
import { root } from '../support/documents.ts';

const valuesMax = 100_000;

/** What the full parser makes of a text; null: it finds a fault. */
function parsed(text: string): { value: unknown } | null {
  const doc = parseDocument(text, {
    prettyErrors: false,
    schema: 'core',
    resolveKnownTags: false,
    stringKeys: true,
    logLevel: 'error',
  });
  if (doc.errors.length > 0 || doc.warnings.length > 0) return null;
  try {
    return { value: doc.toJS() };
  } catch {
    return null;
  }
}

/** Holds the two against each other; true: the fast one read it. */
function agree(text: string): boolean {
  const quick = readPlainYaml(text, valuesMax);
  if (quick === undefined) return false;
  expect({ text, value: quick }).toEqual({ text, ...parsed(text) });
  return true;
}

const word = fc.constantFrom(
  ...[
    'a',
    'gpt-*',
    '1',
    '-2',
    '0.5',
    '1e3',
    '007',
    '0x1f',
    '12e4',
    'true',
    'null',
    '~',
    '',
    'a b',
    'a: b',
    'a #b',
  ],
  ...[
    '"q"',
    "it's",
    '${ENV}',
    'http://x/y',
    '- a',
    '[a',
    '{a',
    '#c',
    '&a',
    '*a',
    '!t',
    '|',
    '>',
    'a:',
    ':a',
    'é',
    '-a',
  ],
  ...[
    '.5',
    '+1',
    '1.',
    '.inf',
    'a\\b',
    'line\nbreak',
    '__proto__',
    '<<',
    '---',
    '%a',
    '@a',
    '12ab',
    'a,b',
    ' a ',
  ],
);
const scalar = fc.oneof(word, fc.integer(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null));
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(word, fc.constantFrom('key', 'x-y', 'a.b', 'c/d')), tie('tree'), { maxKeys: 4 }),
  ),
}));

describe('the fast reader', () => {
  test('returns what the full parser returns, for any value', () => {
    let read = 0;
    fc.assert(
      fc.property(
        fc.oneof(fc.dictionary(fc.constantFrom('a', 'b', 'c'), tree), tree),
        fc.constantFrom({}, { indentSeq: false }, { indent: 4 }, { collectionStyle: 'flow' as const }),
        (value, options) => {
          if (agree(stringify(value, options))) read++;
          agree(JSON.stringify(value));
        },
      ),
      { numRuns: 3000 },
    );
    // A reader that leaves everything to the other would pass as well.
    expect(read).toBeGreaterThan(100);
  });

  test('returns what the full parser returns, or nothing, for damaged text', () => {
    const example = readFileSync(new URL('deploy/sidegate.example.yaml', root), 'utf8')
      .split('\n')
      .filter((line) => !line.trimStart().startsWith('#'))
      .join('\n');
    const pieces = fc.constantFrom(
      ...[
        ' ',
        '  ',
        '\n',
        '\n\n',
        ': ',
        ':',
        '- ',
        '-',
        '#',
        ' # ',
        '"',
        "'",
        '[',
        ']',
        '{',
        '}',
        ',',
        '&a ',
        '*a',
      ],
      ...[
        '|',
        '>',
        '?',
        '? ',
        '%',
        '\t',
        '\r\n',
        '---\n',
        '...',
        '!x ',
        '1',
        '1.5',
        'null',
        '\\',
        'x: y\n',
        '- z\n',
      ],
    );
    let read = 0;
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 6 }), fc.nat({ max: 400 }), pieces, (at, cut, length, piece) => {
        const start = at % example.length;
        const head = example.slice(Math.max(0, start - length), start);
        const line = head.slice(head.indexOf('\n') + 1);
        if (agree(line + piece + example.slice(start + cut, start + cut + length))) read++;
      }),
      { numRuns: 5000 },
    );
    expect(read).toBeGreaterThan(100);
  });

  test.each([
    ['a list as far left as its key', 'a:\n- b\n- c: d\n  e: f\ng: h\n'],
    ['comments and empty values', '# x\na: # y\n  b: c # d\n\n  e:\nf: "#g" # h\n'],
    ['lists of lists', 'a:\n  - - b\n    - c\n  -\n    d: e\n  -\n'],
    ['flow over one line', 'a: { b: [c, "d", -1], "e":f, g: {} }\n'],
    ['JSON', '{\n  "a": [1, 2.5, true, null, "\\u00e9\\n"],\n  "b": {"c": []}\n}\n'],
  ])('reads %s', (_, text) => {
    expect(parsed(text)).not.toBeNull();
    agree(text);
  });

  test.each([
    ['a key given twice', 'a: 1\na: 2\n'],
    ['an anchor', 'a: &x 1\n'],
    ['text over lines', 'a: b\n  c\n'],
    ['a block of text', 'a: |\n  b\n'],
    ['two documents', 'a: 1\n---\nb: 2\n'],
    ['a wrong indentation', 'a:\n    b: 1\n  c: 2\n'],
    ['a list among keys', 'a: 1\n- b\n'],
    ['a tab', 'a:\tb\n'],
    ['the prototype', '__proto__: 1\n'],
    ['deep nesting', '['.repeat(100) + ']'.repeat(100)],
    ['nothing', '\n# only a comment\n'],
  ])('leaves %s to the full parser', (_, text) => {
    expect(readPlainYaml(text, valuesMax)).toBeUndefined();
  });

  test('reads the example, and stops at the limit', () => {
    const text = readFileSync(new URL('deploy/sidegate.example.yaml', root), 'utf8');
    expect(agree(text)).toBe(true);
    expect(readPlainYaml('[a, b, c]', 3)).toBeUndefined();
    expect(readPlainYaml('[a, b, c]', 4)).toEqual(['a', 'b', 'c']);
  });
});

test('a configuration with 10,000 keys is checked in less than a second of CPU time', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-keys-'));
  try {
    const lines = ['authenticate:', '  keys:'];
    for (let i = 0; i < 10_000; i++) {
      const sha256 = createHash('sha256').update(`key ${i}`).digest('hex');
      lines.push(`    - id: key-${i}`, `      sha256: "${sha256}"`, `      tenant: tenant-${i % 100}`);
      lines.push('      team: web', `      tags: [prod, "b:${i}"] # what it is for`);
    }
    lines.push('providers: { sim: { preset: simulator } }', 'routes:', '  - model: sim');
    lines.push('    targets: [{ provider: sim }]', '');
    const path = join(folder, 'sidegate.yaml');
    writeFileSync(path, lines.join('\n'));
    // The whole program, from its start; CPU time, since other work on the machine is not its own.
    const script = `process.on('exit', () => { const { user, system } = process.cpuUsage();
      console.log('cpu', (user + system) / 1000); }); process.argv = ['node', 'main', 'check', process.argv[1]];
      await import(${JSON.stringify(new URL('dist/main.js', root).href)});`;
    const args = ['--input-type=module', '--eval', script, path];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(stdout).toContain(': valid');
    const cpuMs = Number(/cpu ([\d.]+)/.exec(stdout)?.[1]);
    expect(cpuMs).toBeGreaterThan(0);
    expect(cpuMs).toBeLessThan(1000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
