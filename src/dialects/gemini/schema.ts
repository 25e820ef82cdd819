/** JSON schemas in Gemini's dialect: `parametersJsonSchema` and `responseJsonSchema`, and its older own format. */
import { isObject, type Json } from '../../base/json.ts';
import { mapSchemas } from '../json-schema.ts';

/**
 * A client's schema in Gemini's documented subset, which lacks `const`, exclusive bounds and `allOf`.
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
    // A single schema replaces the `allOf`; several are kept, though Gemini may ignore them.
    if (Array.isArray(allOf)) {
      const [first] = allOf;
      if (allOf.length === 1 && isObject(first)) return { ...first, ...written };
      written.allOf = allOf;
    }
    return written;
  });

const above = (bound: number, step: number, whole: boolean): number =>
  whole ? (step > 0 ? Math.floor(bound) + 1 : Math.ceil(bound) - 1) : bound;

/** Gemini's own `Schema` (type names in capitals, `nullable`, counts as strings) as a JSON schema. */
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
