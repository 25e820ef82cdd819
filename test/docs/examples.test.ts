/** The examples of all documents: each is run as it is printed, or checked where it is a configuration. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { presets } from '../../src/dialects/presets.ts';
import { createAuthority } from '../support/certificates.ts';
import { readDocument, readDocuments, root } from '../support/documents.ts';

const folder = fileURLToPath(root);
const main = join(folder, 'dist', 'main.js');
const python = join(folder, '.sidegate', 'venv', 'bin', 'python');
const fences = readDocuments()
  // Its questions are asked of a real Prometheus by test/scenarios/oncall.test.ts.
  .filter(({ name }) => name !== 'docs/guides/runbook.md')
  .flatMap((page) => page.fences.map((fence) => ({ ...fence, page: page.name })));
const textsOf = (language: string): string[] =>
  fences.filter((fence) => fence.language === language).map(({ text }) => text);
/** Texts with their pages and first lines, to name tests by. */
const named = (language: string): [string, string][] =>
  fences
    .filter((fence) => fence.language === language)
    .map(({ page, text }) => [`${page}: ${text.split('\n')[0]}`, text]);

/** Where documents say that the demo listens. */
const printedUrl = 'http://127.0.0.1:4100';
/** And the simulator alone. */
const printedSimulator = 'http://127.0.0.1:4110';
const portOf = (url: string): string => new URL(url).port;
const outputMaxLength = 1024 * 1024;

/** Without keys of real providers, and without a proxy between the examples and this machine. */
const env: NodeJS.ProcessEnv = { ...process.env, NO_PROXY: '*', no_proxy: '*' };
for (const { credentialEnv } of Object.values(presets)) if (credentialEnv !== null) delete env[credentialEnv];

interface Ran {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs a program to its end. Rejects with `missing` when it isn't there. */
async function run(
  program: string,
  args: readonly string[],
  missing: string,
  more: Record<string, string> = {},
): Promise<Ran> {
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...env, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = collect(child.stdout);
  const errors = collect(child.stderr);
  const closed = once(child, 'close').catch((cause) => Promise.reject(new Error(missing, { cause })));
  const [code] = (await closed) as [number | null];
  return { code, output: output(), errors: errors() };
}

function collect(stream: Readable, onMore = (): void => {}): () => string {
  let text = '';
  stream.on('data', (chunk) => {
    text = (text + chunk).slice(-outputMaxLength);
    onMore();
  });
  return () => text;
}

/** The command lines of a shell example, continued lines joined, comments left out. */
const linesOf = (text: string): string[] =>
  text
    .replaceAll('\\\n', '')
    .split('\n')
    .map((line) => line.split(' # ')[0]?.trim() ?? '')
    .filter((line) => line !== '' && !line.startsWith('#'));

const shellLines = textsOf('sh').flatMap(linesOf);
/** A command that serves until it is ended. */
interface Service {
  readonly url: string;
  /** What it printed when it was ready. */
  readonly banner: string;
  /** Resolves once it has printed this piece, from now or before. */
  prints(piece: string): Promise<void>;
  /** Ends it by SIGTERM; gives its exit code. */
  stop(): Promise<number | null>;
}

const children = new Set<ChildProcess>();

/** Starts the program. */
async function serve(args: readonly string[]): Promise<Service> {
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const waiting = new Set<() => void>();
  const printed = collect(child.stdout, () => {
    for (const look of waiting) look();
  });
  const prints = (piece: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (printed().includes(piece)) resolve();
      };
      waiting.add(look);
      look();
      exited.then(([code]) => reject(new Error(`${args[0]} ended with ${code} before it printed ${piece}`)));
    });
  // The end of the line to try.
  await prints("}'\n\n");
  return {
    // The demo names its dashboard first.
    url: printed().match(/^(?! *Dashboard).*?(http:\/\/127\.0\.0\.1:\d+)/m)?.[1] ?? '',
    banner: printed(),
    prints,
    async stop() {
      child.kill('SIGTERM');
      return (await exited)[0];
    },
  };
}

let demo: Service;
let simulator: Service;
let scratch = '';

beforeAll(async () => {
  // Below the repository, so that the examples find the packages they import.
  await mkdir(join(folder, '.sidegate'), { recursive: true });
  scratch = await mkdtemp(join(folder, '.sidegate', 'examples-'));
  const line = shellLines.find((text) => text.startsWith('sidegate simulate')) ?? '';
  const args = line.replace(portOf(printedSimulator), '0').split(' ').slice(1);
  [demo, simulator] = await Promise.all([serve(['demo', '--port', '0']), serve(args)]);
});

afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
  try {
    expect(await Promise.all([demo.stop(), simulator.stop()])).toEqual([0, 0]);
  } finally {
    for (const child of children) child.kill('SIGKILL');
  }
});

/** An example with the ports of this test. */
const here = (text: string): string =>
  text.replaceAll(printedUrl, demo.url).replaceAll(printedSimulator, simulator.url);

