/** Reads the project's Markdown documents as tests need them: tables, fenced examples, code spans, links, headings. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** The repository's folder. */
export const root = new URL('../../', import.meta.url);

const isMarkdown = (name: string): boolean => name.endsWith('.md');

/** Every document of the project, by its path from the repository's folder. */
export const documentNames: readonly string[] = [
  ...readdirSync(root).filter(isMarkdown),
  ...readdirSync(new URL('docs', root), { recursive: true, encoding: 'utf8' })
    .filter(isMarkdown)
    .map((name) => posix.join('docs', name)),
].sort();

/** A fenced example. */
export interface Fence {
  /** The word after the opening fence; empty: none. */
  readonly language: string;
  readonly text: string;
}

/** A document of the repository. */
export interface Document {
  /** Path from the repository's folder. */
  readonly name: string;
  readonly text: string;
  /** Lines outside of fences. */
  readonly prose: readonly string[];
  readonly fences: readonly Fence[];
  /** Code spans outside of fences, in order. */
  readonly codes: readonly string[];
  /** Targets of links outside of fences, in order. */
  readonly links: readonly string[];
  /** Anchors of the headings. */
  readonly anchors: readonly string[];
  /** The rows of the table whose first column has this head. Fails unless there is exactly one such table. */
  table(firstHead: string): readonly (readonly string[])[];
}

/** Reads a document. @param name path from the repository's folder */
export function readDocument(name: string): Document {
  const text = readFileSync(new URL(name, root), 'utf8');
  const { prose, fences } = split(text);
  const tables = tablesIn(prose);
  return {
    name,
    text,
    prose,
    fences,
    codes: prose.flatMap(codesIn),
    links: prose.flatMap(linksIn),
    anchors: prose.filter((line) => line.startsWith('#')).map(anchorOf),
    table(firstHead) {
      const found = tables.filter(([head]) => head?.[0] === firstHead);
      const [rows] = found;
      if (rows === undefined || found.length > 1)
        throw new Error(`${name} has ${found.length} tables whose first column is "${firstHead}"`);
      return rows.slice(1);
    },
  };
}

/** All of the project's documents. */
export const readDocuments = (): readonly Document[] => documentNames.map(readDocument);

/** A link's path from the repository's folder, and its anchor; null: it leads out of the repository. */
export function resolveLink(from: string, target: string): { path: string; anchor: string | null } | null {
  if (/^[a-z]+:/.test(target)) return null;
  const [path = '', anchor = null] = target.split('#');
  return { path: path === '' ? from : posix.join(posix.dirname(from), path), anchor };
}

/** The code spans of a line or cell. */
export function codesIn(line: string): string[] {
  return line.split('`').filter((_, index) => index % 2 === 1);
}

/** The code spans of a table's first column. */
export function firstCodes(rows: readonly (readonly string[])[]): string[] {
  return rows.flatMap(([first = '']) => codesIn(first));
}

function split(text: string): { prose: string[]; fences: Fence[] } {
  const prose: string[] = [];
  const fences: Fence[] = [];
  let open: { language: string; lines: string[] } | null = null;
  for (const line of text.split('\n')) {
    if (!line.startsWith('```')) (open?.lines ?? prose).push(line);
    else if (open === null) open = { language: line.slice(3).trim(), lines: [] };
    else {
      fences.push({ language: open.language, text: `${open.lines.join('\n')}\n` });
      open = null;
    }
  }
  if (open !== null) throw new Error('a fence is never closed');
  return { prose, fences };
}

/** Tables as rows of cells, the head first and the line under it left out. */
function tablesIn(lines: readonly string[]): string[][][] {
  const tables: string[][][] = [];
  let rows: string[][] | null = null;
  for (const line of lines) {
    if (!line.startsWith('|')) {
      rows = null;
      continue;
    }
    if (rows === null) {
      rows = [];
      tables.push(rows);
    }
    const cells = cellsOf(line);
    if (!cells.every((cell) => /^:?-+:?$/.test(cell))) rows.push(cells);
  }
  return tables;
}

function cellsOf(line: string): string[] {
  // An escaped bar is text; no document holds the character that stands in for it here.
  const cells = line.replaceAll('\\|', '\0').split('|').slice(1, -1);
  return cells.map((cell) => cell.replaceAll('\0', '|').trim());
}

function linksIn(line: string): string[] {
  const plain = line
    .split('`')
    .filter((_, index) => index % 2 === 0)
    .join('');
  return plain
    .split('](')
    .slice(1)
    .map((rest) => rest.slice(0, rest.indexOf(')')));
}

/** The anchor that a heading gets: its words in lower case, joined by dashes. */
function anchorOf(heading: string): string {
  const words = heading.replace(/^#+ /, '').toLowerCase();
  return words.replaceAll(' ', '-').replace(/[^\p{L}\p{N}_-]/gu, '');
}
