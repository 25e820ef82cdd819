/** `sidegate simulate`: serves only the simulator, until SIGTERM or SIGINT. */
import { parseArgs } from 'node:util';
import { startSimulator } from '../simulate/server.ts';
import { type SimulateSettings, simulateSchema } from '../simulate/settings.ts';
import type { Shell } from './shell.ts';

const defaultPort = '4110';
const host = '127.0.0.1';

async function readSettings(path: string | undefined): Promise<SimulateSettings> {
  if (path === undefined) return simulateSchema.parse({});
  const [{ readFile }, { parse }] = await Promise.all([import('node:fs/promises'), import('yaml')]);
  const result = simulateSchema.safeParse(parse(await readFile(path, 'utf8')) ?? {});
  if (result.success) return result.data;
  const faults = result.error.issues.map(
    (issue) => `  ${issue.path.join('.') || 'the file'}: ${issue.message}`,
  );
  throw new Error(`${path} has invalid settings of the simulator:\n${faults.join('\n')}`);
}

/** Runs the command; returns the exit code. @param args `--port N` and `--config FILE`, a YAML file of settings */
export async function simulate(args: string[], shell: Shell): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: 'string', short: 'p', default: defaultPort },
      config: { type: 'string', short: 'c' },
    },
  });
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port > 65_535) {
    shell.printError(`--port must be a number from 0 to 65535, not ${JSON.stringify(values.port)}.\n`);
    return 2;
  }
  const simulator = await startSimulator(await readSettings(values.config), host, port);
  const curl = (header: string): string =>
    `curl -i ${simulator.url}/v1/chat/completions -H 'content-type: application/json' ${header}\\\n` +
    `      -d '{"model":"any","messages":[{"role":"user","content":"Hello"}]}'`;
  shell.print(`
  Simulator ${simulator.url}  (OpenAI SDKs: base URL ${simulator.url}/v1, Anthropic SDKs: ${simulator.url})
  Every answer is invented; no model is asked.

  Try
    ${curl('')}
    ${curl("-H 'x-simulate: fault=overloaded' ")}

`);
  await new Promise<void>((resolve) => {
    shell.onSignal('SIGTERM', resolve);
    shell.onSignal('SIGINT', resolve);
  });
  await simulator.close();
  return 0;
}
