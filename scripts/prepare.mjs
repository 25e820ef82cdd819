/**
 * Prepares what is missing or out of date: dependencies, native core, compiled sources, with --tests the servers that
 * tests use, and with --scenarios those of scenarios. Runs on any Node from 20, before the commands that use the
 * repository's own runtime.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules', '.bin');
const env = { ...process.env, PATH: `${bin}:${process.env.PATH ?? ''}` };

/** A failure that is explained to the user without a stack trace. */
class Stop extends Error {}

/** Runs a command in the repository and shows its output. */
function run(what, command, args, hint) {
  process.stderr.write(`sidegate: ${what} …\n`);
  const began = Date.now();
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (error?.code === 'ENOENT') throw new Stop(`${command} is missing. ${hint}`);
  if (status !== 0) throw new Stop(`${what} failed. ${hint}`);
  process.stderr.write(`sidegate: ${what}: ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
}

/** All files below the given paths, in a fixed order, except build output. */
function filesBelow(paths) {
  const found = [];
  for (const path of paths) {
    const full = join(root, path);
    if (!existsSync(full)) continue;
    if (statSync(full).isFile()) {
      found.push(path);
      continue;
    }
    const names = readdirSync(full).sort();
    found.push(
      ...filesBelow(
        names.filter((name) => name !== 'target' && !name.endsWith('.node')).map((name) => join(path, name)),
      ),
    );
  }
  return found;
}

const digest = (paths) => {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const path of filesBelow(paths)) hash.update(path).update(readFileSync(join(root, path)));
  return hash.digest('hex');
};

/** Runs a step if its inputs have changed since its last run, or if an output is missing. */
function step({ stamp, inputs, outputs, make }) {
  const file = join(root, stamp);
  const now = digest(inputs);
  const done = existsSync(file) && readFileSync(file, 'utf8') === now;
  if (done && outputs.every((path) => existsSync(join(root, path)))) return;
  make();
  writeFileSync(file, now);
}

function checkRuntime() {
  const own = spawnSync('node', ['--version'], { env, encoding: 'utf8' }).stdout ?? '';
  const [major = 0, minor = 0] = own.replace('v', '').split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 19)) return;
  throw new Stop(
    `Node ${own.trim()} is too old, and no runtime for ${process.platform}-${process.arch} is in the lockfile. Install Node 24.`,
  );
}

/** Installs a package if this is Debian and the user is root; otherwise the tests that need it fail and say so. */
function installOnDebian(name) {
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) return;
  const hint = `Install ${name} by hand.`;
  run('refreshing the package lists', 'apt-get', ['update', '-qq'], hint);
  // At run level 1, the installation starts no service.
  env.RUNLEVEL = '1';
  env.DEBIAN_FRONTEND = 'noninteractive';
  const install = ['install', '-y', '-qq', '--no-install-recommends', name];
  run(`installing ${name} for the tests`, 'apt-get', install, hint);
}

/** Programs that tests start, and the Debian packages they are in. */
const testPrograms = [
  ['redis-server', 'redis-server'],
  ['chromium', 'chromium'],
  ['promtool', 'prometheus'],
];

/** Programs that scenarios start in addition. */
const scenarioPrograms = [
  ['psql', 'postgresql'],
  ['clickhouse-server', 'clickhouse-server'],
  ['/usr/sbin/nginx', 'nginx-light', '-v'],
  ['/usr/sbin/haproxy', 'haproxy', '-v'],
];

function preparePrograms(programs) {
  for (const [program, name, shows = '--version'] of programs)
    if (spawnSync(program, [shows]).error !== undefined) installOnDebian(name);
}

const venv = '.sidegate/venv';

/** Whether there is a Python from 3.11 that can create a virtual environment, as the pinned packages need. */
const hasPython = () =>
  spawnSync('python3', ['-c', 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))']).status ===
  0;

/** An environment of its own for the Python packages that the documents' examples are run with. */
function preparePython() {
  if (!hasPython()) installOnDebian('python3-venv');
  if (!hasPython()) return;
  step({
    stamp: `${venv}/.stamp`,
    inputs: ['test/support/requirements.txt'],
    outputs: [`${venv}/bin/python`],
    make() {
      const hint = 'See the lines above.';
      run('creating a Python environment for the tests', 'python3', ['-m', 'venv', '--clear', venv], hint);
      const install = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check'];
      const pinned = ['--no-deps', '--only-binary=:all:', '-r', 'test/support/requirements.txt'];
      run('installing Python packages for the tests', `${venv}/bin/python`, [...install, ...pinned], hint);
    },
  });
}

/** Earlier generations of SDKs, apart from the project's own packages: their peers are older. */
const ages = '.sidegate/ages';

function prepareAges() {
  const from = 'test/dialects/sdk/ages';
  step({
    stamp: `${ages}/.stamp`,
    inputs: [from],
    outputs: [`${ages}/node_modules`],
    make() {
      mkdirSync(join(root, ages), { recursive: true });
      for (const name of ['package.json', 'package-lock.json'])
        copyFileSync(join(root, from, name), join(root, ages, name));
      const install = [
        'ci',
        '--prefix',
        ages,
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
        '--ignore-scripts',
      ];
      run('installing earlier SDKs for the tests', 'npm', install, 'See the lines above.');
    },
  });
}

/** Agents that scenarios run, apart from the project's own packages: they are 800 MB. */
const agents = '.sidegate/agents';

function prepareAgents() {
  step({
    stamp: `${agents}/.stamp`,
    inputs: ['test/scenarios/agents.json'],
    outputs: [`${agents}/node_modules/.bin/claude`, `${agents}/node_modules/.bin/codex`],
    make() {
      mkdirSync(join(root, agents), { recursive: true });
      copyFileSync(join(root, 'test/scenarios/agents.json'), join(root, agents, 'package.json'));
      const install = [
        'install',
        '--prefix',
        agents,
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
        '--ignore-scripts',
      ];
      run('installing agents for the scenarios', 'npm', install, 'See the lines above.');
      const claude = `${agents}/node_modules/@anthropic-ai/claude-code/install.cjs`;
      run('unpacking Claude Code', 'node', [claude], 'See the lines above.');
    },
  });
}

const nativeFile = `native/binding/sidegate-native.${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}.node`;

try {
  step({
    stamp: 'node_modules/.sidegate-stamp',
    inputs: ['package-lock.json', 'package.json', 'scripts/runtime/package.json'],
    outputs: ['node_modules/.bin/tsc'],
    // Not `npm ci`, which fails if a registry lacks an optional package of another platform. This too uses the
    // lockfile's versions and integrity hashes.
    make() {
      const install = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
      run('installing dependencies', 'npm', install, 'See the lines above.');
      checkRuntime();
    },
  });
  step({
    stamp: 'native/binding/.stamp.node',
    inputs: ['native'],
    outputs: [nativeFile],
    make: () =>
      run(
        'building the native core',
        'npm',
        ['run', '--silent', 'build:native'],
        'It needs cargo (rustup.rs) and a C compiler.',
      ),
  });
  step({
    stamp: 'dist/.stamp',
    inputs: ['src', 'scripts/build.mjs'],
    outputs: ['dist/main.js', 'dist/admin/dashboard/index.html'],
    make: () => run('compiling', 'node', ['scripts/build.mjs'], 'See the lines above.'),
  });
  if (process.argv.includes('--tests')) {
    preparePrograms(testPrograms);
    preparePython();
    prepareAges();
  }
  if (process.argv.includes('--scenarios')) {
    preparePrograms(scenarioPrograms);
    prepareAgents();
  }
} catch (cause) {
  if (!(cause instanceof Stop)) throw cause;
  process.stderr.write(`sidegate: ${cause.message}\n`);
  process.exitCode = 1;
}
