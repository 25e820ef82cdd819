/** Turns the schema's issues into findings that tell people what to write. */
import { z } from 'zod';
import { didYouMean } from '../base/did-you-mean.ts';
import { type Finding, type Path, pathText } from './faults.ts';
import { configSchema } from './schema.ts';

/** A value as text for people: quoted, shortened, and without anything from the environment. */
export type Show = (value: unknown) => string;

const nouns: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping of keys to values',
  record: 'a mapping of keys to values',
  array: 'a list',
};
const noun = (type: string): string => nouns[type] ?? type;

/** The findings of the issues that `schema` found in the value `root`. */
export function describeIssues(
  issues: readonly z.core.$ZodIssue[],
  root: unknown,
  show: Show,
  schema: z.ZodType = configSchema,
): Finding[] {
  // Costly, so made for faults only, and once for all of them.
  let tree: SchemaNode | undefined;
  const knownAt = (path: Path): string[] => {
    tree ??= z.toJSONSchema(schema, { io: 'input' }) as SchemaNode;
    return knownKeys(path, tree);
  };
  return issues.flatMap((issue) => findingsOf(issue, root, show, knownAt));
}

function findingsOf(
  issue: z.core.$ZodIssue,
  root: unknown,
  show: Show,
  knownAt: (path: Path) => string[],
): Finding[] {
  const path = issue.path.filter((step) => typeof step !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    const known = knownAt(path);
    return issue.keys.map((key) => ({ path: [...path, key], at: 'key', message: unknownKey(key, known) }));
  }
  if (issue.code === 'invalid_key') {
    return [{ path, at: 'key', message: `the name ${issue.issues[0]?.message ?? 'is not valid'}` }];
  }
  if (issue.code === 'invalid_union') {
    // Use the issues of the branch that has the value's type; if there is none, name the allowed types.
    const near = issue.errors.find(
      (errors) => !errors.some((error) => error.path.length === 0 && error.code === 'invalid_type'),
    );
    const nested = near?.map((error) => ({ ...error, path: [...path, ...error.path] })) ?? [];
    if (nested.length > 0) return nested.flatMap((one) => findingsOf(one, root, show, knownAt));
  }
  return [{ path, at: 'value', message: describe(issue, valueAt(root, path), show) }];
}

/**
 * The issues of a value that isn't a configuration, such as a request's body, as one text that doesn't quote
 * the value.
 */
export function describeProblems(error: z.ZodError, root: unknown): string {
  return error.issues
    .map((issue) => {
      const path = issue.path.filter((step) => typeof step !== 'symbol');
      const unknown =
        issue.code === 'unrecognized_keys' ? `there is no such setting: ${issue.keys.join(', ')}` : null;
      const text = unknown ?? describe(issue, valueAt(root, path), () => 'this');
      return path.length === 0 ? text : `${pathText(path)}: ${text}`;
    })
    .join('; ');
}

function describe(issue: z.core.$ZodIssue, value: unknown, show: Show): string {
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(issue.expected, value);
    case 'invalid_value': {
      const values = issue.values.map(String);
      const choice = `one of ${values.join(', ')}`;
      if (value === undefined) return `is missing: it must be ${choice}`;
      if (value === null) return `has no value: set ${choice}, or remove the line`;
      if (typeof value === 'object')
        return `must be ${choice}, not ${noun(Array.isArray(value) ? 'array' : 'object')}`;
      const guess = typeof value === 'string' ? didYouMean(value, values) : '';
      return `${show(value)} is not ${choice}${guess}`;
    }
    case 'invalid_union': {
      const kinds = issue.errors.flatMap(([first]) =>
        first?.code === 'invalid_type' ? [noun(first.expected)] : [],
      );
      return `must be ${kinds.join(' or ')}`;
    }
    case 'too_small':
      return bound(issue.origin, 'least', issue.minimum, issue.inclusive !== false);
    case 'too_big':
      return bound(issue.origin, 'most', issue.maximum, issue.inclusive !== false);
    default:
      return issue.message;
  }
}

function wrongType(expected: string, value: unknown): string {
  if (value === undefined) return 'is missing';
  if (value === null) return 'has no value: set one, or remove the line';
  const is = Array.isArray(value) ? 'array' : typeof value;
  const finite = typeof value !== 'number' || Number.isFinite(value);
  const found = finite ? noun(is) : 'an infinite or undefined number';
  if (expected === 'int' && is === 'number') return 'must be a whole number';
  const what = `must be ${noun(expected)}, not ${found}`;
  return expected === 'string' && is !== 'object' && is !== 'array' ? `${what}: put it in quotes` : what;
}

function bound(origin: string, side: 'least' | 'most', limit: number | bigint, inclusive: boolean): string {
  if (origin === 'string' && side === 'least' && limit === 1) return 'must not be empty';
  if (origin === 'string') return `must have at ${side} ${limit} characters`;
  if (origin === 'array') return `must have at ${side} ${limit} ${limit === 1 ? 'entry' : 'entries'}`;
  if (inclusive) return `must be at ${side} ${limit}`;
  return `must be ${side === 'least' ? 'more' : 'less'} than ${limit}`;
}

const knownListMax = 20;

function unknownKey(key: string, known: readonly string[]): string {
  const guess = didYouMean(key, known);
  if (guess !== '') return `there is no such setting${guess}`;
  const list = known.length <= knownListMax ? `; the settings here are ${known.join(', ')}` : '';
  return `there is no such setting${known.length === 0 ? '' : list}`;
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

/** The keys that a schema has at a path. */
function knownKeys(path: Path, tree: SchemaNode): string[] {
  let node: SchemaNode | undefined = tree;
  for (const step of path) {
    if (typeof step === 'number') node = node?.items;
    else if (node?.properties !== undefined && Object.hasOwn(node.properties, step))
      node = node.properties[step];
    else node = typeof node?.additionalProperties === 'object' ? node.additionalProperties : undefined;
  }
  const branch = node?.anyOf?.find(({ properties }) => properties !== undefined);
  return Object.keys((branch ?? node)?.properties ?? {});
}

/** The value at a path; undefined: there is none. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
