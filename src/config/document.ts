/** Reads YAML text into plain values, and finds the place of a value again when a fault must be shown. */
import { type Document, isAlias, isCollection, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Finding, Path, Placed } from './faults.ts';
import { readPlainYaml } from './plain-yaml.ts';

/** Values a file may hold, aliases counted each time they are used: stops "billion laughs". */
const nodesMax = 2_000_000;
const depthMax = 64;

/** Looks at a text value: gives what stands for it, or the fault. */
export type TextReader = (text: string, path: Path) => string | Finding;

export interface ConfigText {
  /** The plain value; undefined where the text isn't YAML that can be read on. */
  readonly value: unknown;
  readonly findings: readonly Finding[];
  readonly locate: Placed;
}

/** What the parser's codes mean. Its own messages may quote the text, and so a secret: they are not shown. */
const syntax: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'this alias is malformed',
  BAD_DQ_ESCAPE: 'unknown escape in double quotes: write \\\\ for a backslash, or use single quotes',
  BAD_INDENT: 'the indentation does not fit, or a closing bracket is missing',
  BAD_SCALAR_START: 'a value that begins with this character must be put in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second "key:" stands on this line: start a new line, or put the value in quotes',
  BLOCK_IN_FLOW: 'indented lines cannot stand inside [ ] or { }',
  KEY_OVER_1024_CHARS: 'this key is too long, or a quote is not closed',
  MISSING_CHAR: 'a quote, bracket, comma or space is missing here',
  MULTILINE_IMPLICIT_KEY: 'this line has no "key: value": a colon must be followed by a space',
  MULTIPLE_DOCS: 'there is more than one document: take out the "---"',
  NON_STRING_KEY: 'a key must be plain text',
  RESOURCE_EXHAUSTION: 'this is nested too deeply',
  TAB_AS_INDENT: 'tabs cannot indent: use spaces',
  TAG_RESOLVE_FAILED: 'tags such as !name are not supported',
  UNEXPECTED_TOKEN: 'this is not expected here: a quote or bracket may be missing',
};

/** Codes that leave the rest of the file readable. */
const readable = new Set(['NON_STRING_KEY', 'TAG_RESOLVE_FAILED', 'MULTIPLE_DOCS']);

const controls = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)/;

/** Reads a text; its findings are those of YAML itself and of `read`, which sees each text value. */
export function readConfigText(source: string, read: TextReader): ConfigText {
  const text = source.startsWith('\ufeff') ? source.slice(1) : source;
  const control = controls.exec(text);
  if (control !== null) {
    const message = `the file holds a control character (${JSON.stringify(control[0])}): take it out`;
    return { value: undefined, findings: [{ path: [], at: control.index, message }], locate: locator(text) };
  }
  const value = readPlainYaml(text, nodesMax);
  if (value === undefined || !fillIn(value, read)) return readWithPlaces(text, read);
  let places: ConfigText['locate'] | null = null;
  const locate: ConfigText['locate'] = (finding) => {
    // Only a fault or a warning has to be found again, and only then is the text worth parsing for it.
    places ??= readWithPlaces(text, (written) => written).locate;
    return places(finding);
  };
  return { value, findings: [], locate };
}

/** Hands each text value to the reader, and puts what stands for it in its place; false: one has a fault. */
function fillIn(root: unknown, read: TextReader): boolean {
  const path: (string | number)[] = [];
  const visit = (value: unknown): unknown => {
    if (typeof value === 'string') {
      const text = read(value, path);
      return typeof text === 'string' ? text : undefined;
    }
    if (typeof value !== 'object' || value === null) return value;
    const holder = value as Record<string | number, unknown>;
    for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
      path.push(key);
      const filled = visit(holder[key]);
      path.pop();
      if (filled === undefined) return undefined;
      holder[key] = filled;
    }
    return value;
  };
  return visit(root) !== undefined;
}

/** The full parser: anything YAML may be, every fault, and where each value stands. */
function readWithPlaces(text: string, read: TextReader): ConfigText {
  const doc = parseDocument(text, {
    prettyErrors: false,
    schema: 'core',
    resolveKnownTags: false,
    stringKeys: true,
    // Compares all pairs of keys; the reader below does it in one pass, and knows the path.
    uniqueKeys: false,
    // `silent` would also let a second document pass.
    logLevel: 'error',
  });
  const findings: Finding[] = [];
  const lines = new Set<number>();
  const locate = locator(text, doc);
  for (const { code, pos } of [...doc.errors, ...doc.warnings]) {
    // Between brackets the one after the $ begins a map, and nothing after that is what it looks like.
    if (text.startsWith('${', pos[0] - 1)) {
      const message = 'between { } or [ ], a value with ${…} must be in quotes';
      return { value: undefined, findings: [...findings, { path: [], at: pos[0] - 1, message }], locate };
    }
    const finding: Finding = { path: [], at: pos[0], message: syntax[code] ?? 'this is not valid YAML' };
    const { line } = locate(finding);
    // One slip makes the parser complain several times.
    if (!lines.has(line)) findings.push(finding);
    lines.add(line);
  }
  if (doc.directives?.yaml.explicit === true && doc.directives.yaml.version !== '1.2') {
    findings.push({ path: [], at: 0, message: 'only YAML 1.2 is supported: take out the %YAML line' });
    return { value: undefined, findings, locate };
  }
  if (!doc.errors.every(({ code }) => readable.has(code))) return { value: undefined, findings, locate };
  const value = plain(doc.contents, [], { findings, read, anchors: new Map(), nodes: 0 });
  return { value, findings, locate };
}

