/**
 * JSON schemas in the subset that Anthropic and Bedrock enforce: objects are closed, and bounds are moved into the
 * description for the model to read, as Anthropic's own SDKs do.
 * https://platform.claude.com/docs/en/build-with-claude/structured-outputs,
 * https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
 */
import { isObject, type Json, textOf } from '../../base/json.ts';
import { type ChatRequest, type Notes, noteDropped, noteUnsupported, type Tool } from '../chat.ts';
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

/** A schema in that subset. */
interface EnforcedSchema {
  readonly schema: Json;
  /** Names of the bounds that are described to the model but not enforced. */
  readonly loosened: readonly string[];
  /** It contains an object with arbitrary member names, which the subset doesn't have. */
  readonly open: boolean;
}

/** The schema of the answer; null: none is asked for, or it can't be enforced. */
export function writeAnswerSchema({ output, names }: ChatRequest, notes: Notes): Json | null {
  if (output?.kind !== 'schema') return null;
  const { schema, open, loosened } = writeSchema(output.schema);
  if (open) noteUnsupported(notes, names.output);
  else for (const bound of loosened) noteDropped(notes, `${names.output}.${bound}`);
  return open ? null : schema;
}

/** The schema of a tool's input, and whether it is enforced. Only that of a strict tool is; others may be of any form. */
export function writeInputSchema(
  { parameters, strict }: Tool,
  at: string,
  notes: Notes,
): { readonly schema: Json; readonly strict: boolean | null } {
  const given = parameters === null ? { type: 'object', properties: {} } : { type: 'object', ...parameters };
  if (strict !== true) return { schema: given, strict };
  const { schema, open } = writeSchema(given);
  if (!open) return { schema, strict };
  noteDropped(notes, `${at}.strict`);
  return { schema: given, strict: null };
}

function writeSchema(given: Json): EnforcedSchema {
  const loosened = new Set<string>();
  let open = false;
  const schema = mapSchemas(given, ({ $schema: _, ...written }) => {
    const described: Json = {};
    for (const name of bounds) {
      if (written[name] !== undefined) described[name] = written[name];
      delete written[name];
    }
    if (Array.isArray(written.oneOf) && written.anyOf === undefined) {
      written.anyOf = written.oneOf;
      delete written.oneOf;
      loosened.add('oneOf');
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
