/** Settings that only a restart changes: those that say `restart: true` of themselves in the schema. */
import type { z } from 'zod';

/** What a setting may say of itself. */
interface Meta {
  readonly restart?: boolean;
}

/** What a schema that wraps another, or has members, says of them. */
interface Def {
  readonly innerType?: z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
}

/** Dotted paths of the settings of a schema that need a restart, such as `listen.port`. */
export function restartPaths(schema: z.ZodType, path = ''): string[] {
  if ((schema.meta() as Meta | undefined)?.restart === true) return [path];
  const { innerType, shape } = schema.def as Def;
  if (innerType !== undefined) return restartPaths(innerType, path);
  return Object.entries(shape ?? {}).flatMap(([key, inner]) =>
    restartPaths(inner, path === '' ? key : `${path}.${key}`),
  );
}
