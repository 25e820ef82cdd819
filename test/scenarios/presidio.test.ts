/**
 * The recogniser of names against Presidio's own analyzer from PyPI. spaCy's models aren't there, so names are found by an
 * entity ruler in a blank pipeline, through Presidio's SpacyRecognizer, and by a list of denied words (presidio.py).
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Gate, startGate } from '../support/gate.ts';
import { openaiWire as wire } from '../support/replies.ts';
import { answers, type Script } from '../support/upstream.ts';

const packages = ['presidio-analyzer==2.2.366', 'spacy==3.8.18', 'flask==3.1.3'];
let folder = '';
let presidio: ChildProcess;
let url = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sidegate-presidio-'));
  const pip = ['-m', 'pip', 'install', '--quiet', '--only-binary=:all:', '--target', folder, ...packages];
  expect(spawnSync('python3', pip, { stdio: ['ignore', 'ignore', 'inherit'] }).status).toBe(0);
  const script = fileURLToPath(new URL('presidio.py', import.meta.url));
  presidio = spawn('python3', [script], {
    env: { ...process.env, PYTHONPATH: folder, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [port] = await once(presidio.stdout ?? presidio, 'data');
  url = `http://127.0.0.1:${String(port).trim()}`;
}, 600_000);
afterAll(async () => {
  presidio.kill();
  await rm(folder, { recursive: true, force: true });
});

let gate: Gate;
afterEach(() => gate.stop());

const contentOf = (json: Record<string, unknown>): string =>
  String((json.messages as { content: string }[])[0]?.content);
const echo: Script = (call) => answers(wire, ...contentOf(call.json))(call);
const sent = (at = 0): string => contentOf(gate.upstream.calls[at]?.json ?? {});

test('what it finds is replaced, wherever emoji and letters of several bytes stand, and restored', async () => {
  gate = await startGate([echo], { scrub: { recogniser: { url, timeoutMs: 30_000 } } });
  const prompt =
    '😀 Ann Smith of Acme Corp went to Paris 🎉 and Übelstraße 7. Dr. Zoë Müller: zoe@acme.example\nJosé Ruiz 👩‍👩‍👧 Zürich';
  const whole = await gate.ask(wire, prompt);
  expect(sent().replaceAll(/_[0-9A-Z]{6}\]/g, ']')).toBe(
    '😀 [PERSON] of [ORGANISATION] went to [LOCATION] 🎉 and [LOCATION]. Dr. [PERSON]: [EMAIL]\n[PERSON] 👩‍👩‍👧 [LOCATION]',
  );
  expect(whole.headers['x-sidegate-scrubbed']).toBe('email=1,person=3,location=3,organisation=1');
  expect(JSON.parse(whole.text).choices[0].message.content).toBe(prompt);
  const stream = await gate.ask(wire, prompt, { more: { stream: true } });
  expect(wire.textOf(stream.text)).toBe(prompt);
});

test('texts of one call are told apart, and each is asked about once', async () => {
  gate = await startGate([echo], { scrub: { recogniser: { url, timeoutMs: 30_000 } } });
  const messages = ['Ann Smith 😀', '{"city":"Paris","who":"José Ruiz"}', 'Elm Street 5'].map(
    (content, at) => ({
      role: at === 1 ? 'assistant' : 'user',
      content,
    }),
  );
  await gate.ask(wire, '', { more: { messages } });
  const asked = gate.upstream.calls[0]?.json.messages as { content: string }[];
  expect(asked.map(({ content }) => content.replaceAll(/_[0-9A-Z]{6}\]/g, ']'))).toEqual([
    '[PERSON] 😀',
    '{"city":"[LOCATION]","who":"[PERSON]"}',
    '[LOCATION]',
  ]);
  const again = await gate.ask(wire, '', { more: { messages }, headers: { 'cache-control': 'no-store' } });
  expect(again.status).toBe(200);
  expect(await gate.sidecar.metrics()).toContain('sidegate_recogniser_checks_total{check="known"} 1');
});

test('a language it is not set up for is a refusal that says what it answered', async () => {
  gate = await startGate([echo], { scrub: { recogniser: { url, language: 'de', timeoutMs: 30_000 } } });
  const { status, text } = await gate.ask(wire, 'Ann Smith');
  expect([status, wire.errorOf(text)?.code]).toEqual([503, 'recogniser_down']);
  expect(text).toContain('status 500');
});
