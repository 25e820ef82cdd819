/** What the first days with a configuration need: issue 22, item 14. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { runCli } from '../../src/cli.ts';
import { ask } from '../support/client.ts';
import { spawnSidecar, startTestSidecar } from '../support/sidecar.ts';

function fileWith(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-check-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'sidegate.yaml');
  writeFileSync(path, text);
  return path;
}

/** Runs `sidegate check`: its exit code and what it says. */
async function check(text: string, ...options: string[]): Promise<{ code: number; said: string }> {
  let said = '';
  const take = (more: string): void => {
    said += more;
  };
  const shell = { env: {}, print: take, printError: take, terminal: false, onSignal: () => {} };
  return { code: await runCli(['check', fileWith(text), ...options], shell), said };
}

const example = readFileSync(new URL('../../deploy/sidegate.example.yaml', import.meta.url), 'utf8');

test('check refuses a second file, which it would not look at', async () => {
  const { code, said } = await check(example, '--no-env', fileWith('providers: ['));
  expect({ code, said }).toEqual({ code: 2, said: expect.stringContaining('one file') });
});

test('item 14: check tells all faults in one go, those of secrets too', async () => {
  const { code, said } = await check(`
listen: { port: 99999, prot: 1 }
providers: { p: { preset: opneai, apiKey: "\${NO_SUCH_KEY}" }, q: { preset: openai, apiKey: "file:/none" } }
routes: [{ model: "*", targets: [{ provider: r }] }]
`);
  expect(code).toBe(1);
  for (const fault of [
    'listen.port',
    'listen.prot',
    'did you mean "openai"',
    'NO_SUCH_KEY',
    '/none',
    'no provider "r"',
    'nobody may call',
  ])
    expect(said).toContain(fault === '/none' ? 'providers.q.apiKey' : fault);
});

test('item 14: --no-env checks without secrets, and finds everything else', async () => {
  expect((await check(example)).code).toBe(1);
  const without = await check(example, '--no-env');
  expect([without.code, without.said.split('\n').at(-2)]).toEqual([0, expect.stringContaining(': valid')]);
  const url = '{ dialect: openai, baseUrl: "${BASE_URL}", apiKey: "file:/none", tls: { ca: "file:/none" } }';
  const text = (model: string): string =>
    `authenticate: { keys: [{ id: a, tenant: t, sha256: "\${SHA}" }] }
listen: { port: "\${PORT}" }
providers: { p: ${url} }
routes: [{ model: "${model}", targets: [{ provider: p }] }]`;
  expect((await check(text('*'), '--no-env')).code).toBe(0);
  const faulty = await check(text('a*b'), '--no-env');
  expect([faulty.code, faulty.said.trim().split('\n').length]).toEqual([1, 1]);
  expect(faulty.said).toContain('routes[0].model');
  // What isn't a matter of secrets stays a fault.
  expect((await check(text('*').replace('${PORT}', '${PORT'), '--no-env')).code).toBe(1);
});

test.each([
  ['LiteLLM', { model_list: [{ model_name: 'gpt-4o', litellm_params: { model: 'azure/x' } }] }],
  ['LiteLLM', { litellm_settings: { drop_params: true }, general_settings: { master_key: 'sk' } }],
  ['Portkey', { strategy: { mode: 'fallback' }, targets: [{ virtual_key: 'openai' }] }],
])('item 14: a configuration of %s is called what it is', async (name, config) => {
  const { code, said } = await check(stringify(config));
  expect(code).toBe(1);
  expect(said).toContain(`this is a configuration of ${name}: Sidegate's has`);
  expect(said.trim().split('\n')).toHaveLength(1);
});

test('item 14: an unknown model is guessed, among those that the caller may use', async () => {
  const sha256 = (key: string): string =>
    execFileSync('sha256sum', { input: key, encoding: 'utf8' }).slice(0, 64);
  const sidecar = await startTestSidecar({
    authenticate: {
      anonymousTenant: undefined,
      keys: [
        { id: 'all', sha256: sha256('all'), tenant: 't' },
        { id: 'some', sha256: sha256('some'), tenant: 't', models: ['gpt-4o-*', 'gpt-4.0'] },
      ],
    },
    providers: { sim: { preset: 'simulator' } },
    routes: ['gpt-4o', 'gpt-4o-mini'].map((model) => ({ model, targets: [{ provider: 'sim' }] })),
  });
  onTestFinished(() => sidecar.stop());
  const say = async (key: string, model: string): Promise<string> => {
    const body = { model, messages: [{ role: 'user', content: 'hi' }] };
    const headers = { authorization: `Bearer ${key}` };
    const reply = await ask(sidecar.url, '/v1/chat/completions', { body, headers });
    return JSON.parse(reply.text).error.message;
  };
  expect(await say('all', 'gpt4o')).toContain('No route serves the model "gpt4o"; did you mean "gpt-4o"?');
  expect(await say('all', 'claude')).toContain('No route serves the model "claude". ');
  // The nearest name is none of theirs.
  expect(await say('some', 'gpt-4.0')).not.toContain('"gpt-4o"');
});

test('item 14: a changed port is told at a reload', async () => {
  const text = (port: number): string =>
    `listen: { port: ${port} }
admin: { port: 0 }
authenticate: { anonymousTenant: t }
providers: { sim: { preset: simulator } }
routes: [{ model: "*", targets: [{ provider: sim }] }]
`;
  const sidecar = await spawnSidecar(text(0));
  onTestFinished(() => void sidecar.stop());
  writeFileSync(sidecar.configPath, text(4199));
  await sidecar.outputMatching(/"path":"listen\.port".*this change needs a restart/);
});

test('item 14: the words of the banner work in a clone, where npm brings the Node', async () => {
  const root = new URL('../..', import.meta.url).pathname;
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(scripts.sidegate).toMatch(/^exec node (--\S+ )*dist\/main\.js$/);
  const banner = async (env: Record<string, string>): Promise<string | undefined> => {
    let said = '';
    let end = (): void => {};
    const ended = runCli(['demo', '--port', '0'], {
      env,
      print: (text) => {
        said += text;
        end();
      },
      printError: () => {},
      terminal: false,
      onSignal: (signal, act) => {
        if (signal === 'SIGTERM') end = act;
      },
    });
    expect(await ended).toBe(0);
    return /`(.*) presets`/.exec(said)?.[1];
  };
  expect(await banner({})).toBe('sidegate');
  expect(await banner({ npm_lifecycle_event: 'start' })).toBe('npm run -s sidegate --');
  const said = execFileSync('npm', ['run', '-s', '--ignore-scripts', 'sidegate', '--', 'presets'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(said).toContain('openai');
  // Columns never touch.
  for (const line of said.trim().split('\n')) expect(line.split(/\s+/)).toHaveLength(4);
});
