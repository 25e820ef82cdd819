/** The demo: all stages on, the simulator answering, real providers where their keys are in the environment. */
import { type Config, configSchema } from './config/schema.ts';
import { presets } from './providers/presets.ts';
import type { Sidecar } from './sidecar.ts';

const simulatedRoutes = [
  { model: 'sim-gpt', targets: [{ provider: 'simulator' }] },
  { model: 'sim-embedding', targets: [{ provider: 'simulator' }] },
  { model: 'sim-claude', targets: [{ provider: 'simulator-anthropic' }] },
];

/** The demo's configuration. @throws when the port isn't one */
export function demoConfig(env: Readonly<Record<string, string | undefined>>, port?: string): Config {
  const real = Object.entries(presets).filter(
    ([, { credentialEnv }]) => credentialEnv !== null && env[credentialEnv],
  );
  const providers = Object.fromEntries(
    real.map(([name, { credentialEnv }]) => [name, { preset: name, apiKey: env[credentialEnv ?? ''] }]),
  );
  const parsed = configSchema.safeParse({
    listen: port === undefined ? {} : { port: Number(port) },
    admin: port === undefined ? {} : { port: port === '0' ? 0 : Number(port) + 1 },
    authenticate: { anonymousTenant: 'demo' },
    limits: [{ name: 'demo-requests', capacity: 100, refillPerSecond: 10 }],
    providers: {
      simulator: { preset: 'simulator', simulate: { ttftMs: 150, tokensPerSecond: 80 } },
      'simulator-anthropic': {
        preset: 'simulator-anthropic',
        simulate: { ttftMs: 150, tokensPerSecond: 80 },
      },
      ...providers,
    },
    routes: [
      ...simulatedRoutes,
      ...real.flatMap(([name, { models }]) =>
        models.map((model) => ({ model, targets: [{ provider: name }] })),
      ),
    ],
  });
  if (!parsed.success)
    throw new Error(`--port must be a number from 0 to 65534, not ${JSON.stringify(port)}.`);
  return parsed.data;
}

/** What the demo prints when it is ready. */
export function demoBanner(config: Config, { dataUrl, adminUrl, simulated }: Sidecar): string {
  const isSimulated = (provider: string): boolean => simulated.includes(provider);
  const rows = config.routes.map(({ model, targets }) => {
    const provider = targets[0]?.provider ?? '';
    const note = isSimulated(provider) ? 'SIMULATED: answers are invented' : 'real: calls cost money';
    return `    ${model.padEnd(20)} ${provider.padEnd(22)} ${note}`;
  });
  const off = Object.entries(presets)
    .filter(([name, { credentialEnv }]) => credentialEnv !== null && !(name in config.providers))
    .map(([name, { credentialEnv }]) => `${credentialEnv} (${name})`);
  const hint = off.length === 0 ? '' : `\n  Set ${off.join(' or ')} to switch the real provider on.\n`;
  return `
  Sidegate ${dataUrl}  (OpenAI SDKs: base URL ${dataUrl}/v1, Anthropic SDKs: ${dataUrl})
  Admin    ${adminUrl}/metrics  /healthz  /readyz

  Models
${rows.join('\n')}
${hint}
  Try
    curl ${dataUrl}/v1/chat/completions -H 'content-type: application/json' -d '{"model":"sim-gpt","messages":[{"role":"user","content":"Write to alice@example.com"}]}'

`;
}
