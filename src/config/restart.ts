/** Finds the settings that need a restart: those with `restart: true` in the schema's metadata. */
import type { z } from 'zod';

/** A setting's metadata. */
interface Meta {
  readonly restart?: boolean;
}

/** The part of a schema's definition that leads to inner schemas. */
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
