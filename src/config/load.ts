/** Loads a configuration: turns its text into checked settings, or into all of its faults with their places. */
import { dirname, resolve } from 'node:path';
import { isStringOneByteRepresentation } from 'node:v8';
import type { z } from 'zod';
import type { CatalogModelConfig } from '../catalog/settings.ts';
import { catalogPath, readCatalogText } from './catalog-file.ts';
import { checkDraft } from './check.ts';
import { checkCatalog } from './check-catalog.ts';
import { unpricedTargets } from './check-prices.ts';
import { type ConfigText, readConfigText } from './document.ts';
import { type ConfigFault, type Finding, faultsMax, type Path, type Placed, pathText } from './faults.ts';
import { FileFault, readTextFile } from './files.ts';
import { foreignTool } from './foreign-tool.ts';
import { filePrefix, pathsFromFile } from './from-file.ts';
import { interpolate } from './interpolate.ts';
import { describeIssues, type Show, valueAt } from './issues.ts';
import { createReport, type Draft } from './report.ts';
import { restartPaths } from './restart.ts';
import { type Config, configSchema } from './schema.ts';

export { type ConfigFault, formatFaults } from './faults.ts';

/**
 * The result of loading: the settings, or every fault. Warnings come in both cases and refuse nothing. `files` are those
 * that it names, there or not: secrets and the catalog; absolute paths, each once.
 */
export type ConfigResult =
  | {
      ok: true;
      config: Config;
      fromCatalogFile: FromCatalogFile;
      /** Dotted paths of the settings that a running process can't adopt. */
      restart: readonly string[];
      files: readonly string[];
      warnings: ConfigFault[];
    }
  | { ok: false; faults: ConfigFault[]; files: readonly string[]; warnings: ConfigFault[] };

/** What a configuration has of its catalog file. */
export interface FromCatalogFile {
  /** Entries of `config.catalog.models` that are the file's, or that were kept since it can't be used. */
  readonly models: readonly CatalogModelConfig[];
  /** Why the file can't be used; a process serves without it all the same. */
  readonly faults: readonly ConfigFault[];
}

/** All that is wrong with a configuration, also what a running process can do without. */
export const allFaults = (loaded: ConfigResult): readonly ConfigFault[] =>
  loaded.ok ? loaded.fromCatalogFile.faults : loaded.faults;

/** Variables that `${NAME}` may name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Returns the text of a file of at most `maxBytes`. May throw a `FileFault` or anything else. */
type ReadFile = (path: string, maxBytes: number) => string;

/** Largest configuration file; 100,000 keys fit. */
const configMaxBytes = 32 * 1024 * 1024;
/** Largest catalog file. */
const catalogMaxBytes = 4 * 1024 * 1024;
/** Largest file that `file:` may name. */
const secretMaxBytes = 64 * 1024;

/**
 * Loads a configuration file. Files that are read with it are named from its folder. An unreadable file is a fault too.
 * Never throws.
 * @param assumes variables and files of secrets that are missing are taken as there
 * @param kept entries of the catalog file that are in use, which stay if it can't be used any more
 */
export function loadConfig(
  path: string,
  env: Environment,
  assumes = false,
  kept: readonly CatalogModelConfig[] = [],
): ConfigResult {
  let text: string;
  try {
    text = readTextFile(path, configMaxBytes);
  } catch (error) {
    const message = `the file cannot be used: ${reason(error)}`;
    return { ok: false, faults: [{ path: '', line: null, column: null, message }], files: [], warnings: [] };
  }
  const files = new Set<string>();
  const result = parseConfig(
    text,
    env,
    (file, maxBytes) => {
      const named = resolve(dirname(path), file);
      files.add(named);
      return readTextFile(named, maxBytes);
    },
    assumes,
    kept,
  );
  return { ...result, files: [...files] };
}

/**
 * Checks the text of a configuration. Never throws.
 * @param env values for `${NAME}`
 * @param readFile reads a file that the configuration names; may throw
 * @param assumes variables and files of secrets that are missing are taken as there: then a result without a fault is
 * valid, even if it isn't `ok`
 * @param kept entries of the catalog file that are in use, which stay if it can't be used any more
 */
