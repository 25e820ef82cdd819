/**
 * JSON schemas in the subset that Anthropic and Bedrock enforce: objects are closed, and bounds are moved into the
 * description for the model to read, as Anthropic's own SDKs do.
 * https://platform.claude.com/docs/en/build-with-claude/structured-outputs,
 * https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
 */
import { isObject, type Json, objectOf, textOf } from '../../base/json.ts';
import { type ChatRequest, type Notes, noteDropped, noteUnsupported, type Tool } from '../chat.ts';
import { mapSchemas } from '../json-schema.ts';
import { asOneObject } from '../tool-schema.ts';

/** Members for which a schema is refused. */
const bounds = new Set([
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
]);

/** A schema in that subset. */
interface EnforcedSchema {
  readonly schema: Json;
  /** Names of the bounds that are described to the model but not enforced. */
  readonly loosened: readonly string[];
  /** It contains an object with arbitrary member names, which the subset doesn't have. */
  readonly open: boolean;
  /** Members that may be missing, and those of several types. */
  readonly optional: number;
  readonly unions: number;
}

/** The most that the schemas of one request may have in all. */
const most = { tools: 20, optional: 24, unions: 16 };

/** Writes the schemas of one request. */
export interface SchemaWriter {
  /** The schema of the answer, which comes first; null: none is asked for, or it can't be enforced. */
  answer(request: ChatRequest): Json | null;
  /** The schema of a tool's input, and whether it is enforced: only a strict tool's is; others may be of any form. */
  input(tool: Tool, at: string): { readonly schema: Json; readonly strict: boolean };
}

/** Creates the writer for one request; tools are no longer strict once they would exceed what it may have. */
export function createSchemaWriter(notes: Notes): SchemaWriter {
  let used = { tools: 0, optional: 0, unions: 0 };
  const take = ({ optional, unions }: EnforcedSchema, tools: number): boolean => {
    const sum = {
      tools: used.tools + tools,
      optional: used.optional + optional,
      unions: used.unions + unions,
    };
    const fits = sum.tools <= most.tools && sum.optional <= most.optional && sum.unions <= most.unions;
    if (fits) used = sum;
    return fits;
  };
  return {
    answer({ output, names }) {
      if (output?.kind !== 'schema') return null;
      const enforced = writeSchema(output.schema);
      if (enforced.open) noteUnsupported(notes, names.output);
      else for (const bound of enforced.loosened) noteDropped(notes, `${names.output}.${bound}`);
      take(enforced, 0);
      return enforced.open ? null : enforced.schema;
    },
    input({ parameters, strict }, at) {
      const whole =
        parameters === null ? { type: 'object', properties: {} } : { type: 'object', ...parameters };
      const given = asOneObject(whole, at, notes);
      if (strict !== true) return { schema: given, strict: false };
      const enforced = writeSchema(given);
      if (!enforced.open && take(enforced, 1)) return { schema: enforced.schema, strict };
      noteDropped(notes, `${at}.strict`);
      return { schema: given, strict: false };
    },
  };
}

/** How many of an object's members may be missing. */
function optionalIn({ properties, required }: Json): number {
  const needed = new Set<unknown>(Array.isArray(required) ? required : []);
  return Object.keys(objectOf(properties)).filter((name) => !needed.has(name)).length;
}

function writeSchema(given: Json): EnforcedSchema {
  const loosened = new Set<string>();
  let open = false;
  let [optional, unions] = [0, 0];
  const schema = mapSchemas(given, (each) => {
    const [written, described]: [Json, Json] = [{}, {}];
    for (const [name, value] of Object.entries(each)) {
      if (bounds.has(name)) described[name] = value;
      else if (name !== '$schema') written[name] = value;
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
    optional += optionalIn(written);
    if (Array.isArray(written.type) || Array.isArray(written.anyOf)) unions += 1;
    return written;
  });
  return { schema, loosened: [...loosened], open, optional, unions };
}

const isObjects = ({ type, properties }: Json): boolean =>
  type === 'object' || isObject(properties) || (Array.isArray(type) && type.includes('object'));
