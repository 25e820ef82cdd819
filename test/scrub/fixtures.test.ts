/**
 * Restoring in every recorded stream of every dialect that clients speak: a placeholder is put into each of its texts, tool
 * arguments among them, and split over two events at every position. The client's text must be the unsplit one, restored.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isObject, type Json } from '../../src/base/json.ts';
import { splitEvents } from '../../src/dialects/framer.ts';
import { dialects } from '../../src/dialects/index.ts';
import type { DialectName } from '../../src/exchange/dialects.ts';
import { createRestorer } from '../../src/scrub/restore.ts';
import { restoreText, type Vault } from '../../src/scrub/scrub.ts';
import { folder } from '../dialects/fixtures.ts';

const placeholder = '[EMAIL_7K2QXM]';
const vault: Vault = new Map([[placeholder, 'ann@example.com']]);

const streamed = (['openai', 'anthropic', 'gemini', 'responses'] as const).flatMap((dialect) =>
  readdirSync(`${folder}${dialect}`, { recursive: true, encoding: 'utf8' })
    .filter((path) => /(^|\/)streams\/[^/]+\.(sse|txt)$/.test(path))
    .map((path): [DialectName, string] => [dialect, path]),
);

/** An event of a stream, parsed where it holds JSON. */
interface Event {
  readonly block: string;
  readonly json: Json | null;
}

const eventsOf = (stream: string): Event[] =>
  splitEvents(stream).map((block) => {
    const data = block
      .split(/\r\n|\n|\r/)
      .flatMap((line) => (line.startsWith('data:') ? [line.slice(5)] : []));
    try {
      const json: unknown = JSON.parse(data.join('\n'));
      return { block, json: isObject(json) ? json : null };
    } catch {
      return { block, json: null };
    }
  });

/** The texts of a stream, by channel. */
function textsOf(dialect: DialectName, stream: string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { json } of eventsOf(stream))
    for (const { channel, holder, field } of json === null ? [] : dialects[dialect].textSlots(json))
      texts.set(channel, (texts.get(channel) ?? '') + String(holder[field]));
  return texts;
}

/** Puts the beginning of the placeholder behind the first piece of a channel, and the rest before the next. */
function planted(dialect: DialectName, stream: string, channel: string, at: number): string {
  let seen = 0;
  return eventsOf(stream)
    .map(({ block, json }) => {
      let changed = false;
      for (const slot of json === null ? [] : dialects[dialect].textSlots(json)) {
        if (slot.channel !== channel) continue;
        const text = String(slot.holder[slot.field]);
        seen++;
        if (seen > 2) continue;
        slot.holder[slot.field] = seen === 1 ? text + placeholder.slice(0, at) : placeholder.slice(at) + text;
        changed = true;
      }
      const lines = block.split(/\r\n|\n|\r/).filter((line) => line !== '' && !line.startsWith('data:'));
      return changed ? [...lines, `data: ${JSON.stringify(json)}`, '', ''].join('\n') : block;
    })
    .join('');
}

describe.each(streamed)('%s %s', (dialect, path) => {
  const stream = readFileSync(`${folder}${dialect}/${path}`, 'utf8');
  const channels = [...textsOf(dialect, stream).keys()];

  test('restores its texts, split anywhere', () => {
    for (const channel of channels)
      for (let at = 0; at <= placeholder.length; at++) {
        const given = planted(dialect, stream, channel, at);
        const restorer = createRestorer(dialects[dialect], vault);
        const out = restorer.push(Buffer.from(given)).toString() + restorer.finish().toString();
        const wanted = [...textsOf(dialect, given)].map(([name, text]) => [name, restoreText(text, vault)]);
        expect([...textsOf(dialect, out)], `${channel} at ${at}`).toEqual(wanted);
      }
  });
});

test('the streams have texts, and several of them tool arguments', () => {
  const all = streamed.map(([dialect, path]) => ({
    path: `${dialect} ${path}`,
    texts: textsOf(dialect, readFileSync(`${folder}${dialect}/${path}`, 'utf8')),
  }));
  expect(all.length).toBeGreaterThan(200);
  expect(all.filter(({ texts }) => texts.size > 0).length).toBeGreaterThan(all.length / 2);
  const tools = all.filter(({ path, texts }) => path.includes('tools') && texts.size > 1);
  expect(new Set(tools.map(({ path }) => path.split(' ')[0])).size).toBeGreaterThan(2);
});
