/** Reads YAML text into plain values, and locates a value in the text when a fault must be shown. */
import { type Document, isAlias, isCollection, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Finding, Path, Placed } from './faults.ts';
import { readPlainYaml } from './plain-yaml.ts';

/** Most values in a file, counting an alias's values at each use: prevents "billion laughs". */
const nodesMax = 2_000_000;
const depthMax = 64;

/** Takes a text value and returns its replacement or its fault. */
export type TextReader = (text: string, path: Path) => string | Finding;

/** A text that was read. */
export interface ConfigText {
  /** The plain value; undefined: the text isn't readable YAML. */
  readonly value: unknown;
  readonly findings: readonly Finding[];
  readonly locate: Placed;
}

/**
 * Messages by the parser's error code. The parser's own messages may quote the text, hence secrets, so they
 * aren't shown.
 */
const syntax: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'this alias is malformed',
  BAD_DQ_ESCAPE: 'unknown escape in double quotes: write \\\\ for a backslash, or use single quotes',
  BAD_INDENT: 'the indentation does not fit, or a closing bracket is missing',
  BAD_SCALAR_START: 'a value that begins with this character must be put in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'this line has a second "key:": start a new line, or put the value in quotes',
  BLOCK_IN_FLOW: 'indented blocks are not allowed inside [ ] or { }',
  KEY_OVER_1024_CHARS: 'this key is too long, or a quote is not closed',
  MISSING_CHAR: 'a quote, bracket, comma or space is missing here',
  MULTILINE_IMPLICIT_KEY: 'this line has no "key: value": a colon must be followed by a space',
  MULTIPLE_DOCS: 'there is more than one document: remove the "---"',
  NON_STRING_KEY: 'a key must be plain text',
  RESOURCE_EXHAUSTION: 'this is nested too deeply',
  TAB_AS_INDENT: 'tabs cannot be used for indentation: use spaces',
  TAG_RESOLVE_FAILED: 'tags such as !name are not supported',
  UNEXPECTED_TOKEN: 'this is not expected here: a quote or bracket may be missing',
};

/** Codes of errors after which the rest of the file is readable. */
const readable = new Set(['NON_STRING_KEY', 'TAG_RESOLVE_FAILED', 'MULTIPLE_DOCS']);

const controls = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)/;

/** Reads a text. Findings are those of YAML itself and of `read`, which gets each text value. */
export function readConfigText(source: string, read: TextReader): ConfigText {
  const text = source.startsWith('\ufeff') ? source.slice(1) : source;
  const control = controls.exec(text);
  if (control !== null) {
    const message = `the file contains a control character (${JSON.stringify(control[0])}): remove it`;
    return { value: undefined, findings: [{ path: [], at: control.index, message }], locate: locator(text) };
  }
  const value = readPlainYaml(text, nodesMax);
  if (value === undefined || !fillIn(value, read)) return readWithPlaces(text, read);
  let places: ConfigText['locate'] | null = null;
  const locate: ConfigText['locate'] = (finding) => {
    // The full parse is done only for the first fault or warning that must be located.
    places ??= readWithPlaces(text, (written) => written).locate;
    return places(finding);
  };
  return { value, findings: [], locate };
}

/** Replaces each text value by what the reader returns; false: one has a fault. */
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

/** Reads with the full parser: all of YAML, every fault, and the place of each value. */
function readWithPlaces(text: string, read: TextReader): ConfigText {
  const doc = parseDocument(text, {
    prettyErrors: false,
    schema: 'core',
    resolveKnownTags: false,
    stringKeys: true,
    // The parser would compare all pairs of keys; `collection` finds duplicates in one pass, and knows the path.
    uniqueKeys: false,
    // `silent` would also let a second document pass.
    logLevel: 'error',
  });
  const findings: Finding[] = [];
  const lines = new Set<number>();
  const locate = locator(text, doc);
  for (const { code, pos } of [...doc.errors, ...doc.warnings]) {
    // Inside brackets, the { after the $ begins a map, and the rest is misread.
    if (text.startsWith('${', pos[0] - 1)) {
      const message = 'between { } or [ ], a value with ${…} must be in quotes';
      return { value: undefined, findings: [...findings, { path: [], at: pos[0] - 1, message }], locate };
    }
    const finding: Finding = { path: [], at: pos[0], message: syntax[code] ?? 'this is not valid YAML' };
    const { line } = locate(finding);
    // One mistake makes the parser report several errors.
    if (!lines.has(line)) findings.push(finding);
    lines.add(line);
  }
  if (doc.directives?.yaml.explicit === true && doc.directives.yaml.version !== '1.2') {
    findings.push({ path: [], at: 0, message: 'only YAML 1.2 is supported: remove the %YAML line' });
    return { value: undefined, findings, locate };
  }
  if (!doc.errors.every(({ code }) => readable.has(code))) return { value: undefined, findings, locate };
  const value = plain(doc.contents, [], { findings, read, anchors: new Map(), nodes: 0 });
  return { value, findings, locate };
}

interface Reading {
  readonly findings: Finding[];
  readonly read: TextReader;
  /** The value of each anchor so far, how many values it contains, and where it is written. */
  readonly anchors: Map<string, { value: unknown; size: number; node: unknown }>;
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
    if (found === undefined) return refuse('this alias refers to no earlier anchor');
    reading.nodes += found.size;
    if (reading.nodes > nodesMax) return refuse('the aliases of this file expand to too many values');
    // A text that was filled in is read here too: what is known of it goes by its path.
    const filled = isScalar(found.node) && found.value !== found.node.value;
    return filled ? scalar(found.node, path, reading) : found.value;
  }
  if (path.length > depthMax) return refuse('this is nested too deeply');
  if (reading.nodes > nodesMax) {
    return reading.nodes === nodesMax + 1 ? refuse('the file has too many values') : null;
  }
  const value = isCollection(node) ? collection(node, path, reading) : scalar(node, path, reading);
  if ((isScalar(node) || isCollection(node)) && node.anchor !== undefined) {
    reading.anchors.set(node.anchor, { value, size: reading.nodes - before, node });
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
  // Assigning to it would set the object's prototype.
  if (key === '__proto__') return 'this name cannot be used';
  return Object.hasOwn(value, key) ? 'is given twice' : null;
}

function startOf(node: unknown): number | null {
  return isScalar(node) || isCollection(node) || isAlias(node) ? (node.range?.[0] ?? null) : null;
}

/**
 * Creates the function that locates findings. The table of lines is built at its first call, so a valid file
 * never needs it.
 */
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

/** Offset of a path's value, of its key if the value spans lines or is missing, or of its nearest parent. */
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
