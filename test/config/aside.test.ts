/** A configuration that is loaded in a thread of its own is the same, and leaves nothing behind in the process. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isStringOneByteRepresentation } from 'node:v8';
import { afterAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { loadAside } from '../../src/config/load-aside.ts';
import { spawnSidecar } from '../support/sidecar.ts';

const folder = mkdtempSync(join(tmpdir(), 'sidegate-aside-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const example = new URL('../../deploy/sidegate.example.yaml', import.meta.url).pathname;
const env = { OPENAI_API_KEY: 'sk-one', ANTHROPIC_API_KEY: 'sk-two', PORT: '4200' };

test.each([
  ['a good file', () => example],
  [
    'one without its secrets',
    () => file('secrets.yaml', 'providers: { a: { preset: openai, apiKey: "${NONE}" } }'),
  ],
  ['one with faults', () => file('faults.yaml', 'listen: { port: many }\nunknown: 1\nroutes: 7\n')],
  ['one that is no YAML', () => file('broken.yaml', 'listen: [')],
  [
    'one with a variable and a shared part',
    () =>
      file(
        'shared.yaml',
        'listen: { port: "${PORT}" }\nauthenticate: { anonymousTenant: all }\n' +
          'providers:\n  one: &it { preset: simulator, headers: { x-note: "…" } }\n  two: *it\n' +
          'routes: [{ model: "*", targets: [{ provider: one }, { provider: two }] }]\n',
      ),
  ],
  ['a missing file', () => join(folder, 'none.yaml')],
] as const)('%s', async (_, path) => {
  const here = loadConfig(path(), env);
  expect(await loadAside(path(), env)).toStrictEqual(here);
});

const main = new URL('../../dist/main.js', import.meta.url).pathname;

test('a pipe that nobody writes to is refused without waiting', () => {
  const path = join(folder, 'pipe.yaml');
  spawnSync('mkfifo', [path]);
  const { status, stderr } = spawnSync(process.execPath, [main, 'run', '--config', path], {
    timeout: 60_000,
  });
  expect(String(stderr)).toContain(`${path} the file cannot be used: it is not a file`);
  expect(status).toBe(1);
});

test('loading that takes too long is aborted', async () => {
  await expect(loadAside(example, env, [], 1)).rejects.toThrow('was not read within 0.001 s');
});

test('if no thread can be started, it is loaded in the main thread', () => {
  const path = file('here.yaml', 'routes: 7\n');
  const allowed = ['--permission', '--allow-fs-read=*', '--allow-fs-write=*', '--allow-addons'];
  const { status, stderr } = spawnSync(process.execPath, [...allowed, main, 'run', '--config', path]);
  expect(String(stderr)).toContain(`${path}:1:9 routes: must be a list`);
  expect(status).toBe(1);
});

test('a character beyond Latin-1 makes no other text two bytes wide', async () => {
  const path = file(
    'wide.yaml',
    '# …\nauthenticate: { anonymousTenant: acme }\nproviders: { sim: { preset: simulator } }\n' +
      'routes: [{ model: bench-model-of-some-length, targets: [{ provider: sim, model: 模型 }] }]\n',
  );
  const result = await loadAside(path, env);
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  const [route] = result.config.routes;
  expect(route?.targets[0]?.model).toBe('模型');
  expect(isStringOneByteRepresentation(route?.model ?? '…')).toBe(true);
});

test('libraries that a configuration doesn’t need beside requests are not loaded, nor Node’s fetch', async () => {
  // Told by the process itself, of its main thread, when it ends.
  const hook = file(
    'hook.mjs',
    `import { registerHooks } from 'node:module';
     import { isMainThread } from 'node:worker_threads';
     const seen = [];
     if (isMainThread) {
       registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } });
       process.on('exit', () => {
         const builtin = process.moduleLoadList.filter((name) => name.includes('undici'));
         process.stderr.write('loaded ' + JSON.stringify([...seen, ...builtin]) + '\\n');
       });
     }`,
  );
  const yaml =
    'listen: { port: 0 }\nadmin: { port: 0 }\nauthenticate: { anonymousTenant: all }\n' +
    'providers: { here: { dialect: openai, baseUrl: "http://127.0.0.1:9/v1" } }\n' +
    'routes: [{ model: "*", targets: [{ provider: here }] }]\n';
  const sidecar = await spawnSidecar(yaml, { NODE_OPTIONS: `--import=${hook}` });
  await sidecar.stop();
  const loaded = JSON.parse(/^loaded (.*)$/m.exec(sidecar.output())?.[1] ?? '[]') as string[];
  // A compiled file names each module in it, in a comment.
  const joined = loaded
    .filter((url) => url.startsWith('file:') && url.includes('/dist/'))
    .flatMap((url) => readFileSync(new URL(url), 'utf8').match(/^\/\/ (?:src|node_modules)\/\S+$/gm) ?? []);
  expect(joined).toEqual(expect.arrayContaining(['// src/gateway/gateway.ts', '// src/sidecar/sidecar.ts']));
  const modules = [...loaded, ...joined];
  // Whole, prom-client loads OpenTelemetry's API and Node's cluster.
  const unneeded =
    /node_modules\/(?:zod|yaml|ioredis|pg|jose|hyparquet|@opentelemetry|@clickhouse|prom-client\/index)/;
  expect(modules.filter((name) => unneeded.test(name))).toEqual([]);
  expect(loaded.filter((url) => /internal\/deps\/undici/.test(url))).toEqual([]);
});
