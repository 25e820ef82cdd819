/** The command line: run, check, explain, scrub, keys, costs, limits, cache, demo, simulate, presets, schema. */

import { isDeepStrictEqual, parseArgs } from 'node:util';
import { say } from './base/log-lines.ts';
import { placeOf } from './base/place.ts';
import { realWorld } from './base/world.ts';
import type { CatalogModelConfig } from './catalog/settings.ts';
import { configPath, configPathText } from './commands/config-file.ts';
import { type Shell, UsageError } from './commands/shell.ts';
import { needingRestart } from './config/changed.ts';
import type { Config } from './config/schema.ts';
import type { LogSink } from './observe/log.ts';
import type { Sidecar } from './sidecar/sidecar.ts';

/** What `sidegate --help` prints. */
export const help = `sidegate: an LLM gateway beside your service

  sidegate run [--config FILE]     serve FILE (or ${configPathText})
  sidegate check [FILE] [--no-env] [--connect]
                                   check a configuration: exit code 0 if it is valid, otherwise 1 and its faults;
                                   --no-env takes variables and files of secrets that are missing here as there,
                                   --connect also asks the cache's embedder for a vector
  sidegate explain FILE [--config FILE] [--path PATH] [--header NAME:VALUE] [--json]
                                   show how the request in FILE is routed: its tier, and each target's price and verdict
  sidegate explain FILE --admin URL [--key KEY] [--path PATH]
                                   the same from a running sidecar: limits, budgets, breakers and keys as they are now
  sidegate scrub FILE [--config FILE]
                                   show what would be found in FILE: kind and place, and the time it took
  sidegate keys create | list | revoke
                                   create, list or revoke stored keys; \`sidegate keys\` explains
  sidegate costs [--by NAME] [--since TIME]
                                   who spent what, from the ledger; \`sidegate costs --help\` explains
  sidegate limits [--admin URL] [--json]
                                   show what is used, left and leased of each limit and budget of a running sidecar
  sidegate cache report | purge [--tenant NAME] [--route MODEL] [--tag NAME] [--older-than SPAN]
                                   hits, savings and trust by tenant and route of a running sidecar; or drop entries
  sidegate demo [--port N]         serve with the built-in simulator and the providers whose keys are set
  sidegate simulate [--port N] [--config FILE]
                                   serve only the simulator: all dialects, and faults to test apps with
  sidegate presets                 list the known providers
  sidegate schema                  print the configuration's JSON Schema
  sidegate --version | --help | help [COMMAND]
`;

type Command = (args: string[], shell: Shell) => Promise<number>;

/** The commands by name; the help lists each. */
export const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['run', run],
  ['check', check],
  ['explain', async (args, shell) => (await import('./commands/explain.ts')).explainCommand(args, shell)],
  ['scrub', async (args, shell) => (await import('./commands/scrub.ts')).scrubCommand(args, shell)],
  ['keys', async (args, shell) => (await import('./commands/keys.ts')).keys(args, shell)],
  ['costs', async (args, shell) => (await import('./commands/costs.ts')).costs(args, shell)],
  ['limits', async (args, shell) => (await import('./commands/limits.ts')).limits(args, shell)],
  ['cache', async (args, shell) => (await import('./commands/cache.ts')).cacheCommand(args, shell)],
  ['demo', demo],
  ['simulate', async (args, shell) => (await import('./commands/simulate.ts')).simulate(args, shell)],
  ['presets', presets],
  ['schema', schema],
  ['--version', version],
  ['--help', usage],
  ['help', usage],
]);

/** Commands that answer `--help` themselves; the others print the list of commands. */
const explained: ReadonlySet<string> = new Set(['cache', 'costs', 'keys']);

/** Runs a command. Resolves with the exit code when it has finished. */
export async function runCli(args: readonly string[], shell: Shell): Promise<number> {
  const [first, second] = args;
  const [name, ...rest] = first === 'help' && second !== undefined ? [second, '--help'] : args;
  if (name === undefined) {
    shell.printError(help);
    return 2;
  }
  const command =
    commands.has(name) && !explained.has(name) && rest.includes('--help') ? usage : commands.get(name);
  if (command === undefined) {
    shell.printError(`There is no command ${JSON.stringify(name)}.\n\n${help}`);
    return 2;
  }
  try {
    return await command(rest, shell);
  } catch (cause) {
    shell.printError(`sidegate: ${explain(cause)}\n`);
    return isUsage(cause) ? 2 : 1;
  }
}

const isUsage = (cause: unknown): boolean =>
  cause instanceof UsageError ||
  (cause instanceof Error && 'code' in cause && String(cause.code).startsWith('ERR_PARSE_ARGS'));

function explain(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (!('code' in cause) || cause.code !== 'EADDRINUSE') return cause.message;
  const { port, address } = cause as { readonly port?: number; readonly address?: string };
  const where = port !== undefined && port >= 0 ? `port ${port}` : `the socket ${address}`;
  return `${where} is already in use: stop the process that listens there, or choose another in the configuration (demo and simulate: --port).`;
}

