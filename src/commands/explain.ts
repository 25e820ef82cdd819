/** `sidegate explain`: reads a request from a file, and prints how it is routed. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Refusal } from '../base/errors.ts';
import { formatFaults } from '../config/faults.ts';
import { loadConfig } from '../config/load.ts';
import { endpointsByPath, geminiEndpoint } from '../listen/endpoints.ts';
import { explain, explanationText } from './explanation.ts';
import type { Shell } from './shell.ts';

/**
 * Runs `sidegate explain`; returns the exit code.
 * @param configPath the configuration's path, from the value of `--config`
 */
export async function explainCommand(
  args: string[],
  shell: Shell,
  configPath: (given: string | undefined) => string,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      config: { type: 'string', short: 'c' },
      path: { type: 'string', default: '/v1/chat/completions' },
      header: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
    },
  });
  const [file] = positionals;
  const [urlPath = ''] = values.path.split('?');
  const endpoint = endpointsByPath.get(urlPath) ?? geminiEndpoint(urlPath, values.path);
  if (file === undefined || positionals.length > 1 || endpoint === undefined || endpoint.kind === 'models') {
    const paths = [...endpointsByPath.keys()];
    shell.printError(`Pass one file with a request's body, and --path with one of ${paths.join(', ')}.\n`);
    return 2;
  }
  const path = configPath(values.config);
  const loaded = loadConfig(path, shell.env);
  if (!loaded.ok) {
    shell.printError(`${formatFaults(path, loaded.faults)}\n`);
    return 1;
  }
  const headers = Object.fromEntries(
    values.header.map((line) => {
      const [name = '', ...value] = line.split(':');
      return [name.trim().toLowerCase(), value.join(':').trim()];
    }),
  );
  const found = explain(
    loaded.config,
    { body: readFileSync(file), endpoint, path: urlPath, headers },
    Date.now(),
  );
  if (found instanceof Refusal) {
    shell.printError(`${file}: ${found.text}\n`);
    return 1;
  }
  shell.print(values.json ? `${JSON.stringify(found)}\n` : explanationText(found));
  return 0;
}
