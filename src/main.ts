#!/usr/bin/env node
/** The entry point, and the only file that touches the process: arguments, signals, exit code. */
// Compiled code is cached between starts if the platform allows it.
import * as module from 'node:module';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`sidegate: Node ${process.versions.node} is too old; it needs 22.19 or newer.\n`);
  process.exit(1);
}
module.enableCompileCache?.();
// Imported only now, since an older Node could not parse it.
const { runCli } = await import('./cli.ts');

// As in `sidegate costs | head`: whoever reads has enough.
process.stdout.on('error', (cause) => {
  if ('code' in cause && cause.code === 'EPIPE') process.exit(0);
  throw cause;
});

const exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  print: (text) => void process.stdout.write(text),
  printError: (text) => void process.stderr.write(text),
  terminal: process.stdout.isTTY === true,
  onSignal: (signal, handler) => void process.on(signal, handler),
});
// Whatever is left waits for nothing that matters, such as a library's next try: all is written. Only what was printed last
// may be on its way.
process.stdout.write('', () => process.exit(exitCode));
