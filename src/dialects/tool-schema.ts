/**
 * Tools' schemas in the form that their makers' own validators demand, where every other server takes the same: a schema
 * that is refused makes each request of an agent fail that has such a tool among many.
 */
import { entryOf, isObject, type Json, listOf, objectOf, textOf } from '../base/json.ts';
import { type Notes, noteDropped } from './chat.ts';
import { mapSchemas } from './json-schema.ts';

/** What joins schemas. */
const joints = ['anyOf', 'oneOf', 'allOf'] as const;

/**
 * A tool's schema as one object without `anyOf`, `oneOf` and `allOf` at its root, which OpenAI and Anthropic refuse there:
 * it has the members of all of them, and its description says how they belong together, which nothing enforces then.
 * @param at the client's field that holds the tool
 */
export function asOneObject(schema: Json, at: string, notes: Notes): Json {
  const joining = joints.filter((name) => Array.isArray(schema[name]));
  if (joining.length === 0) return schema;
  for (const name of joining) noteDropped(notes, `${at}.${name}`);
  const { anyOf, oneOf, allOf, ...rest } = schema;
  const found = new FoundMembers(schema);
  const required = found.add(schema);
  const words = textOf(rest.description);
  const joined = Object.fromEntries(joining.map((name) => [name, schema[name]]));
  return {
    ...rest,
    type: 'object',
    description: `${words === null ? '' : `${words} `}${JSON.stringify(joined)}`,
    properties: found.properties(),
    ...(required.length === 0 ? {} : { required }),
  };
}

/** The members of an object that joined schemas describe. */
class FoundMembers {
  readonly #root: Json;
  /** What a member may be, by its name and then by its text: several schemas may describe it, differently. */
  readonly #found = new Map<string, Map<string, unknown>>();
  /** References that were followed: a schema may refer to itself. */
  readonly #followed = new Set<string>();

  constructor(root: Json) {
    this.#root = root;
  }

  /** Adds the members of a schema, and returns the names of those that it needs in any case. */
  add(given: Json): readonly string[] {
    const schema = this.#referred(given);
    for (const [name, member] of Object.entries(objectOf(schema.properties))) {
      const forms = this.#found.get(name) ?? new Map<string, unknown>();
      this.#found.set(name, forms.set(JSON.stringify(member), member));
    }
    const required = new Set(namesIn(schema.required));
    for (const joint of joints) {
      const branches = listOf(schema[joint]).map((branch) => new Set(this.add(branch)));
      const needed = [...new Set(branches.flatMap((branch) => [...branch]))].filter(
        (name) => joint === 'allOf' || branches.every((branch) => branch.has(name)),
      );
      for (const name of needed) required.add(name);
    }
    return [...required];
  }

  properties(): Json {
    const members = [...this.#found].map(([name, forms]) => {
      const [first, ...others] = forms.values();
      return [name, others.length === 0 ? first : { anyOf: [first, ...others] }];
    });
    return Object.fromEntries(members) as Json;
  }

  /** The schema that a reference inside the root means. */
  #referred(schema: Json): Json {
    const ref = textOf(schema.$ref);
    const [, list = '', name = ''] = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(ref ?? '') ?? [];
    if (ref === null || list === '') return schema;
    if (this.#followed.has(ref)) return {};
    this.#followed.add(ref);
    return objectOf(entryOf(objectOf(this.#root[list]), name));
  }
}

const namesIn = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((name) => typeof name === 'string') : [];

/** Whether a schema says nothing of a list's items. */
const lacksItems = ({ type, items }: Json): boolean =>
  items === undefined && (type === 'array' || (Array.isArray(type) && type.includes('array')));

/** Whether it does so anywhere; looks into everything, so that most schemas need not be copied. */
const lacksItemsIn = (value: unknown): boolean =>
  Array.isArray(value)
    ? value.some(lacksItemsIn)
    : isObject(value) && (lacksItems(value) || Object.values(value).some(lacksItemsIn));

/** The schema with `items` in every list, where OpenAI refuses lists without: they are of any kind. */
export const withItems = (schema: Json): Json =>
  lacksItemsIn(schema)
    ? mapSchemas(schema, (one) => (lacksItems(one) ? { ...one, items: {} } : one))
    : schema;

/** The schema with what OpenAI refuses objects without: their type, and their members even where there are none. */
export const withProperties = (schema: Json): Json =>
  schema.type === 'object' && isObject(schema.properties)
    ? schema
    : { ...schema, type: 'object', properties: objectOf(schema.properties) };
