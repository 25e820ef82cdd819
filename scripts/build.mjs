/**
 * Compiles everything into `dist`: the program, the dashboard's page for browsers, and the page's other files. What
 * loads a configuration becomes one file with its libraries: opening 250 files took its thread half of a start.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join('admin', 'dashboard');

rmSync(join(root, 'dist'), { recursive: true, force: true });
for (const project of ['tsconfig.build.json', 'tsconfig.dashboard.json']) {
  const { status } = spawnSync(join(root, 'node_modules', '.bin', 'tsc'), ['-p', project], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(1);
}
cpSync(join(root, 'src', page), join(root, 'dist', page), {
  recursive: true,
  filter: (path) => !path.endsWith('.ts'),
});

const loader = join(root, 'dist', 'config', 'load.js');
// These two find other files by their own place.
const ownPlace = /\/(?:catalog\/prices|native\/load)\.js$/;
const bundle = await rolldown({ input: loader, platform: 'node', external: ownPlace });
await bundle.write({ file: loader, format: 'esm', codeSplitting: false });
