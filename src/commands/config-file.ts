/** The configuration that a command works with. */
import type { Config } from '../config/schema.ts';
import type { Shell } from './shell.ts';

/** Path of the configuration, for the help of commands. */
export const configPathText = '$SIDEGATE_CONFIG, or sidegate.yaml';

/** Path of the configuration. @param given value of the option; undefined: it wasn't used */
export const configPath = (given: string | undefined, { env }: Shell): string =>
  given ?? env.SIDEGATE_CONFIG ?? 'sidegate.yaml';

/**
 * The configuration of a command that needs only one file named in it. Rejects if it has faults.
 * @param instead what to pass instead, for the error
 */
export async function configOrThrow(path: string, instead: string, { env }: Shell): Promise<Config> {
  const { loadConfig, formatFaults } = await import('../config/load.ts');
  const loaded = loadConfig(path, env);
  if (loaded.ok) return loaded.config;
  throw new Error(
    `the configuration has faults; fix them, or pass ${instead}.\n${formatFaults(path, loaded.faults)}`,
  );
}
