/** All documents: sizes, links, and that every name they use exists. What each holds is tested beside this file. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, test } from 'vitest';
import { publishedSchema } from '../../scripts/generate.ts';
import { catalogue } from '../../src/base/errors.ts';
import { commands, help } from '../../src/cli.ts';
import { help as costsHelp } from '../../src/commands/costs.ts';
import { help as keysHelp } from '../../src/commands/keys.ts';
import { dialectNames } from '../../src/exchange/dialects.ts';
import {
  codesIn,
  type Document,
  documentNames,
  firstCodes,
  readDocument,
  readDocuments,
  resolveLink,
  root,
} from '../support/documents.ts';
import { floors } from '../support/floors.ts';
import { steadyFields, usualFields } from '../support/log-line.ts';

const pages = readDocuments();
const byName = new Map(pages.map((page) => [page.name, page]));
const sorted = (names: Iterable<string>): string[] => [...names].sort();
const readmeMaxBytes = 10_000;
const addedMaxLines = 25;

/** `page: word` for each word that isn't known. */
const unknownIn = (wordsOf: (page: Document) => string[], isKnown: (word: string) => boolean): string[] =>
  pages.flatMap((page) =>
    wordsOf(page)
      .filter((word) => !isKnown(word))
      .map((word) => `${page.name}: ${word}`),
  );

describe('pages', () => {
  test('the README is short', () => {
    expect(statSync(new URL('README.md', root)).size).toBeLessThanOrEqual(readmeMaxBytes);
  });

  test('the changelog is one short list while nothing is released', () => {
    const { text, prose } = readDocument('CHANGELOG.md');
    expect(prose.filter((line) => line.startsWith('##'))).toEqual(['## [Unreleased]', '### Added']);
    const list = text.split('### Added')[1]?.trim().split('\n') ?? [];
    expect(list.length).toBeLessThanOrEqual(addedMaxLines);
  });

  test('no line of prose is too long', () => {
    const long = unknownIn(
      ({ prose }) => [...prose],
      // Tables can't be broken, and generated notes aren't.
      (line) => line.length <= 110 || /^(\||\d+\. |Cases that pass|Number of tests)/.test(line),
    );
    expect(long).toEqual([]);
  });
});

describe('links', () => {
  const resolved = pages.flatMap(({ name, links }) =>
    links.flatMap((target) => {
      const to = resolveLink(name, target);
      return to === null ? [] : [{ name, target, ...to }];
    }),
  );

  test('lead to files and headings that are there', () => {
    const broken = resolved.filter(({ path, anchor }) => {
      if (!existsSync(new URL(path, root))) return true;
      return anchor !== null && !readDocument(path).anchors.includes(anchor);
    });
    expect(broken.map(({ name, target }) => `${name}: ${target}`)).toEqual([]);
  });

  test('lead from the README to every page', () => {
    const reached = new Set<string>();
    const visit = (page: string): void => {
      if (reached.has(page) || !byName.has(page)) return;
      reached.add(page);
      for (const { name, path } of resolved) if (name === page) visit(path);
    };
    visit('README.md');
    expect(documentNames.filter((name) => !reached.has(name))).toEqual([]);
  });

  test('of the index name every page of docs', () => {
    const indexed = resolved.flatMap(({ name, path }) => (name === 'docs/README.md' ? [path] : []));
    const own = documentNames.filter((name) => name.startsWith('docs/') && !name.includes('/decisions/0'));
    expect(own.filter((name) => name !== 'docs/README.md' && !indexed.includes(name))).toEqual([]);
  });

  test('no two headings of a page have one anchor', () => {
    const doubled = pages.filter(({ anchors }) => new Set(anchors).size < anchors.length);
    expect(doubled.map(({ name }) => name)).toEqual([]);
  });
});

describe('names that documents use', () => {
  test('settings are in the schema', () => {
    const keys = firstCodes(readDocument('docs/reference/configuration.md').table('key'));
    const sections = new Set(keys.flatMap((key) => prefixesOf(key)));
    const roots = Object.keys(publishedSchema().properties ?? {});
    const looksLikeSetting = (code: string): boolean =>
      roots.some((section) => code.startsWith(`${section}.`) || code.startsWith(`${section}[]`)) &&
      /^[\w.[\]*]+$/.test(code) &&
      !/\.(ts|rs|md|db)$/.test(code);
    expect(
      unknownIn(
        ({ codes }) => codes.filter(looksLikeSetting),
        (code) => sections.has(code),
      ),
    ).toEqual([]);
  });

  test('metrics are in the reference', () => {
    const known = firstCodes(readDocument('docs/reference/metrics.md').table('metric'));
    const named = ({ codes }: Document): string[] => codes.filter((code) => /^sidegate_\w+$/.test(code));
    expect(unknownIn(named, (code) => known.includes(code))).toEqual([]);
  });

  test('headers are in the reference', () => {
    const page = readDocument('docs/reference/headers.md');
    const known = [...page.table('request header'), ...page.table('reply header')]
      .flatMap(([names = '']) => codesIn(names))
      .map(headerOf);
    const named = ({ codes }: Document): string[] =>
      codes.filter((code) => /^x-[a-z-]+/.test(code)).map(headerOf);
    expect(unknownIn(named, (code) => known.includes(code))).toEqual([]);
  });

  test('error codes behind a status are in the catalogue, with that status', () => {
    const statuses = new Map(Object.entries(catalogue).map(([code, { status }]) => [code, status]));
    const named = ({ prose }: Document): string[] =>
      // A code may stand on the next line.
      [...prose.join(' ').matchAll(/\b([45]\d\d) `[a-z_]+`/g)]
        .filter(([, status]) => [...statuses.values()].some((known) => known === Number(status)))
        .map(([found]) => found);
    const known = [...statuses].map(([code, status]) => `${status} \`${code}\``);
    expect(pages.flatMap(named).length).toBeGreaterThan(10);
    expect(unknownIn(named, (found) => known.includes(found))).toEqual([]);
  });

  test('paths of the repository are there', () => {
    const folders = /^(\.ci|bench|deploy|docs|native|scripts|src|test)\/[\w./-]*$/;
    const named = ({ codes }: Document): string[] => codes.filter((code) => folders.test(code));
    expect(unknownIn(named, (path) => existsSync(new URL(path, root)))).toEqual([]);
  });

  test('variables of the environment are read by the program', () => {
    const source = sourceFiles.map((file) => readFileSync(new URL(`src/${file}`, root), 'utf8')).join('\n');
    const named = ({ codes }: Document): string[] => codes.filter((code) => /^SIDEGATE_\w+$/.test(code));
    expect(unknownIn(named, (name) => source.includes(name))).toEqual([]);
  });
});

