/** JSON schemas in Gemini's dialect: `parametersJsonSchema` and `responseJsonSchema`, and its own older form of them. */
import { isObject, type Json } from '../../base/json.ts';
import { mapSchemas } from '../json-schema.ts';

/**
 * A client's schema as Gemini takes it: the documented subset knows no `const`, no exclusive bounds and no `allOf`.
 * https://ai.google.dev/gemini-api/docs/structured-output
 */
export const writeSchema = (schema: Json): Json =>
  mapSchemas(schema, ({ $schema: _, const: only, exclusiveMinimum, exclusiveMaximum, allOf, ...rest }) => {
    const written: Json = rest;
    if (only !== undefined) written.enum = [only];
    if (typeof exclusiveMinimum === 'number')
      written.minimum ??= above(exclusiveMinimum, 1, written.type === 'integer');
    if (typeof exclusiveMaximum === 'number')
      written.maximum ??= above(exclusiveMaximum, -1, written.type === 'integer');
    // One alone is what it says; of several, Gemini may leave them out.
    if (Array.isArray(allOf)) {
      const [first] = allOf;
      if (allOf.length === 1 && isObject(first)) return { ...first, ...written };
      written.allOf = allOf;
    }
    return written;
  });

const above = (bound: number, step: number, whole: boolean): number =>
  whole ? (step > 0 ? Math.floor(bound) + 1 : Math.ceil(bound) - 1) : bound;

/** Gemini's own `Schema` (names of types in capitals, `nullable`, counts as text) as JSON schema. */
export const readSchema = (schema: Json): Json =>
  mapSchemas(schema, ({ nullable, propertyOrdering: _, ...rest }) => {
    const read: Json = rest;
    if (typeof read.type === 'string') {
      const type = read.type.toLowerCase();
      if (type === 'type_unspecified') delete read.type;
      else read.type = nullable === true ? [type, 'null'] : type;
    }
    for (const count of [
      'minItems',
      'maxItems',
      'minLength',
      'maxLength',
      'minProperties',
      'maxProperties',
    ]) {
      const value = read[count];
      if (typeof value === 'string' && /^\d+$/.test(value)) read[count] = Number(value);
    }
    return read;
  });