interface Reading {
  readonly findings: Finding[];
  readonly read: TextReader;
  /** What each anchor so far stands for, and how many values that is. */
  readonly anchors: Map<string, { value: unknown; size: number }>;
  nodes: number;
}

function plain(node: unknown, path: (string | number)[], reading: Reading): unknown {
  const before = reading.nodes++;
  const refuse = (message: string): null => {
    reading.findings.push({ path: [...path], at: 'value', message });
    return null;
  };
  if (isAlias(node)) {
    const found = reading.anchors.get(node.source);
    if (found === undefined) return refuse('this alias has no anchor before it');
    reading.nodes += found.size;
    return reading.nodes > nodesMax ? refuse('the aliases of this file expand to too much') : found.value;
  }
  if (path.length > depthMax) return refuse('this is nested too deeply');
  if (reading.nodes > nodesMax) {
    return reading.nodes === nodesMax + 1 ? refuse('the file holds too many values') : null;
  }
  const value = isCollection(node) ? collection(node, path, reading) : scalar(node, path, reading);
  if ((isScalar(node) || isCollection(node)) && node.anchor !== undefined) {
    reading.anchors.set(node.anchor, { value, size: reading.nodes - before });
  }
  return value;
}

function scalar(node: unknown, path: Path, { findings, read }: Reading): unknown {
  if (!isScalar(node) || typeof node.value !== 'string') return isScalar(node) ? node.value : null;
  const text = read(node.value, path);
  if (typeof text === 'string') return text;
  findings.push(text);
  return node.value;
}

function collection(node: unknown, path: (string | number)[], reading: Reading): unknown {
  if (isSeq(node)) {
    return node.items.map((item, index) => {
      path.push(index);
      const value = plain(item, path, reading);
      path.pop();
      return value;
    });
  }
  const value: Record<string, unknown> = {};
  if (!isMap(node)) return value;
  for (const pair of node.items) {
    const key = isScalar(pair.key) ? String(pair.key.value ?? '') : '';
    path.push(key);
    const fault = keyFault(key, value);
    if (fault === null) value[key] = plain(pair.value, path, reading);
    else reading.findings.push({ path: [...path], at: startOf(pair.key) ?? 'key', message: fault });
    path.pop();
  }
  return value;
}

function keyFault(key: string, value: object): string | null {
  if (key === '<<') return 'merge keys are not supported: repeat the settings, or alias a whole value';
  // Assigned to, it would set the object's prototype.
  if (key === '__proto__') return 'this name cannot be used';
  return Object.hasOwn(value, key) ? 'is given twice' : null;
}

function startOf(node: unknown): number | null {
  return isScalar(node) || isCollection(node) || isAlias(node) ? (node.range?.[0] ?? null) : null;
}

/** Finds places; the table of lines is made at the first question, so a good file never pays for it. */
function locator(text: string, doc?: Document.Parsed): ConfigText['locate'] {
  let starts: number[] | null = null;
  return ({ path, at }) => {
    const offset = typeof at === 'number' ? at : doc === undefined ? 0 : offsetOf(doc, path, at);
    starts ??= [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** Where a path's value begins, its key where the value spans lines or is missing, or its nearest parent. */
function offsetOf(doc: Document.Parsed, path: Path, part: 'value' | 'key'): number {
  let node: unknown = doc.contents;
  let key: unknown = null;
  let offset = startOf(node) ?? 0;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(doc);
    if (isSeq(node) && typeof step === 'number') {
      [key, node] = [null, node.items[step]];
    } else if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value ?? '') === step);
      [key, node] = [pair?.key, pair?.value];
    } else break;
    if (node === undefined && key === undefined) break;
    offset = startOf(node) ?? startOf(key) ?? offset;
    const empty = isScalar(node) && (node.range?.[0] ?? 0) === (node.range?.[1] ?? 0);
    const atKey = part === 'key' || isCollection(node) || empty;
    if (atKey) offset = startOf(key) ?? offset;
  }
  return offset;
}
