/** Values made from JSON Schemas: accepted by the schema, with references, unions and recursion. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { generator } from '../../src/simulate/random.ts';
import { schemaValue } from '../../src/simulate/schema-value.ts';

describe('values by schema', () => {
  const leaf = fc.oneof(
    fc.record({
      type: fc.constant('string'),
      minLength: fc.nat(12),
      maxLength: fc.integer({ min: 12, max: 20 }),
    }),
    fc.record({
      type: fc.constant('integer'),
      minimum: fc.integer({ min: -9, max: 5 }),
      maximum: fc.integer({ min: 5, max: 9 }),
    }),
    fc.record({
      type: fc.constant('number'),
      exclusiveMinimum: fc.integer({ min: -5, max: 0 }),
      multipleOf: fc.constantFrom(0.5, 3),
    }),
    fc.record({ type: fc.constantFrom('boolean', 'null') }),
    fc.record({ enum: fc.constant(['red', 'green', 7]) }),
  );
  const { schema } = fc.letrec((tie) => ({
    schema: fc.oneof({ maxDepth: 4 }, leaf, tie('object'), tie('array')),
    object: fc.record({
      type: fc.constant('object'),
      properties: fc.dictionary(fc.constantFrom('a', 'email', '__proto__'), tie('schema'), { maxKeys: 3 }),
      required: fc.constant(['a']),
    }),
    array: fc.record({
      type: fc.constant('array'),
      items: tie('schema'),
      minItems: fc.nat(5),
      maxItems: fc.integer({ min: 5, max: 7 }),
    }),
  }));

  interface Spec {
    type: string;
    enum?: unknown[];
    minLength: number;
    maxLength: number;
    minimum: number;
    maximum: number;
    exclusiveMinimum: number;
    multipleOf: number;
    properties: Record<string, unknown>;
    minItems: number;
    maxItems: number;
    items: unknown;
  }

  /** Checks a value against the keywords used by the schemas above. */
  function check(value: unknown, given: unknown): void {
    if (given === undefined) return;
    const one = given as Spec;
    if (one.enum) expect(one.enum).toContain(value);
    switch (one.type) {
      case 'string':
        expect((value as string).length).toBeGreaterThanOrEqual(one.minLength);
        expect((value as string).length).toBeLessThanOrEqual(one.maxLength);
        break;
      case 'integer':
        expect(Number.isInteger(value)).toBe(true);
        expect(value).toBeGreaterThanOrEqual(one.minimum);
        expect(value).toBeLessThanOrEqual(one.maximum);
        break;
      case 'number':
        expect(value).toBeGreaterThan(one.exclusiveMinimum);
        expect((value as number) % one.multipleOf).toBeCloseTo(0, 9);
        break;
      case 'object':
        expect(Object.keys(value as object)).toContain('a');
        for (const [name, inner] of Object.entries(value as object)) {
          if (Object.hasOwn(one.properties, name)) check(inner, one.properties[name]);
        }
        break;
      case 'array':
        expect((value as unknown[]).length).toBeGreaterThanOrEqual(one.minItems);
        expect((value as unknown[]).length).toBeLessThanOrEqual(one.maxItems);
        for (const inner of value as unknown[]) check(inner, one.items);
        break;
      case 'boolean':
        expect(value).toBeTypeOf('boolean');
        break;
      case 'null':
        expect(value).toBeNull();
    }
  }

  test('are accepted by the schema', () => {
    fc.assert(
      fc.property(schema, fc.nat(), (given, seed) => check(schemaValue(given, generator(seed), null), given)),
      { numRuns: 300 },
    );
  });

  test('follow references, unions and recursion, and always end', () => {
    const tree = {
      $ref: '#/$defs/node',
      $defs: {
        node: {
          type: 'object',
          properties: {
            name: { type: 'string', format: 'date' },
            next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
          },
          required: ['name', 'next'],
        },
      },
    };
    const value = schemaValue(tree, generator(1), null) as { name: string; next: { name: string } };
    expect([value.name, value.next.name]).toEqual(['2025-01-01', '2025-01-01']);
    const wide = {
      $defs: { w: { type: 'array', minItems: 9, items: { $ref: '#/$defs/w' } } },
      $ref: '#/$defs/w',
    };
    expect(JSON.stringify(schemaValue(wide, generator(1), null)).length).toBeLessThan(100_000);
    const both = {
      allOf: [{ properties: { a: { const: 1 } } }, { properties: { b: { const: 2 } } }],
      type: 'object',
    };
    expect(schemaValue(both, generator(1), null)).toEqual({ a: 1, b: 2 });
    for (const odd of [
      true,
      null,
      5,
      [],
      { type: 'strange' },
      { $ref: 'https://example.com/x' },
      { enum: [] },
    ]) {
      expect(() => schemaValue(odd, generator(1), null)).not.toThrow();
    }
  });
});
