/** A command's access to the process that runs it, and what a wrong call of it throws. */

/** A command's access to the process: environment, output, signals. */
export interface Shell {
  readonly env: Readonly<Record<string, string | undefined>>;
  print(text: string): void;
  printError(text: string): void;
  /** Whether people read its output at a terminal. */
  readonly terminal: boolean;
  onSignal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', handler: () => void): void;
}

/** A command was called in a way that it doesn't know: exit code 2, as for an unknown option. */
export class UsageError extends Error {}
