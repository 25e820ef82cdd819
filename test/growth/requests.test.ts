/** Work grows linearly with a request's length: every shape of body, read and written for every dialect of providers. */
import { afterAll, describe, expect, test } from 'vitest';
import { copyNotes, createNotes } from '../../src/dialects/chat.ts';
import { withoutForeign } from '../../src/dialects/foreign.ts';
import { withoutForeign as withoutForeignParts } from '../../src/dialects/gemini/signature.ts';
import { dialects } from '../../src/dialects/index.ts';
import { putTexts, takeTexts } from '../../src/dialects/long-texts.ts';
import { writeCall } from '../../src/dialects/translate.ts';
import { inspect } from '../../src/native/inspect.ts';
import { findNothing } from '../../src/native/pii.ts';
import { growth } from './growth.ts';
import { destinationAt, inspectedAs, providers } from './providers.ts';
import { shapes } from './shapes.ts';

/** Makes each input once for all tests of a shape. */
function once<T>(make: (n: number) => T): (n: number) => T {
  const made = new Map<number, T>();
  afterAll(() => made.clear());
  return (n) => {
    const known = made.get(n) ?? make(n);
    made.set(n, known);
    return known;
  };
}

describe.each(shapes)('$name', ({ dialect, body }) => {
  const client = dialects[dialect].chatClient;
  if (client === null) throw new Error(`nobody speaks ${dialect}`);
  const textOf = once((n) => JSON.stringify(body(n)));
  const bytesOf = once((n) => Buffer.from(textOf(n)));
  const requestOf = once((n) => {
    const notes = createNotes();
    return { length: textOf(n).length, request: client.readRequest(JSON.parse(textOf(n)), notes), notes };
  });

  test.each(providers)('written for $name', ({ name, chatProvider }) => {
    const to = destinationAt(name);
    const perByte = growth(requestOf, ({ request, notes: read }) => {
      const notes = copyNotes(read);
      const { body: written } = writeCall(request, chatProvider, to, notes);
      expect(notes.dropped.join(', ').length).toBeLessThan(4096);
      return JSON.stringify(written).length;
    });
    expect(perByte).toBeLessThan(6);
  });

  test('read', () => {
    const perByte = growth(textOf, (text) => client.readRequest(JSON.parse(text), createNotes()));
    expect(perByte).toBeLessThan(6);
  });

  test('its long texts set aside and put back', () => {
    const perByte = growth(bytesOf, (bytes) => {
      const long = takeTexts(bytes);
      return long === null ? 0 : putTexts(long.rest.toString(), long.texts)?.length;
    });
    expect(perByte).toBeLessThan(6);
  });

  test('inspected, and freed of foreign reasoning', () => {
    const as = dialects[dialect].name;
    const perByte = growth(bytesOf, (bytes) => {
      inspect(bytes, inspectedAs(dialect), findNothing, false, Buffer.alloc(32));
      return withoutForeign(bytes, as, false).body.length + withoutForeignParts(bytes, true).length;
    });
    expect(perByte).toBeLessThan(6);
  });
});