async function run(args: string[], shell: Shell): Promise<number> {
  const { values } = parseArgs({ args, options: { config: { type: 'string', short: 'c' } } });
  const path = configPath(values.config, shell);
  // From before the file is read: a start may wait seconds for a platform's credential, and misses no change.
  const stop = stopOf(shell);
  let changed = false;
  let reload = (): void => {
    changed = true;
  };
  const onChange = (): void => reload();
  shell.onSignal('SIGHUP', onChange);
  const [{ loadAside }, { firstFault, formatFaults }, { followFiles, oneAtATime, rarely, watchConfig }] =
    await Promise.all([
      import('./config/load-aside.ts'),
      import('./config/faults.ts'),
      import('./config/reload.ts'),
    ]);
  const follow = followFiles(onChange);
  const watch = watchConfig(path, onChange);
  const unwatch = (): void => {
    watch.close();
    follow([]);
  };
  try {
    // The sidecar's code is loaded while the configuration is read.
    const [loaded] = await Promise.all([loadAside(path, shell.env), import('./sidecar/sidecar.ts')]);
    if (!loaded.ok) {
      shell.printError(`${formatFaults(path, loaded.faults)}\n`);
      return 1;
    }
    const { config, files, fromCatalogFile } = loaded;
    follow(files);
    return await serve(config, shell, stop, async (sidecar, sink, onKeyRefused) => {
      for (const warning of loaded.warnings) say(sink.log, 'configWarning', warning);
      const { dataUrl: data, adminUrl: admin, simulated } = sidecar;
      say(sink.log, 'listening', { data, admin, simulated });
      sidecar.catalogFile(firstFault(path, fromCatalogFile.faults));
      const catalogModels = fromCatalogFile.models;
      const adopted: Adopted = { first: config, current: config, files, catalogModels, over: false };
      // A signal and a change of the file often come together, so runs are combined.
      let quietly = true;
      const refresh = oneAtATime(
        async () => {
          const reloaded = reloadFrom({ path, shell, sidecar, sink, follow }, adopted, quietly);
          quietly = true;
          await reloaded;
        },
        (cause) => {
          sidecar.reloadRefused();
          say(sink.log, 'configRefused', { reason: cause instanceof Error ? cause.message : '' });
        },
      );
      reload = () => {
        quietly = false;
        refresh();
      };
      if (changed) reload();
      onKeyRefused.call = rarely(refresh, refreshEveryMs);
      return {
        close() {
          adopted.over = true;
          unwatch();
        },
      };
    });
  } finally {
    unwatch();
  }
}

/** A refused key is looked up in its file again no more often than this. */
const refreshEveryMs = 5000;

/** What a running process has adopted. */
interface Adopted {
  /** The configuration it was started with. */
  readonly first: Config;
  current: Config;
  /** The files that `current` names. */
  files: readonly string[];
  /** Its entries from the catalog file. */
  catalogModels: readonly CatalogModelConfig[];
  /** It is shutting down. */
  over: boolean;
}

/** What a reload works with. */
interface Reloading {
  readonly path: string;
  readonly shell: Shell;
  readonly sidecar: Sidecar;
  readonly sink: LogSink;
  /** Sets the files whose changes cause a reload. */
  readonly follow: (files: readonly string[]) => void;
}

/**
 * Adopts a changed file, or keeps the old configuration and logs every fault of the new one. Rejects if it can't be
 * adopted.
 * @param quietly adopts it only if it differs from the current one, and reports no fault
 */
async function reloadFrom(
  { path, shell, sidecar, sink: { log, setLevel }, follow }: Reloading,
  adopted: Adopted,
  quietly: boolean,
): Promise<void> {
  const { loadAside } = await import('./config/load-aside.ts');
  const { firstFault } = await import('./config/faults.ts');
  const loaded = await loadAside(path, shell.env, adopted.catalogModels);
  if (adopted.over) return;
  if (quietly && (!loaded.ok || isDeepStrictEqual(loaded.config, adopted.current))) return;
  // One that is missing too, as it may come. From now on, since what they say may be adopted seconds later.
  follow([...adopted.files, ...loaded.files]);
  if (!loaded.ok) {
    sidecar.reloadRefused();
    for (const fault of loaded.faults) say(log, 'configRefused', fault);
    return;
  }
  await sidecar.reload(loaded.config);
  adopted.current = loaded.config;
  adopted.files = loaded.files;
  adopted.catalogModels = loaded.fromCatalogFile.models;
  if (!adopted.over) follow(loaded.files);
  setLevel(loaded.config.observe.log);
  for (const key of needingRestart(adopted.first, loaded.config, loaded.restart))
    say(log, 'needsRestart', { path: key });
  say(log, 'configReloaded');
  sidecar.catalogFile(firstFault(path, loaded.fromCatalogFile.faults));
}

