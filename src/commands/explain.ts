/** `sidegate explain`: reads a request from a file, and prints how it is routed. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Refusal } from '../base/errors.ts';
import { formatFaults } from '../config/faults.ts';
import { allFaults, loadConfig } from '../config/load.ts';
import { endpointsByPath, geminiEndpoint } from '../listen/endpoints.ts';
import { adminClient } from './admin-client.ts';
import { configPath } from './config-file.ts';
import { explain, explanationText } from './explanation.ts';
import { type Shell, UsageError } from './shell.ts';

/** Runs `sidegate explain`; returns the exit code. */
export async function explainCommand(args: string[], shell: Shell): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      config: { type: 'string', short: 'c' },
      path: { type: 'string', default: '/v1/chat/completions' },
      header: { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
      admin: { type: 'string' },
      key: { type: 'string', default: '' },
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
  const headers = Object.fromEntries(
    values.header.map((line) => {
      const [name = '', ...value] = line.split(':');
      if (value.length === 0)
        throw new UsageError(`--header must be like "name: value", not ${JSON.stringify(line)}.`);
      return [name.trim().toLowerCase(), value.join(':').trim()];
    }),
  );
  if (values.admin !== undefined && values.header.length > 0)
    throw new UsageError(
      '--header has no effect with --admin: the running sidecar gets the body and the key.',
    );
  if (values.admin !== undefined) {
    // What a running sidecar says: caller, route, targets with breakers and keys, limits. No provider is asked.
    const order = { path: urlPath, key: values.key, body: readFileSync(file, 'utf8') };
    const found = await adminClient(values.admin, shell)('POST', '/api/explain', order);
    shell.print(`${JSON.stringify(found, null, 2)}\n`);
    return 0;
  }
  const path = configPath(values.config, shell);
  const loaded = loadConfig(path, shell.env);
  const faults = allFaults(loaded);
  // Without the catalog file, it would show other prices than are meant.
  if (!loaded.ok || faults.length > 0) {
    shell.printError(`${formatFaults(path, faults)}\n`);
    return 1;
  }
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
