/** The type of a command's access to the process that runs it. */

/** A command's access to the process: environment, output, signals. */
export interface Shell {
  readonly env: Readonly<Record<string, string | undefined>>;
  print(text: string): void;
  printError(text: string): void;
  /** Whether people read its output at a terminal. */
  readonly terminal: boolean;
  onSignal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', handler: () => void): void;
}