/** Runs an example that talks to the demo, and gives what it prints. */
async function ranWith(program: string, args: readonly string[], missing: string): Promise<string> {
  const { code, output, errors } = await run(program, args, missing);
  expect({ code, errors }).toEqual({ code: 0, errors: '' });
  return output;
}

async function curl(line: string): Promise<string> {
  const missing = 'There is no shell to run the line with.';
  const silent = line.replace(/^curl /, 'curl --silent --show-error ');
  const { code, output, errors } = await run('sh', ['-c', silent], missing);
  // What a shell says of a program it does not find.
  if (code === 127)
    throw new Error('curl is not installed: `apt-get install curl` gets it on Debian and Ubuntu.');
  expect({ code, errors }).toEqual({ code: 0, errors: '' });
  return output;
}

const said = 'This is a simulated answer from Sidegate to:';

test('every example is of a kind that is run here', () => {
  expect([...new Set(fences.map(({ language }) => language))].sort()).toEqual([
    '',
    'js',
    'json',
    'python',
    'sh',
    'text',
    'yaml',
  ]);
  const programs = new Set(shellLines.map((line) => line.split(' ')[0]));
  expect([...programs].sort()).toEqual(['curl', 'npm', 'sidegate']);
});

describe('curl', () => {
  const lines = shellLines.filter((line) => line.startsWith('curl '));

  test.each(lines.filter((line) => line.includes(printedUrl)))('%s', async (line) => {
    const [head = '', body = ''] = (await curl(here(line))).split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1.1 200 /);
    // The provider has seen a placeholder; the app gets its own words back.
    expect(JSON.parse(body).choices[0].message.content).toContain(`${said} "Write to alice@example.com"`);
    await demo.prints('"scrubbed":"email=1"');
    expect(await curl(here(line))).toContain('cache-status: sidegate; hit');
    await demo.prints('"cache":"hit"');
  });

  test.each(lines.filter((line) => !line.includes(printedUrl)))('%s', async (line) => {
    expect(line).toContain(printedSimulator);
    const reply = await curl(here(line));
    expect(reply).toMatch(/^HTTP\/1.1 429 /);
    expect(reply).toContain('retry-after-ms: 1500');
  });

  test('the lines that demo and simulator print', async () => {
    for (const { banner } of [demo, simulator]) {
      const line = linesOf(banner).find((text) => text.startsWith('curl ')) ?? '';
      expect(await curl(line)).toContain(said);
    }
  });
});

describe('JavaScript', () => {
  test.each(named('js'))('%s', async (_, text) => {
    expect(text).toContain(printedUrl);
    const file = join(scratch, 'example.mjs');
    await writeFile(file, here(text));
    const expected = text.includes('.audio.') ? 'A simulated transcript of call.mp3' : `${said} "Hello"`;
    expect(await ranWith(process.execPath, [file], '')).toContain(expected);
  });
});

describe('Python', () => {
  test.each(named('python'))('%s', async (_, text) => {
    if (!existsSync(python)) {
      throw new Error(
        'The Python environment of the tests is missing. `npm test` makes it where Python 3.11 or newer is there with ' +
          'venv: `apt-get install python3-venv` gets both on Debian and Ubuntu.',
      );
    }
    expect(text).toContain(printedUrl);
    const code = here(text);
    expect(await ranWith(python, ['-c', code], '')).toContain(`${said} "Hello"`);
  });
});

describe('YAML', () => {
  /** Sections that a fragment may leave out, since its page is about others. */
  const base = {
    authenticate: { anonymousTenant: 'local' },
    providers: { openai: { preset: 'openai', apiKey: 'sk-none' } },
    routes: [{ model: 'gpt-*', targets: [{ provider: 'openai' }] }],
  };
  const keys = {
    ...Object.fromEntries(Object.values(presets).map(({ credentialEnv }) => [credentialEnv ?? '', 'k'])),
    SCRUB_SECRET: 'placeholders of all pods',
  };

  const authority = createAuthority();
  const { cert, key } = authority.issue('client');
  /** What the files are that examples name, of certificates. */
  const pemOf = (file: string): string | undefined => {
    if (file.endsWith('.key')) return key;
    return file.endsWith('client.pem') ? cert : file.endsWith('.pem') ? authority.cert : undefined;
  };

  test.each(named('yaml'))('%s', (_, text) => {
    const whole = stringify({ ...base, ...parse(text) });
    const { ok, warnings, ...rest } = parseConfig(whole, keys, (file) => pemOf(file) ?? '');
    expect({ faults: 'faults' in rest ? rest.faults : [], warnings }).toEqual({ faults: [], warnings: [] });
    expect(ok).toBe(true);
  });

  test("the README's example is valid, by `sidegate check`", async () => {
    const [example] = readDocument('README.md').fences.filter(({ language }) => language === 'yaml');
    const file = join(scratch, 'sidegate.yaml');
    await writeFile(file, example?.text ?? '');
    const good = await run(process.execPath, [main, 'check', file], '', keys);
    expect(good).toEqual({ code: 0, output: `${file}: valid\n`, errors: '' });
  });
});
