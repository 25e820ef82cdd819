/** A valid configuration with its environment and files, and ways to change one place of it and to load it. */
import { createHash } from 'node:crypto';
import { stringify } from 'yaml';
import { type ConfigResult, parseConfig } from '../../src/config/load.ts';

/** The secret, which no output may contain. */
export const secretText = 'sk-very-secret-0123456789';

/** Environment variables. */
export const env = {
  KEY: secretText,
  PORT: '4321',
  FLAG: 'false',
  EMPTY: '',
  TENANT: 'acme',
  ODD: 'sk odd\nkey: x',
};

/** Contents of files by path. */
export const files: Record<string, string> = {
  '/run/key': `${secretText}\n`,
  '/run/empty': '\n',
  '/run/odd': 'file:/run/key',
};

/** Reads one of `files`; throws, with the secret in the message, if there is none. */
export const read = (path: string): string => {
  const text = files[path];
  if (text === undefined) throw new Error(`no file, but ${secretText}`);
  return text;
};

/** Parses a configuration with `env` and `files`. */
export const load = (text: string): ConfigResult => parseConfig(text, env, read);

/** SHA-256 of a key, in hex. */
export const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A configuration without faults or warnings. */
export const valid = {
  authenticate: {
    keys: [
      { id: 'a', sha256: digest('a'), tenant: 'acme' },
      { id: 'b', sha256: digest('b'), tenant: 'beta' },
    ],
  },
  limits: [{ name: 'all', capacity: 10, refillPerSecond: 1, scope: 'pod' }],
  providers: {
    openai: { preset: 'openai', apiKey: '${KEY}' },
    anthropic: { preset: 'anthropic', apiKey: 'file:/run/key' },
    own: { dialect: 'openai', baseUrl: 'http://127.0.0.1:8000/v1' },
    sim: { preset: 'simulator', simulate: {} },
  },
  routes: [
    { model: 'gpt-*', targets: [{ provider: 'openai' }, { provider: 'own', model: 'llama' }] },
    { model: 'claude-*', targets: [{ provider: 'anthropic' }] },
  ],
};

/** The valid configuration as YAML, with one place changed; undefined removes it. */
export function changed(path: string, value: unknown): string {
  const copy = structuredClone(valid) as Record<string, unknown>;
  const steps = path.split('.');
  const last = steps.pop() ?? '';
  let at = copy;
  for (const step of steps) {
    at[step] ??= {};
    at = at[step] as Record<string, unknown>;
  }
  if (value === undefined) delete at[last];
  else at[last] = value;
  return stringify(copy);
}

/** The faults, one line each. */
export const listed = (result: ConfigResult): string[] =>
  (result.ok ? [] : result.faults).map(({ path, message }) => `${path}: ${message}`);

/** The warnings, one line each. */
export const warned = (result: ConfigResult): string[] =>
  result.warnings.map(({ path, message }) => `${path}: ${message}`);
