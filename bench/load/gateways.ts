/** Other gateways, installed into a folder of their own: Portkey from npm, LiteLLM from PyPI. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { benchKey, freePort, type Server, type ServerOptions, startProgram, work } from './processes.ts';

/** Their versions, so that a run can be repeated. */
export const gatewayVersions = { portkey: '1.15.2', litellm: '1.80.0' } as const;

const folder = `${work}gateways/`;
const installMs = 600_000;
/** They load a hundred times as much code as a proxy needs. */
const readyMs = 180_000;

function run(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: installMs });
}

/** Starts Portkey, whose requests name their provider. @throws if it can't be installed or started */
export async function startPortkey({ upstreamPort, heapFlags, pinned }: ServerOptions): Promise<Server> {
  const own = `${folder}portkey`;
  const program = `${own}/node_modules/@portkey-ai/gateway/build/start-server.js`;
  if (!existsSync(program)) {
    mkdirSync(own, { recursive: true });
    writeFileSync(`${own}/package.json`, '{ "private": true }\n');
    run('npm', 'install', '--prefix', own, '--no-audit', `@portkey-ai/gateway@${gatewayVersions.portkey}`);
  }
  const port = await freePort();
  const args = [process.execPath, ...heapFlags, program, '--headless', `--port=${port}`];
  const log = `${folder}portkey-${port}.log`;
  const server = await startProgram('portkey', args, port, { pinned, log, quiet: true, readyMs });
  const host = `http://127.0.0.1:${upstreamPort}/v1`;
  return { ...server, headers: ['x-portkey-provider: openai', `x-portkey-custom-host: ${host}`] };
}

/** Starts LiteLLM's proxy with one worker. @throws if it can't be installed or started */
export async function startLitellm({ upstreamPort, pinned }: ServerOptions): Promise<Server> {
  const own = `${folder}litellm`;
  const program = `${own}/bin/litellm`;
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    run('python3', '-m', 'venv', own);
    run(`${own}/bin/pip`, 'install', '--quiet', `litellm[proxy]==${gatewayVersions.litellm}`);
  }
  const port = await freePort();
  const config = `${folder}litellm-${port}.json`;
  const params = {
    model: 'openai/bench-model',
    api_base: `http://127.0.0.1:${upstreamPort}/v1`,
    api_key: 'sk-up',
  };
  writeFileSync(
    config,
    // JSON is YAML too.
    JSON.stringify({
      model_list: [{ model_name: 'bench-model', litellm_params: params }],
      general_settings: { master_key: benchKey },
      litellm_settings: { telemetry: false, num_retries: 0 },
    }),
  );
  const args = [program, '--config', config, '--host', '127.0.0.1', '--port', String(port)];
  return startProgram('litellm', args, port, {
    pinned,
    log: `${folder}litellm-${port}.log`,
    quiet: true,
    readyMs,
    files: [config],
    // Prices from the package, not from the network.
    env: { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_MODE: 'PRODUCTION' },
  });
}
