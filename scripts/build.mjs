/**
 * Makes everything in `dist`. The program becomes a few files, each with the modules and libraries that are loaded
 * together: 400 files opened one by one take a quarter of a start's CPU time and 9 MB of memory. They aren't minified,
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

const sources = readdirSync(source, { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file, text: readFileSync(join(source, file), 'utf8') }));
/** Files that are loaded by their path: the program's, and those that the sources name with `scriptOf`. */
const entries = [
  'main',
  ...sources.flatMap(({ text }) => [...text.matchAll(/\bscriptOf\('(.+?)'\)/g)].map(([, path]) => path)),
];
// In a joined file `import.meta.url` leads elsewhere. These two allow for that: they find files from one folder below.
const allowed = [join('base', 'place.ts'), join('native', 'load.ts')];
for (const { file, text } of sources)
  if (text.includes('import.meta.url') && !allowed.includes(file))
    throw new Error(`src/${file}: ask src/base/place.ts for paths, since joined files have another place`);

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
for (const { fileName, code = '' } of output)
  if (/^(?!joined\/).*\.js$/.test(fileName) && code.includes('import.meta.url'))
    throw new Error(`${fileName} has code of ${allowed.join(' or ')}, which belongs into dist/joined`);
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