/** What is called when a provider refuses a key, set once the sidecar runs. */
interface Hook {
  call: () => void;
}

/**
 * Resolves at SIGTERM or SIGINT. To be called first of all: process 1 of a container hears no signal that it doesn't
 * listen for, and would serve on until it is killed.
 */
const stopOf = (shell: Shell): Promise<void> =>
  new Promise((resolve) => {
    shell.onSignal('SIGTERM', resolve);
    shell.onSignal('SIGINT', resolve);
  });

/** Serves until it is to stop. */
async function serve(
  config: Config,
  shell: Shell,
  stop: Promise<void>,
  onReady: (sidecar: Sidecar, sink: LogSink, onKeyRefused: Hook) => Promise<{ close(): void } | null>,
): Promise<number> {
  const [{ startSidecar }, { createLog }] = await Promise.all([
    import('./sidecar/sidecar.ts'),
    import('./observe/log.ts'),
  ]);
  const sink = createLog(config.observe.log, 1, config.observe.logTime === 'iso');
  const onKeyRefused: Hook = { call: () => {} };
  const world = { ...realWorld, terminal: shell.terminal, onKeyRefused: () => onKeyRefused.call() };
  const starting = startSidecar(config, sink.log, world, sink.pass);
  // One that is stopped before it serves has nothing to finish.
  const sidecar = await Promise.race([starting, stop.then(() => null)]);
  const watcher = sidecar === null ? null : await onReady(sidecar, sink, onKeyRefused);
  await stop;
  // What is waited for from here on may rest on timers and threads that keep no process alive.
  const alive = setInterval(() => {}, 1000);
  try {
    say(sink.log, 'draining');
    watcher?.close();
    await sidecar?.drain();
    say(sink.log, 'stopped');
    await sink.close();
  } finally {
    clearInterval(alive);
  }
  return 0;
}

async function check(args: string[], shell: Shell): Promise<number> {
  const options = { 'no-env': { type: 'boolean' }, connect: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [file, ...others] = positionals;
  if (others.length > 0) throw new UsageError('check takes one file: call it for each.');
  const path = configPath(file, shell);
  const { allFaults, loadConfig, formatFaults } = await import('./config/load.ts');
  const loaded = loadConfig(path, shell.env, values['no-env'] === true);
  if (loaded.warnings.length > 0)
    shell.printError(`warning: ${formatFaults(path, loaded.warnings).replaceAll('\n', '\nwarning: ')}\n`);
  const faults = allFaults(loaded);
  if (faults.length === 0) {
    shell.print(`${path}: valid\n`);
    return loaded.ok && values.connect === true ? connect(loaded.config, shell) : 0;
  }
  shell.printError(`${formatFaults(path, faults)}\n`);
  return 1;
}

/** Tries what a configuration connects to. */
async function connect(config: Config, shell: Shell): Promise<number> {
  const { tryConnections } = await import('./commands/connections.ts');
  const tried = await tryConnections(config);
  for (const { path, ok, says } of tried) (ok ? shell.print : shell.printError)(`${path}: ${says}\n`);
  return tried.every(({ ok }) => ok) ? 0 : 1;
}

/** How this program is called: in a clone it isn't on the path, and npm knows which Node it needs. */
const commandWord = ({ env }: Shell): string =>
  env.npm_lifecycle_event === undefined ? 'sidegate' : 'npm run -s sidegate --';

async function demo(args: string[], shell: Shell): Promise<number> {
  const { values } = parseArgs({ args, options: { port: { type: 'string', short: 'p' } } });
  const stop = stopOf(shell);
  const { demoConfig, demoBanner } = await import('./commands/demo.ts');
  const config = demoConfig(shell.env, values.port);
  return serve(config, shell, stop, async (sidecar) => {
    shell.print(demoBanner(config, sidecar, commandWord(shell)));
    return null;
  });
}

async function presets(_: string[], shell: Shell): Promise<number> {
  const { presets: known } = await import('./dialects/presets.ts');
  const lines = Object.entries(known).map(([name, { dialect, baseUrl, credentialEnv }]) => {
    const columns = [name.padEnd(22), dialect.padEnd(12), (credentialEnv ?? '-').padEnd(26)];
    return `${columns.join('')}${baseUrl ?? '(embedded)'}\n`;
  });
  shell.print(lines.join(''));
  return 0;
}

async function schema(_: string[], shell: Shell): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  shell.print(await readFile(placeOf('../deploy/sidegate.schema.json'), 'utf8'));
  return 0;
}

async function version(_: string[], shell: Shell): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(placeOf('../package.json'), 'utf8');
  shell.print(`${(JSON.parse(text) as { version: string }).version}\n`);
  return 0;
}

async function usage(_: string[], shell: Shell): Promise<number> {
  shell.print(help);
  return 0;
}
