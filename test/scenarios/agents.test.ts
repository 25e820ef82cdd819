/**
 * Claude Code and Codex as their makers publish them, with the settings of their guide, before every provider dialect of
 * the simulator: each asks, has a tool of its own called, gives the result, and ends.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulators } from '../dialects/simulators.ts';
import { readDocument, root } from '../support/documents.ts';
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts';

const run = promisify(execFile);
const bin = fileURLToPath(new URL('.sidegate/agents/node_modules/.bin/', root));
/** Predictions turn text into text, so Replicate has no tools. */
const names = (Object.keys(simulators) as (keyof typeof simulators)[]).filter((name) => name !== 'replicate');

const { fences } = readDocument('docs/guides/agents.md');
/** The guide's settings of an agent, for this sidecar and a model. */
function settings(language: 'json' | 'text', model: string): string {
  const text = fences.find((fence) => fence.language === language)?.text ?? '';
  return text.replaceAll('http://127.0.0.1:4100', sidecar.url).replaceAll('"coder"', `"${model}"`);
}

let sidecar: TestSidecar;
let folder: string;
beforeAll(async () => {
  sidecar = await startTestSidecar({
    providers: Object.fromEntries(names.map((name) => [name, { preset: simulators[name] }])),
    routes: names.map((name) => ({ model: name, targets: [{ provider: name }] })),
    cache: { enabled: false },
  });
  folder = mkdtempSync(join(tmpdir(), 'sidegate-agents-'));
});
afterAll(async () => {
  await sidecar.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs an agent in a folder and a home of its own; its events, one a line. */
async function events(agent: string, name: string, args: string[], env: Record<string, string>) {
  const home = join(folder, agent, name);
  const work = join(home, 'work');
  mkdirSync(work, { recursive: true });
  const path = `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`;
  const running = run(join(bin, agent), args, {
    cwd: work,
    env: { PATH: path, HOME: home, ...env },
    timeout: 120_000,
    maxBuffer: 64 << 20,
  });
  running.child.stdin?.end();
  const { stdout } = await running;
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const simulated = 'This is a simulated answer';

describe('Claude Code', () => {
  test.each(names)('has a tool called, and its result, before %s', async (name) => {
    const args = ['-p', '--allowedTools', 'Bash', '--verbose', '--output-format', 'stream-json'];
    const heard = await events('claude', name, [...args, 'Say something.'], {
      ...(JSON.parse(settings('json', name)) as { env: Record<string, string> }).env,
      ANTHROPIC_CUSTOM_HEADERS: 'x-simulate: call=Bash',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
      DISABLE_TELEMETRY: '1',
    });
    const said = JSON.stringify(heard);
    expect(said).toContain('"type":"tool_use"');
    expect(said).toContain('"type":"tool_result"');
    expect(heard.at(-1)).toMatchObject({ type: 'result', subtype: 'success', is_error: false });
    expect(heard.at(-1)?.result).toContain(simulated);
  });
});

describe('Codex', () => {
  test.each(names)('has a tool called, and its result, before %s', async (name) => {
    const home = join(folder, 'codex-home', name);
    mkdirSync(home, { recursive: true });
    writeFileSync(
      join(home, 'config.toml'),
      `${settings('text', name)}http_headers = { "x-simulate" = "call=exec_command" }\n`,
    );
    const args = ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', '--json'];
    const heard = await events('codex', name, [...args, 'Say something.'], {
      CODEX_HOME: home,
      GATEWAY_KEY: 'k',
    });
    const said = JSON.stringify(heard);
    expect(said).toContain(`${simulated} from Sidegate`);
    expect(said).toContain('The tool answered');
    expect(heard.at(-1)).toMatchObject({ type: 'turn.completed' });
  });
});
