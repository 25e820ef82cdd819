/**
 * Translated replies satisfy the makers' published schemas, as llm-comply (PyPI) checks them: for every client dialect
 * and every provider dialect.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from '../support/documents.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';
import { modelOf, simulators } from './simulators.ts';

/** Its command for each line of arguments: starting Python for each takes longer than what it checks. */
const program = `
import io, json, sys
out = sys.stdout
# What it prints by is taken as it is loaded.
sys.stdout = said = io.StringIO()
from llm_comply.cli import main
for line in sys.stdin:
    main(json.loads(line))
    print(json.dumps(said.getvalue()), file=out, flush=True)
    said.seek(0)
    said.truncate()
`;
const python = fileURLToPath(new URL('.sidegate/venv/bin/python', root));
const child = spawn(python, ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = createInterface(child.stdout)[Symbol.asyncIterator]();

/** What llm-comply prints for these arguments. */
async function comply(args: readonly string[]): Promise<string> {
  child.stdin.write(`${JSON.stringify(args)}\n`);
  const { value, done } = await lines.next();
  if (done === true) throw new Error('llm-comply ended');
  return JSON.parse(value);
}

/** What each format's base URL ends in. */
const formats = {
  'open-responses': '/v1',
  'openai-chat': '/v1',
  anthropic: '/v1',
  'google-genai': '',
} as const;

/**
 * What the maker's own API fails too: Anthropic's texts have no `citations` where there are none, which SDKs insist on,
 * and `caller` is there only where a tool can call another. The schema wants both.
 */
const unmet = [
  'anth-basic-response',
  'anth-system-prompt',
  'anth-multi-turn',
  'anth-image-input',
  'anth-tool-calling',
];
/** Predictions turn text into text: no tools, no pictures, no history. */
const beyondReplicate = /tool|image|multi-turn|system|phase/;

interface Result {
  readonly id: string;
  readonly status: string;
  readonly errors?: readonly string[];
}

let sidecar: TestSidecar;
const names = Object.keys(simulators) as (keyof typeof simulators)[];
beforeAll(async () => {
  sidecar = await startTestSidecar({
    providers: Object.fromEntries(names.map((name) => [name, { preset: simulators[name] }])),
    routes: names.map((name) => {
      const model = modelOf[`simulator-${name}`];
      return { model: name, targets: [model === undefined ? { provider: name } : { provider: name, model }] };
    }),
    cache: { enabled: false },
  });
});
afterAll(async () => {
  child.stdin.end();
  await once(child, 'close');
  await sidecar.stop();
});

const pairs = Object.keys(formats).flatMap((format) =>
  names.map((name) => [format as keyof typeof formats, name] as const),
);

test.each(pairs)('C11: %s before %s', async (format, name) => {
  const url = sidecar.url + formats[format];
  const asked = ['-u', url, '-k', 'k', '-m', name, '--format', format, '--json'];
  const { results } = JSON.parse(await comply(asked)) as { results: Result[] };
  expect(results.length).toBeGreaterThan(5);
  const failed = results.filter(({ id, status }) => status === 'failed' && !unmet.includes(id));
  const serious = failed.filter(({ id }) => name !== 'replicate' || !beyondReplicate.test(id));
  expect(serious.map(({ id, errors }) => [id, errors])).toEqual([]);
});