const sourceFiles = readdirSync(new URL('src', root), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

/** A path of the schema and all that holds it, with and without the sign of a list or mapping. */
function prefixesOf(key: string): string[] {
  const parts = key.split('.');
  return parts.flatMap((_, index) => {
    const path = parts.slice(0, index + 1).join('.');
    return [path, path.replace(/(\[\]|\.\*)$/, '')];
  });
}

/** `x-a: b` and `x-a:b` are about `x-a`. */
const headerOf = (code: string): string => (code.split(':')[0] ?? '').toLowerCase();

describe('commands', () => {
  const lines = pages.flatMap(({ codes, fences }) => [
    ...codes,
    ...fences.filter(({ language }) => language === 'sh').flatMap(({ text }) => text.split('\n')),
  ]);
  const said = lines.map((line) => (line.split(' # ')[0] ?? '').trim().split(/\s+/));

  test('of npm are scripts of the package', () => {
    const { scripts } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
    const used = said
      .filter(([program, verb]) => program === 'npm' && verb)
      .map(([, verb, name]) => (verb === 'run' ? name : verb));
    expect(used).toContain('start');
    expect(used).toContain('test');
    expect(used.filter((name) => !Object.hasOwn(scripts, name ?? ''))).toEqual([]);
  });

  test('of sidegate are known, with options that the help names', () => {
    const used = said.filter(([program, name]) => program === 'sidegate' && name);
    const names = used.map(([, name = '']) => name);
    expect(names).toContain('run');
    expect(names.filter((name) => !commands.has(name))).toEqual([]);
    const options = used.flat().filter((word) => word.startsWith('--'));
    expect(options).toContain('--config');
    expect(options.filter((option) => !`${help}${keysHelp}${costsHelp}`.includes(`${option} `))).toEqual([]);
  });

  test('are all in the help, and the help has no others', () => {
    const listed = help
      .split('\n')
      .map((line) => line.trim().split(/[\s|]+/))
      .filter(([program]) => program === 'sidegate')
      .map(([, ...words]) => words);
    expect([...commands.keys()].filter((name) => !listed.some((words) => words.includes(name)))).toEqual([]);
    expect(listed.map(([name = '']) => name).filter((name) => !commands.has(name))).toEqual([]);
  });
});

test("the log's page has the fields of a request's line", () => {
  const page = readDocument('docs/reference/log.md');
  const fields: string[] = [...steadyFields, ...Object.keys(usualFields)];
  const [sample] = page.fences.filter(({ language }) => language === 'json');
  const told = JSON.parse(sample?.text ?? '');
  expect(Object.keys(told).filter((name) => !fields.includes(name))).toEqual([]);
  expect(steadyFields.filter((name) => told[name] === undefined)).toEqual([]);
  expect(sorted(firstCodes(page.table('field')))).toEqual(sorted(fields));
});

test('the floors of the architecture are those that are held', () => {
  const rows = readDocument('docs/internals/architecture.md').table('floor');
  const listed = rows
    .map(([, rooms = '']) => codesIn(rooms).map((room) => room.replace(/\/$/, '')))
    .reverse();
  expect(listed.map(sorted)).toEqual(floors.map(sorted));
  expect(rows.map(([number]) => Number(number)).reverse()).toEqual(floors.map((_, index) => index + 1));
});

test('where a change goes names folders and files that are there', () => {
  const rows = readDocument('CONTRIBUTING.md').table('change');
  expect(rows.length).toBeGreaterThanOrEqual(20);
  const all = readdirSync(new URL('native/core', root), { recursive: true, encoding: 'utf8' });
  const files = new Set([...sourceFiles, ...all].map((file) => basename(file)));
  const named = rows.flatMap(([, , what = '']) => codesIn(what)).filter((code) => /\.(ts|rs)$/.test(code));
  const missing = named.filter((name) =>
    name.includes('/') ? !existsSync(new URL(name, root)) : !name.includes('…') && !files.has(name),
  );
  expect(missing).toEqual([]);
});

test('the dialect that adding one is shown with is there, and none of its files is left out', () => {
  const page = readDocument('docs/internals/adding-a-dialect.md');
  const links = page.links.map((target) => resolveLink(page.name, target)?.path ?? '');
  const [name = ''] = links.flatMap((path) => /^test\/fixtures\/([a-z-]+)$/.exec(path)?.[1] ?? []);
  expect(dialectNames).toContain(name);
  const files = readdirSync(new URL(`src/dialects/${name}`, root)).map(
    (file) => `src/dialects/${name}/${file}`,
  );
  expect(files.filter((file) => !links.includes(file))).toEqual([]);
});
