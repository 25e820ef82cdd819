/**
 * JSON schemas as Anthropic enforces them: objects are closed, and bounds are told to the model in the description, as
 * the provider's own SDKs tell them. https://platform.claude.com/docs/en/build-with-claude/structured-outputs
 */
import { isObject, type Json, textOf } from '../../base/json.ts';
import { mapSchemas } from '../json-schema.ts';

/** Members that a schema with them is refused for. */
const bounds = [
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
];

export interface EnforcedSchema {
  readonly schema: Json;
  /** Bounds that are only told, not enforced, by their names. */
  readonly loosened: readonly string[];
  /** An object with names of its own choice is in it, which can't be said. */
  readonly open: boolean;
}

export function writeSchema(given: Json): EnforcedSchema {
  const loosened = new Set<string>();
  let open = false;
  const schema = mapSchemas(given, ({ $schema: _, ...written }) => {
    const told: Json = {};
    for (const name of bounds) {
      if (written[name] !== undefined) told[name] = written[name];
      delete written[name];
    }
    if (typeof written.minItems === 'number' && written.minItems > 1) {
      told.minItems = written.minItems;
      written.minItems = 1;
    }
    if (Object.keys(told).length > 0) {
      for (const name in told) loosened.add(name);
      const words = textOf(written.description);
      written.description = `${words === null ? '' : `${words} `}${JSON.stringify(told)}`;
    }
    if (isObjects(written)) {
      const { additionalProperties: more, properties } = written;
      // Closing it leaves the answer within the schema, unless nothing but other names is meant.
      if (
        isObject(more) ||
        written.patternProperties !== undefined ||
        (more !== false && !isObject(properties))
      )
        open = true;
      written.additionalProperties = false;
    }
    return written;
  });
  return { schema, loosened: [...loosened], open };
}

const isObjects = ({ type, properties }: Json): boolean =>
  type === 'object' || isObject(properties) || (Array.isArray(type) && type.includes('object'));