export function parseConfig(
  text: string,
  env: Environment,
  readFile: ReadFile,
  assumes = false,
  kept: readonly CatalogModelConfig[] = [],
): ConfigResult {
  const filled = new Filled(env, assumes);
  const isKnown = ({ path }: Finding): boolean => !filled.isAssumed(path);
  const source = readConfigText(text, (value, path) => filled.read(value, path));
  let found = [...source.findings];
  if (source.value === undefined) return faulty(source, found, []);
  if (source.value === null) {
    const message =
      'the file is empty: it needs `providers`, `routes`, and `authenticate.keys` or `authenticate.anonymousTenant`';
    return faulty(source, [...found, { path: [], at: 'value', message }], []);
  }
  const foreign = foreignTool(source.value);
  if (foreign !== null) return faulty(source, [{ path: [], at: 'value', message: foreign }], []);
  found = [...found, ...readSecrets(source.value, readFile, filled)];
  const parsed = validate(source.value, filled);
  if (!parsed.success) {
    const known = new Set(found.map(({ path }) => pathText(path)));
    const more = describeIssues(parsed.error.issues, source.value, filled.show);
    // Don't report a value again that could not be filled in.
    found = [...found, ...more.filter(({ path }) => path.length === 0 || !known.has(pathText(path)))];
  }
  const draft = validPart(source.value, found);
  const { faults, warnings } = draft === null ? { faults: [], warnings: [] } : checkDraft(draft, filled.show);
  found = [...found, ...faults];
  const real = found.filter(isKnown);
  const catalog = loadCatalog(catalogPath(source.value), draft, filled.show, readFile);
  const ofCatalog = [...place(source, catalog.unread.filter(isKnown)), ...catalog.faults];
  const warned = [...place(source, warnings.filter(isKnown)), ...catalog.warnings];
  if (real.length > 0 || !parsed.success)
    return { ok: false, faults: [...place(source, real), ...ofCatalog], files: [], warnings: warned };
  const config = normalize(parsed.data);
  const models = ofCatalog.length === 0 ? catalog.models : kept;
  config.catalog.models = [...config.catalog.models, ...models];
  const unpriced = place(source, unpricedTargets(config));
  return {
    ok: true,
    config,
    fromCatalogFile: { models, faults: ofCatalog },
    restart: restartPaths(configSchema),
    files: [],
    warnings: [...warned, ...unpriced],
  };
}

interface LoadedCatalog {
  readonly models: readonly CatalogModelConfig[];
  /** Faults in the catalog file, with its name. */
  readonly faults: readonly ConfigFault[];
  readonly warnings: readonly ConfigFault[];
  /** The configuration's fault if the catalog file can't be read. */
  readonly unread: readonly Finding[];
}

/** Reads the catalog file, if one is configured. */
function loadCatalog(
  file: string | null,
  draft: Draft | null,
  show: Show,
  readFile: ReadFile,
): LoadedCatalog {
  const nothing = { models: [], faults: [], warnings: [], unread: [] };
  if (file === null) return nothing;
  try {
    const { models, findings, locate } = readCatalogText(readFile(file, catalogMaxBytes), show);
    const { report, faults, warnings } = createReport(show);
    checkCatalog(['models'], models, draft?.providers, report);
    const inFile = (found: readonly Finding[]): ConfigFault[] =>
      place({ locate }, found).map((fault) => ({ ...fault, file }));
    return { models, faults: inFile([...findings, ...faults]), warnings: inFile(warnings), unread: [] };
  } catch (error) {
    const message = `the file it names cannot be used: ${reason(error)}`;
    return { ...nothing, unread: [{ path: ['catalog', 'file'], at: 'value', message }] };
  }
}

/**
 * A copy that takes one byte per character. A single character beyond Latin-1 in the file, even in a comment, makes V8
 * store every longer slice of it with two bytes per character, and with it each header and log line built from a slice.
 */
function compact(text: string): string {
  if (isStringOneByteRepresentation(text)) return text;
  const bytes = Buffer.from(text, 'utf8');
  return bytes.length === text.length ? bytes.toString('latin1') : text;
}

/** Fills in text values from the environment, and remembers which. */
class Filled {
  readonly #env: Environment;
  /** Paths of values with variables: there, text is accepted for a number or boolean. */
  readonly #paths = new Set<string>();
  /** By text after filling in: the text in the file. */
  readonly #texts = new Map<string, string>();

  readonly #assumes: boolean;
  /** Paths of values that nobody knows here. */
  readonly #assumed = new Set<string>();

  constructor(env: Environment, assumes: boolean) {
    this.#env = env;
    this.#assumes = assumes;
  }

