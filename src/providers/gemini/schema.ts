/** JSON schemas in Gemini's dialect: `parametersJsonSchema` and `responseJsonSchema`, and its own older form of them. */
import { isObject, type Json } from '../json.ts';

/** Members whose values are schemas, and those that hold lists or maps of schemas. */
const single = new Set(['items', 'additionalProperties', 'not', 'contains', 'propertyNames']);
const lists = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems']);
const maps = new Set(['properties', '$defs', 'definitions', 'patternProperties']);

/** A schema with each schema in it changed by `change`, from the inside out. */
function walk(schema: Json, change: (schema: Json) => Json): Json {
  const inner = (value: unknown): unknown => (isObject(value) ? walk(value, change) : value);
  const copy: Json = {};
  for (const [key, value] of Object.entries(schema)) {
    if (single.has(key)) copy[key] = inner(value);
    else if (lists.has(key) && Array.isArray(value)) copy[key] = value.map(inner);
    else if (maps.has(key) && isObject(value))
      copy[key] = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inner(one)]));
    else copy[key] = value;
  }
  return change(copy);
}

/**
 * A client's schema as Gemini takes it: the documented subset knows no `const`, no exclusive bounds and no `allOf`.
 * https://ai.google.dev/gemini-api/docs/structured-output
 */
export const writeSchema = (schema: Json): Json =>
  walk(schema, ({ $schema: _, const: only, exclusiveMinimum, exclusiveMaximum, allOf, ...rest }) => {
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
  walk(schema, ({ nullable, propertyOrdering: _, ...rest }) => {
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
