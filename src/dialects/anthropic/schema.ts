/**
 * JSON schemas in the subset that Anthropic enforces: objects are closed, and bounds are moved into the description
 * for the model to read, as the provider's own SDKs do. https://platform.claude.com/docs/en/build-with-claude/structured-outputs
 */
import { isObject, type Json, textOf } from '../../base/json.ts';
import { mapSchemas } from '../json-schema.ts';

/** Members for which a schema is refused. */
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

/** A schema rewritten for Anthropic. */
export interface EnforcedSchema {
  readonly schema: Json;
  /** Names of the bounds that are described to the model but not enforced. */
  readonly loosened: readonly string[];
  /** It contains an object with arbitrary member names, which Anthropic doesn't support. */
  readonly open: boolean;
}

/** Rewrites a client's schema. */
export function writeSchema(given: Json): EnforcedSchema {
  const loosened = new Set<string>();
  let open = false;
  const schema = mapSchemas(given, ({ $schema: _, ...written }) => {
    const described: Json = {};
    for (const name of bounds) {
      if (written[name] !== undefined) described[name] = written[name];
      delete written[name];
    }
    if (typeof written.minItems === 'number' && written.minItems > 1) {
      described.minItems = written.minItems;
      written.minItems = 1;
    }
    if (Object.keys(described).length > 0) {
      for (const name in described) loosened.add(name);
      const words = textOf(written.description);
      written.description = `${words === null ? '' : `${words} `}${JSON.stringify(described)}`;
    }
    if (isObjects(written)) {
      const { additionalProperties: more, properties } = written;
      // An answer of a closed object still fits the schema, unless the schema requires arbitrary names.
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
