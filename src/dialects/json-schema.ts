/** Rewrites JSON schemas recursively, for dialects that accept only a subset. */
import { isObject, type Json } from '../base/json.ts';

/** Members that hold one schema, a list of schemas, or a map of schemas. */
const single = new Set(['items', 'additionalProperties', 'not', 'contains', 'propertyNames']);
const lists = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems']);
const maps = new Set(['properties', '$defs', 'definitions', 'patternProperties']);

/** A copy of a schema with `change` applied to every schema in it, innermost first. */
export function mapSchemas(schema: Json, change: (schema: Json) => Json): Json {
  const inner = (value: unknown): unknown => (isObject(value) ? mapSchemas(value, change) : value);
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
