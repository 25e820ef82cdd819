/**
 * Makes everything in `dist`. The program becomes a few files, each with the modules and libraries that are loaded
 * together: 400 files opened one by one take a quarter of a start's CPU time and 11 MB of memory. They aren't minified,
 * so that a stack trace can be read; a `.map` beside each leads to the sources. The dashboard's page stays one file a
 * module, for browsers.
 */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src');
const dist = join(root, 'dist');

/** What is started by its path: the program, and its threads. */
const entries = [
  'main',
  'config/load-worker',
  'count/worker',
  'observe/ledger/worker',
  'observe/sinks/worker',
];
/** Libraries of every start, or of every configuration. The others are loaded from `node_modules` when needed. */
const joined = ['pino', 'prom-client', 'undici', 'yaml', 'zod'];

const packageOf = (id) => /^(?:@[^/]+\/)?[^/]+/.exec(id)?.[0] ?? id;
/** A library that an own module imports, and that isn't joined. What a joined library imports, is. */
const isExternal = (id, from) =>
  /^[@a-z]/.test(id) && from?.includes('/node_modules/') !== true && !joined.includes(packageOf(id));

/** The licences of the joined libraries, which ask to go with every copy. */
function licences(moduleIds) {
  const folders = new Set(moduleIds.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(id)?.[0]));
  folders.delete(undefined);
  return [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8');
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
}

rmSync(dist, { recursive: true, force: true });
const program = await rolldown({
  input: Object.fromEntries(entries.map((entry) => [entry, join(source, `${entry}.ts`)])),
  platform: 'node',
  external: isExternal,
});
const { output } = await program.write({
  dir: dist,
  format: 'esm',
  // One wider character would make V8 hold a whole file in two bytes a character.
  charset: 'ascii',
  comments: false,
  sourcemap: true,
  sourcemapExcludeSources: true,
  entryFileNames: '[name].js',
  chunkFileNames: 'joined/[name].js',
});
// `src/base/place.ts` and `src/native/load.ts` find files from one folder below `dist`.
for (const { fileName, code = '' } of output)
  if (/^(?!joined\/).*\.js$/.test(fileName) && code.includes('import.meta.url'))
    throw new Error(`${fileName} has code that asks where it is; such code belongs into dist/joined`);
const moduleIds = output.flatMap((file) => file.moduleIds ?? []);
writeFileSync(join(dist, 'third-party-licenses.txt'), licences(moduleIds).join(`\n${'-'.repeat(80)}\n\n`));

const page = join('admin', 'dashboard');
const dashboard = await rolldown({ input: join(source, page, 'main.ts'), platform: 'browser' });
await dashboard.write({ dir: join(dist, page), format: 'esm', preserveModules: true });

for (const data of [page, join('catalog', 'prices')])
  cpSync(join(source, data), join(dist, data), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  });
