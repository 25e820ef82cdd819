/** The house has floors: a folder imports from lower floors only, types included, and no room of its own floor. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { floors } from '../support/floors.ts';

const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor] as const)));
const roomOf = (path: string): string => path.split('/')[0] ?? '';
const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);
// `from '…'`, `import '…'` and `import('…')`, whose path may stand on a line of its own.
const imported = /\b(?:from|import)[\s(]+'(\.[^']+\.ts)'/g;

interface Arrow {
  readonly from: string;
  readonly to: string;
}

const arrows: readonly Arrow[] = files.flatMap((from) =>
  [...readFileSync(join('src', from), 'utf8').matchAll(imported)].flatMap(([, target = '']) => {
    const to = relative('src', join('src', dirname(from), target));
    return to.startsWith('..') ? [] : [{ from, to }];
  }),
);

/** Arrows that don't run down. */
function wrong(all: readonly Arrow[]): string[] {
  return all
    .filter(({ from, to }) => {
      const [own, other] = [roomOf(from), roomOf(to)];
      return own !== other && (floorOf.get(other) ?? 0) >= (floorOf.get(own) ?? 0);
    })
    .map(({ from, to }) => `${from} -> ${to}`);
}

/** A file beside the folders is a room of its own. */
const folderOf = (file: string): string[] => (file.includes('/') ? dirname(file) : file).split('/');

/** Folders of one parent that reach each other: each such pair is part of a circle. */
function circles(all: readonly Arrow[]): string[] {
  const next = new Map<string, Set<string>>();
  for (const { from, to } of all) {
    const [a, b] = [folderOf(from), folderOf(to)];
    let shared = 0;
    while (shared < a.length && shared < b.length && a[shared] === b[shared]) shared++;
    // A folder and one inside it are one room.
    if (shared === a.length || shared === b.length) continue;
    const own = a.slice(0, shared + 1).join('/');
    next.set(own, (next.get(own) ?? new Set()).add(b.slice(0, shared + 1).join('/')));
  }
  const reached = (start: string): Set<string> => {
    const seen = new Set<string>();
    const open = [start];
    for (let at = open.pop(); at !== undefined; at = open.pop())
      for (const each of next.get(at) ?? []) if (!seen.has(each)) open.push(each) && seen.add(each);
    return seen;
  };
  return [...next.keys()].filter((folder) => reached(folder).has(folder));
}

test('the arrows are found', () => {
  expect(arrows.length).toBeGreaterThan(files.length);
  expect(arrows).toContainEqual({ from: 'main.ts', to: 'cli.ts' });
});

test('every form of an import is found', () => {
  const text =
    "import { a } from './a.ts';\nimport './b.ts';\nawait import(\n  './c.ts'\n);\nexport * from './d.ts';";
  expect([...text.matchAll(imported)].map(([, target]) => target)).toEqual([
    './a.ts',
    './b.ts',
    './c.ts',
    './d.ts',
  ]);
});

test('every room has a floor, and every floor its rooms', () => {
  expect([...new Set(files.map(roomOf))].sort()).toEqual([...floorOf.keys()].sort());
});

test('no import runs up, nor to a peer', () => {
  expect(wrong(arrows)).toEqual([]);
  expect(wrong([{ from: 'base/log.ts', to: 'limit/rule.ts' }])).toHaveLength(1);
  expect(wrong([{ from: 'limit/limit.ts', to: 'cache/cache.ts' }])).toHaveLength(1);
});

test('no folders import each other in a circle', () => {
  expect(circles(arrows)).toEqual([]);
  expect(
    circles([
      { from: 'dialects/openai/a.ts', to: 'dialects/gemini/b.ts' },
      { from: 'dialects/gemini/c.ts', to: 'dialects/cohere/b.ts' },
      { from: 'dialects/cohere/c.ts', to: 'dialects/openai/b.ts' },
    ]),
  ).toHaveLength(3);
});
