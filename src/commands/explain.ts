/** `sidegate explain`: reads a request from a file, and prints how it is routed. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Refusal } from '../base/errors.ts';
import { formatFaults } from '../config/faults.ts';
import { loadConfig } from '../config/load.ts';
import { endpointsByPath, geminiEndpoint } from '../listen/endpoints.ts';
import { configPath } from './config-file.ts';
import { explain, explanationText } from './explanation.ts';
import type { Shell } from './shell.ts';

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
  if (values.admin !== undefined) {
    shell.print(await fromProcess(values.admin, urlPath, values.key, readFileSync(file, 'utf8'), shell));
    return 0;
  }
  const path = configPath(values.config, shell);
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

/**
 * What a running sidecar says of a request: its caller, route, targets with their breakers and keys, and the limits and
 * budgets it counts in. No provider is asked.
 * @param key the app's; empty: none
 */
async function fromProcess(
  admin: string,
  path: string,
  key: string,
  body: string,
  shell: Shell,
): Promise<string> {
  const token = shell.env.SIDEGATE_ADMIN_TOKEN;
  if (token === undefined || token === '')
    throw new Error('Set SIDEGATE_ADMIN_TOKEN to the `admin.token` of the sidecar.');
  const url = new URL('/api/explain', admin);
  const reply = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ path, key, body }),
  }).catch((cause: unknown) => {
    throw new Error(`No sidecar answers at ${url.origin}: give its admin port as --admin URL.`, { cause });
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(text);
  return `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
}
