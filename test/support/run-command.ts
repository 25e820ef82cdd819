/** Runs a command of the command line in the test process, and collects what it says. */
import { runCli } from '../../src/cli.ts';

/** What became of a command. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs it without a terminal. */
export async function runCommand(args: string[], env: Readonly<Record<string, string>> = {}): Promise<Said> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runCli(args, {
    env,
    print: (text) => void out.push(text),
    printError: (text) => void err.push(text),
    terminal: false,
    onSignal: () => {},
  });
  return { code, out: out.join(''), err: err.join('') };
}
