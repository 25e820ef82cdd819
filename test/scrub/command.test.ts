/** `sidegate scrub FILE`: places and kinds, without the values, and with what a recogniser finds. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { recognises, textsOf } from '../support/recogniser.ts';
import { runCommand } from '../support/run-command.ts';
import { startUpstream } from '../support/upstream.ts';

let folder = '';
let file = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sidegate-scrub-'));
  file = join(folder, 'text.txt');
  await writeFile(file, 'Zoë 😀 Müller, ann@example.com\n４１１１ 1111 1111 1111 of Ann\u200b Smith\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs it with a recogniser, and gives its lines without the time they took. */
async function scrubWith(url: string, more = ''): Promise<{ lines: string[]; err: string; code: number }> {
  const config = join(folder, 'sidegate.yaml');
  await writeFile(
    config,
    `authenticate: { anonymousTenant: a }
providers: { own: { dialect: openai, baseUrl: "http://127.0.0.1:8000/v1" } }
routes: [{ model: m, targets: [{ provider: own }] }]
scrub: { recogniser: { url: "${url}", timeoutMs: 30000 }, request: { postal_code: off${more} } }
`,
  );
  const { code, out, err } = await runCommand(['scrub', file, '--config', config]);
  return {
    code,
    err,
    lines: out
      .replaceAll(`${file}:`, '')
      .replace(/, [\d.]+ ms/, '')
      .trim()
      .split('\n'),
  };
}

test('a second file, which it would not look at, is refused', async () => {
  const { code, out, err } = await runCommand(['scrub', file, file]);
  expect({ code, out, err }).toEqual({ code: 2, out: '', err: expect.stringContaining('scrub FILE') });
});

test('without a configuration, all kinds that have a form', async () => {
  const { code, out } = await runCommand(['scrub', file]);
  expect(code).toBe(0);
  expect(out.replaceAll(`${file}:`, '')).toMatch(
    /^1:16: email, 15 bytes\n2:1: card, 27 bytes\n2 found in \d+ bytes, /,
  );
});

test('with a recogniser, names too, where the file has them', async () => {
  const recogniser = await startUpstream(recognises());
  onTestFinished(() => recogniser.close());
  expect(await scrubWith(recogniser.baseUrl)).toEqual({
    code: 0,
    err: '',
    lines: [
      '1:1: person, 17 bytes',
      '1:16: email, 15 bytes',
      '2:1: card, 27 bytes',
      '2:24: person, 12 bytes',
      expect.stringMatching(/^4 found in \d+ bytes$/),
    ],
  });
  // As it is searched: without what has no width.
  expect(textsOf(recogniser.calls)).toEqual([
    'Zoë 😀 Müller, ann@example.com\n4111 1111 1111 1111 of Ann Smith\n',
  ]);
  expect((await scrubWith(recogniser.baseUrl, ', person: off')).lines).toHaveLength(3);
});

test('a recogniser that cannot be asked is said, after what was found', async () => {
  const { code, err, lines } = await scrubWith('http://127.0.0.1:9');
  expect([code, lines.length]).toEqual([1, 3]);
  expect(err).toMatch(/could not be looked for in this request: it can't be reached \(ECONNREFUSED\)/);
});
