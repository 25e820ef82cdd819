/** Finds the values that are read from files: texts `file:PATH` where the schema's metadata says `fromFile: true`. */
import type { z } from 'zod';
import type { Path } from './faults.ts';

/** How such a value begins. */
export const filePrefix = 'file:';

/** The part of a schema's definition that leads to inner schemas. */
interface Def {
  readonly innerType?: z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  /** Of a list. */
  readonly element?: z.ZodType;
  /** Of a mapping. */
  readonly valueType?: z.ZodType;
}

const isFromFile = (schema: z.ZodType): boolean =>
  (schema.meta() as { readonly fromFile?: boolean } | undefined)?.fromFile === true;

/** Whether a schema has such a value: most long lists have none, and need not be searched. */
function hasAny(schema: z.ZodType): boolean {
  const { innerType, element, valueType, shape = {} } = schema.def as Def;
  const inner = [innerType, element, valueType, ...Object.values(shape)];
  return isFromFile(schema) || inner.some((each) => each !== undefined && hasAny(each));
}

/** Their paths in a value that needn't fit the schema. */
export function pathsFromFile(schema: z.ZodType, value: unknown, path: Path = []): Path[] {
  if (isFromFile(schema)) return typeof value === 'string' && value.startsWith(filePrefix) ? [path] : [];
  const { innerType, element, valueType, shape = {} } = schema.def as Def;
  if (innerType !== undefined) return pathsFromFile(innerType, value, path);
  if (typeof value !== 'object' || value === null || !hasAny(schema)) return [];
  return Object.entries(value).flatMap(([key, each]) => {
    const inner = element ?? valueType ?? (Object.hasOwn(shape, key) ? shape[key] : undefined);
    const step = Array.isArray(value) ? Number(key) : key;
    return inner === undefined ? [] : pathsFromFile(inner, each, [...path, step]);
  });
}
