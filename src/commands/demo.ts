/** `sidegate demo`: all stages on, with the simulator and the real providers whose keys are in the environment. */
import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { type Config, configSchema } from '../config/schema.ts';
import { isPattern, type Preset, presets } from '../dialects/presets.ts';
import type { Sidecar } from '../sidecar/sidecar.ts';
import { UsageError } from './shell.ts';

const pace = { ttftMs: 150, tokensPerSecond: 80 };
/** Invented as the answers are, so that costs and a budget are to be seen. */
const simulatedPrices = [
  { model: 'sim-gpt', inputUsdPerMTok: 2, outputUsdPerMTok: 8 },
  { model: 'sim-embedding', inputUsdPerMTok: 0.1, outputUsdPerMTok: 0 },
  { model: 'sim-claude', inputUsdPerMTok: 3, outputUsdPerMTok: 15 },
  { model: 'sim-gemini', inputUsdPerMTok: 1, outputUsdPerMTok: 4 },
];
const simulatedRoutes = [
  { model: 'sim-gpt', targets: [{ provider: 'simulator' }] },
  { model: 'sim-embedding', targets: [{ provider: 'simulator' }] },
  { model: 'sim-claude', targets: [{ provider: 'simulator-anthropic' }] },
  { model: 'sim-gemini', targets: [{ provider: 'simulator-gemini' }] },
];

/**
 * Routes of a real provider: its listed models by name, and any model as `provider/model`, so that names
 * don't clash.
 */
function realRoutes(
  name: string,
  models: readonly string[],
): z.input<typeof configSchema>['routes'] & object {
  const own = models.map((model) => ({ model, targets: [{ provider: name }] }));
  return [...own, { model: `${name}/*`, targets: [{ provider: name, model: '*' }] }];
}

type Env = Readonly<Record<string, string | undefined>>;

/** Base URL of a preset's provider; null: unknown. Azure's is in the environment variable that its libraries read. */
function addressOf(preset: Preset, env: Env): { baseUrl?: string } | null {
  if (!isPattern(preset)) return {};
  const { AZURE_OPENAI_ENDPOINT: endpoint = '' } = env;
  if (!URL.canParse(endpoint) || preset.quirks.deployments === true) return null;
  return { baseUrl: new URL(endpoint).origin + new URL(preset.baseUrl ?? '').pathname };
}

/** The demo's configuration. @throws if the port is invalid */
export function demoConfig(env: Env, port?: string): Config {
  const real = Object.entries(presets).filter(
    ([, preset]) =>
      preset.credentialEnv !== null && env[preset.credentialEnv] && addressOf(preset, env) !== null,
  );
  const providers = Object.fromEntries(
    real.map(([name, preset]) => [
      name,
      { preset: name, apiKey: env[preset.credentialEnv ?? ''], ...addressOf(preset, env) },
    ]),
  );
  const parsed = configSchema.safeParse({
    listen: port === undefined ? {} : { port: Number(port) },
    admin: {
      // New at each start: it only lets this machine's dashboard send requests.
      token: randomBytes(18).toString('base64url'),
      ...(port === undefined ? {} : { port: port === '0' ? 0 : Number(port) + 1 }),
    },
    authenticate: { anonymousTenant: 'demo' },
    observe: { recent: 500 },
    cache: { semantic: { mode: 'on' } },
    limits: [{ name: 'demo-requests', capacity: 100, refillPerSecond: 10 }],
    budgets: [{ name: 'demo-dollars', usd: 5, window: 'day', match: { model: 'sim-*' } }],
    catalog: { models: simulatedPrices },
    providers: {
      // Nothing of it leaves this machine.
      simulator: { preset: 'simulator', simulate: pace, passthrough: 'unscrubbed' },
      'simulator-anthropic': { preset: 'simulator-anthropic', simulate: pace },
      'simulator-gemini': { preset: 'simulator-gemini', simulate: pace },
      ...providers,
    },
    routes: [...simulatedRoutes, ...real.flatMap(([name, { models }]) => realRoutes(name, models))],
  });
  if (!parsed.success)
    throw new UsageError(`--port must be a number from 0 to 65534, not ${JSON.stringify(port)}.`);
  return parsed.data;
}

/** The text that the demo prints when it is ready. */
export function demoBanner(config: Config, { dataUrl, adminUrl, simulated }: Sidecar, word: string): string {
  const models = new Map<string, string[]>();
  for (const { model, targets } of config.routes) {
    const provider = targets[0]?.provider ?? '';
    models.set(provider, [...(models.get(provider) ?? []), model]);
  }
  const rows = [...models].map(([provider, names]) => {
    const note = simulated.includes(provider) ? 'SIMULATED: answers are invented' : 'real: calls cost money';
    return `    ${provider.padEnd(20)} ${note.padEnd(32)} ${names.join(', ')}`;
  });
  const keys = Object.values(presets).flatMap(({ credentialEnv }) => credentialEnv ?? []);
  const used = new Set(Object.keys(config.providers).map((name) => presets[name]?.credentialEnv));
  const off = [...new Set(keys)].filter((key) => !used.has(key));
  const hint =
    off.length === 0
      ? ''
      : `\n  Set any of these variables to add its real provider (listed by \`${word} presets\`)\n${inLines(off)}\n`;
  return `
  Dashboard ${adminUrl}/#token=${config.admin.token}

  Sidegate ${dataUrl}  (OpenAI SDKs: base URL ${dataUrl}/v1, Anthropic SDKs: ${dataUrl})
  Admin    ${adminUrl}/metrics  /healthz  /readyz

  Models
${rows.join('\n')}
${hint}
  Try
    curl ${dataUrl}/v1/chat/completions -H 'content-type: application/json' -d '{"model":"sim-gpt","messages":[{"role":"user","content":"Write to alice@example.com"}]}'

`;
}

const lineMaxLength = 100;

/** Breaks words into indented lines of at most 100 characters. */
function inLines(words: readonly string[]): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= lineMaxLength)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`    ${word}`);
  }
  return lines.join('\n');
}
