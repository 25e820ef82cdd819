/** Makes a JSON value that a JSON Schema accepts, deterministically, for tool arguments and JSON answers. */
import { between, type Random } from './random.ts';

type Schema = Readonly<Record<string, unknown>>;

/** Below this depth only required properties are made, so that a recursive schema ends. */
const depthMax = 6;
const hardDepthMax = 24;
const valuesMax = 2000;

interface Maker {
  readonly root: unknown;
  readonly random: Random;
  /** An e-mail address or placeholder of the user's message, for properties that need one. */
  readonly mail: string | null;
  made: number;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** Follows `#/a/b` references inside the document; other references accept anything. */
function resolve(maker: Maker, schema: Schema): Schema {
  let at: Schema = schema;
  for (let hops = 0; hops < 16 && typeof at.$ref === 'string'; hops++) {
    let value: unknown = maker.root;
    for (const part of at.$ref.replace(/^#\/?/, '').split('/')) {
      if (part === '') continue;
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      value = isSchema(value) && Object.hasOwn(value, name) ? value[name] : undefined;
    }
    if (!isSchema(value)) return {};
    at = value;
  }
  return at;
}

/** Merges the parts of `allOf` into one schema. */
function flatten(maker: Maker, given: Schema, hops = 0): Schema {
  const schema = resolve(maker, given);
  if (!Array.isArray(schema.allOf) || hops > 8 || ++maker.made > valuesMax) return schema;
  let joined: Record<string, unknown> = { ...schema, allOf: undefined };
  for (const part of schema.allOf) {
    if (!isSchema(part)) continue;
    const more = flatten(maker, part, hops + 1);
    const properties = {
      ...(joined.properties as object | undefined),
      ...(more.properties as object | undefined),
    };
    const required = [joined.required, more.required].flatMap((list) => (Array.isArray(list) ? list : []));
    joined = { ...joined, ...more, properties, required };
  }
  return joined;
}

/** The first of several alternatives; deep down, one that leads no deeper, if there is one. */
function choose(maker: Maker, schemas: readonly unknown[], depth: number): unknown {
  if (depth < depthMax) return schemas[0];
  const plain = schemas.find((one) => isSchema(one) && one.$ref === undefined && one.type !== 'object');
  return plain ?? schemas[maker.made % schemas.length];
}

function typeOf(schema: Schema, depth: number): string {
  const { type } = schema;
  if (typeof type === 'string') return type;
  if (Array.isArray(type)) {
    const names = type.filter((one): one is string => typeof one === 'string');
    if (depth >= depthMax && names.includes('null')) return 'null';
    return names.find((one) => one !== 'null') ?? 'null';
  }
  if (isSchema(schema.properties)) return 'object';
  if (schema.items !== undefined || schema.prefixItems !== undefined) return 'array';
  if (number(schema.minimum) !== null || number(schema.maximum) !== null) return 'number';
  return 'string';
}

function makeObject(maker: Maker, schema: Schema, depth: number): Record<string, unknown> {
  const properties = isSchema(schema.properties) ? schema.properties : {};
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const value: Record<string, unknown> = {};
  const names = new Set([...Object.keys(properties), ...required].filter((one) => typeof one === 'string'));
  for (const name of names) {
    if (depth >= depthMax && !required.has(name)) continue;
    const made = make(maker, Object.hasOwn(properties, name) ? properties[name] : true, name, depth + 1);
    // A plain assignment to __proto__ would set the prototype.
    Object.defineProperty(value, name, { value: made, enumerable: true, configurable: true, writable: true });
  }
  return value;
}

function makeArray(maker: Maker, schema: Schema, name: string, depth: number): unknown[] {
  const least = number(schema.minItems) ?? 0;
  const most = number(schema.maxItems) ?? Number.POSITIVE_INFINITY;
  const fixed = Array.isArray(schema.prefixItems) ? schema.prefixItems : [];
  const wanted = depth >= depthMax ? least : Math.max(least, fixed.length, schema.items === false ? 0 : 2);
  const value: unknown[] = [];
  while (value.length < Math.min(wanted, most) && maker.made < valuesMax) {
    const item = make(maker, fixed[value.length] ?? schema.items ?? true, name, depth + 1);
    // Two equal strings would break `uniqueItems`.
    value.push(typeof item === 'string' && value.includes(item) ? distinct(schema.items, item, value) : item);
  }
  return value;
}

function distinct(items: unknown, text: string, taken: readonly unknown[]): unknown {
  const options = isSchema(items) && Array.isArray(items.enum) ? items.enum : null;
  if (options) return options.find((one) => !taken.includes(one)) ?? text;
  const plain = isSchema(items) && items.format === undefined && items.pattern === undefined;
  return plain && items.const === undefined ? fit(items, `${text} ${taken.length + 1}`) : text;
}

function makeNumber(maker: Maker, schema: Schema, whole: boolean): number {
  const step = number(schema.multipleOf) ?? (whole ? 1 : 0.5);
  const above = number(schema.exclusiveMinimum);
  const below = number(schema.exclusiveMaximum);
  const min = number(schema.minimum) ?? (above === null ? null : above + step);
  const max = number(schema.maximum) ?? (below === null ? null : below - step);
  const from = min ?? (max === null ? 1 : max - 20 * step);
  const to = max ?? from + 20 * step;
  const lowest = Math.ceil(from / step);
  const value = between(maker.random, lowest, Math.max(lowest, Math.floor(to / step))) * step;
  const inside = value >= from && value <= to ? value : (from + to) / 2;
  return Number(inside.toFixed(10));
}

const formats: Readonly<Record<string, string>> = {
  'date-time': '2025-01-01T12:00:00Z',
  date: '2025-01-01',
  time: '12:00:00Z',
  duration: 'PT1H',
  email: 'simulated@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/simulated',
  uuid: '00000000-0000-4000-8000-000000000001',
};

function fit(schema: Schema, text: string): string {
  const least = Math.min(number(schema.minLength) ?? 0, 10_000);
  const most = number(schema.maxLength) ?? Number.POSITIVE_INFINITY;
  return text.padEnd(least, '.').slice(0, most);
}

function makeString(maker: Maker, schema: Schema, name: string): string {
  if (maker.mail !== null && (schema.format === 'email' || /e-?mail/i.test(name))) return maker.mail;
  const known = typeof schema.format === 'string' ? formats[schema.format] : undefined;
  return known ?? fit(schema, name === '' ? 'simulated' : `simulated ${name.replaceAll('_', ' ')}`);
}

function make(maker: Maker, given: unknown, name: string, depth: number): unknown {
  maker.made++;
  if (depth > hardDepthMax || maker.made > valuesMax) return null;
  if (!isSchema(given)) return `simulated ${name}`.trim();
  const schema = flatten(maker, given);
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) {
    return schema.enum[between(maker.random, 0, schema.enum.length - 1)];
  }
  for (const list of [schema.anyOf, schema.oneOf]) {
    if (!Array.isArray(list) || list.length === 0) continue;
    const chosen = choose(maker, list, depth);
    return make(
      maker,
      isSchema(chosen) ? { ...schema, anyOf: undefined, oneOf: undefined, ...chosen } : chosen,
      name,
      depth + 1,
    );
  }
  switch (typeOf(schema, depth)) {
    case 'object':
      return makeObject(maker, schema, depth);
    case 'array':
      return makeArray(maker, schema, name, depth);
    case 'integer':
      return makeNumber(maker, schema, true);
    case 'number':
      return makeNumber(maker, schema, false);
    case 'boolean':
      return maker.random() < 0.5;
    case 'null':
      return null;
    default:
      return makeString(maker, schema, name);
  }
}

/**
 * A value that `schema` accepts. All keywords are respected except `pattern`, `not`, `if` and references to other
 * documents.
 * @param mail used for properties that need an e-mail address
 */
export function schemaValue(schema: unknown, random: Random, mail: string | null): unknown {
  return make({ root: schema, random, mail, made: 0 }, schema, '', 0);
}
