/** JSON schemas as trees of schemas, for dialects that take a subset of them. */
import { isObject, type Json } from '../base/json.ts';

/** Members whose values are schemas, and those that hold lists or maps of schemas. */
const single = new Set(['items', 'additionalProperties', 'not', 'contains', 'propertyNames']);
const lists = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems']);
const maps = new Set(['properties', '$defs', 'definitions', 'patternProperties']);

/** A copy of a schema with each schema in it changed by `change`, from the inside out. */
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