  /** Takes a value as there, if that is wanted. */
  assume(path: Path): boolean {
    if (this.#assumes) this.#assumed.add(pathText(path));
    return this.#assumes;
  }

  isAssumed(path: Path): boolean {
    return this.#assumed.size > 0 && this.#assumed.has(pathText(path));
  }

  read(value: string, path: Path): string | Finding {
    if (!value.includes('${')) return compact(value);
    const result = interpolate(value, this.#env);
    if (!result.ok) {
      if (result.unset && this.assume(path)) return 'assumed';
      return { path: [...path], at: 'value', message: result.message };
    }
    this.#paths.add(pathText(path));
    this.#texts.set(result.text, value);
    return compact(result.text);
  }

  has(path: Path): boolean {
    return this.#paths.has(pathText(path));
  }

  /** A value as text for people: quoted, shortened, and as written in the file. */
  readonly show: Show = (value) => {
    const text = typeof value === 'string' ? (this.#texts.get(value) ?? value) : String(value);
    return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
  };
}

/** Replaces `file:` values by the files' content, in the settings that allow them. */
function readSecrets(root: unknown, readFile: ReadFile, filled: Filled): Finding[] {
  const done = new Map<unknown, Set<unknown>>();
  return pathsFromFile(configSchema, root).flatMap((path): Finding[] => {
    const holder = valueAt(root, path.slice(0, -1));
    const value = String(valueAt(root, path));
    // Two providers share one object if one is an alias of the other.
    const read = done.get(holder) ?? new Set();
    if (read.has(path.at(-1))) return [];
    done.set(holder, read.add(path.at(-1)));
    try {
      const secret = readFile(value.slice(filePrefix.length), secretMaxBytes).replace(/[\r\n]+$/, '');
      if (secret !== '') setAt(root, path, secret);
      return secret === '' ? [{ path, at: 'value', message: 'the file it names is empty' }] : [];
    } catch (error) {
      if (filled.assume(path)) return [];
      return [{ path, at: 'value', message: `the file it names cannot be used: ${reason(error)}` }];
    }
  });
}

const reason = (error: unknown): string => (error instanceof FileFault ? error.message : 'it cannot be read');

/** Validates by the schema. Text from the environment is converted if a number or boolean is expected. */
function validate(root: unknown, filled: Filled): z.ZodSafeParseResult<Config> {
  const first = configSchema.safeParse(root);
  let changed = false;
  for (const { code, path } of first.error?.issues ?? []) {
    const steps = path.filter((step) => typeof step !== 'symbol');
    if ((code !== 'invalid_type' && code !== 'invalid_union') || !filled.has(steps)) continue;
    const text = String(valueAt(root, steps));
    if (!/^(-?\d+(\.\d+)?|true|false)$/.test(text)) continue;
    setAt(root, steps, /^[tf]/.test(text) ? text === 'true' : Number(text));
    changed = true;
  }
  return changed ? configSchema.safeParse(root) : first;
}

function setAt(root: unknown, path: Path, value: unknown): void {
  const holder = valueAt(root, path.slice(0, -1));
  const last = path.at(-1);
  if (typeof holder !== 'object' || holder === null || last === undefined) return;
  if (Object.hasOwn(holder, last)) (holder as Record<string | number, unknown>)[last] = value;
}

/**
 * The valid part of a configuration, for further checks: faulty values become undefined, so that the rest has the
 * types of the schema. Null: the whole file is faulty. Defaults are left out, since they have no place in the file.
 */
function validPart(root: unknown, found: readonly Finding[]): Draft | null {
  if (typeof root !== 'object' || root === null || Array.isArray(root)) return null;
  for (const { path } of found) setAt(root, path, undefined);
  return root as Draft;
}

/** Brings values into the form that the stages expect. */
function normalize(config: Config): Config {
  for (const provider of Object.values(config.providers)) {
    if (provider.baseUrl !== undefined) provider.baseUrl = provider.baseUrl.replace(/\/+$/, '');
  }
  config.listen.allowedHosts = config.listen.allowedHosts.map((host) => host.toLowerCase());
  config.listen.allowedOrigins = config.listen.allowedOrigins.map((origin) => origin.toLowerCase());
  return config;
}

function faulty(source: ConfigText, found: readonly Finding[], warnings: readonly Finding[]): ConfigResult {
  return { ok: false, faults: place(source, found), files: [], warnings: place(source, warnings) };
}

/** Adds line and column to findings, and sorts them by place. */
function place(source: { readonly locate: Placed }, found: readonly Finding[]): ConfigFault[] {
  const placed = found.slice(0, faultsMax).map((finding) => ({
    path: pathText(finding.path),
    ...source.locate(finding),
    message: finding.message,
  }));
  placed.sort((a, b) => a.line - b.line || a.column - b.column);
  const left = found.length - placed.length;
  if (left === 0) return placed;
  return [...placed, { path: '', line: null, column: null, message: `and ${left} more faults` }];
}
