/** Turns what the schema says of a value into findings that tell people what to write. */
import { z } from 'zod';
import { didYouMean, type Finding, type Path, pathText } from './faults.ts';
import { configSchema } from './schema.ts';

/** A value as it may be shown: quoted, cut, and never what came from the environment. */
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

/** The findings of all issues; `root` is the value they were found in, by `schema`. */
export function describeIssues(
  issues: readonly z.core.$ZodIssue[],
  root: unknown,
  show: Show,
  schema: z.ZodType = configSchema,
): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    const path = issue.path.filter((step) => typeof step !== 'symbol');
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(path, schema);
      return issue.keys.map((key) => ({ path: [...path, key], at: 'key', message: unknownKey(key, known) }));
    }
    if (issue.code === 'invalid_key') {
      return [{ path, at: 'key', message: `the name ${issue.issues[0]?.message ?? 'is not valid'}` }];
    }
    if (issue.code === 'invalid_union') {
      // The branch that is of the value's kind says what is wrong; if there is none, what the kinds are.
      const near = issue.errors.find(
        (errors) => !errors.some((error) => error.path.length === 0 && error.code === 'invalid_type'),
      );
      const nested = near?.map((error) => ({ ...error, path: [...path, ...error.path] })) ?? [];
      if (nested.length > 0) return describeIssues(nested, root, show, schema);
    }
    return [{ path, at: 'value', message: describe(issue, valueAt(root, path), show) }];
  });
}

/** What is wrong with a value that is no configuration, such as the body of a request; its own text isn't repeated. */
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
      const guess = typeof value === 'string' ? didYouMean(value, values) : '';
      return `${show(value)} is not one of ${values.join(', ')}${guess}`;
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
  if (value === null) return 'has no value: give it one, or take the line out';
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

const knownListMax = 16;

function unknownKey(key: string, known: readonly string[]): string {
  const guess = didYouMean(key, known);
  if (guess !== '') return `there is no such setting${guess}`;
  const list = known.length <= knownListMax ? `; here there are ${known.join(', ')}` : '';
  return `there is no such setting${known.length === 0 ? '' : list}`;
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

/** The keys the schema knows at a path. Only asked for when there is a fault. */
function knownKeys(path: Path, schema: z.ZodType): string[] {
  let node: SchemaNode | undefined = z.toJSONSchema(schema, { io: 'input' }) as SchemaNode;
  for (const step of path) {
    if (typeof step === 'number') node = node?.items;
    else if (node?.properties !== undefined && Object.hasOwn(node.properties, step))
      node = node.properties[step];
    else node = typeof node?.additionalProperties === 'object' ? node.additionalProperties : undefined;
  }
  const branch = node?.anyOf?.find(({ properties }) => properties !== undefined);
  return Object.keys((branch ?? node)?.properties ?? {});
}

/** What stands at a path; undefined: nothing. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
