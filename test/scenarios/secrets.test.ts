/**
 * Secrets by which a public scanner tests its own rules: gitleaks makes some thousand values, in each form that code assigns
 * them in. Its source is fetched as a Go module and made to say them; without Go, nothing is tested.
 */
import { execFile, spawnSync } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { findPii, piiAction, piiKinds, policyOf } from '../../src/native/pii.ts';

const run = promisify(execFile);
const hasGo = spawnSync('go', ['version']).status === 0;
const module = 'github.com/zricethezav/gitleaks/v8@v8.30.0';
const policy = policyOf(
  piiKinds.filter(({ secret }) => secret).map(({ name }) => ({ name, action: piiAction.Report })),
  [],
  Buffer.alloc(1),
);

/** The rule, the text and the secret in it of each value that gitleaks tests its rules with. */
async function values(): Promise<[string, string, string][]> {
  const folder = await mkdtemp(join(tmpdir(), 'sidegate-gitleaks-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const download = await run('go', ['mod', 'download', '-json', module], { cwd: folder });
  const source = join(folder, 'source');
  await cp((JSON.parse(download.stdout) as { Dir: string }).Dir, source, { recursive: true });
  const utils = join(source, 'cmd/generate/config/utils');
  // Modules are kept read-only.
  for (const path of [utils, ...(await readdir(utils)).map((name) => join(utils, name))])
    await chmod(path, 0o755);
  const file = join(utils, 'validate.go');
  const said = `for _, tp := range truePositives {
		for _, found := range d.DetectString(tp) {
			line, _ := json.Marshal([]string{r.RuleID, tp, found.Secret})
			fmt.Println("VALUE " + string(line))
		}`;
  const text = await readFile(file, 'utf8');
  const changed = text
    .replace('for _, tp := range truePositives {', said)
    .replace('import (', 'import (\n\t"encoding/json"\n\t"fmt"');
  await writeFile(file, changed);
  const { stdout } = await run('go', ['run', '.', join(folder, 'out.toml')], {
    cwd: join(source, 'cmd/generate/config'),
    maxBuffer: 64 << 20,
  }).catch((error: { stdout: string }) => error);
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('VALUE '))
    .map((line) => JSON.parse(line.slice('VALUE '.length)));
}

test.skipIf(!hasGo)('nine in ten of the values that gitleaks tests its rules with are found', async () => {
  const all = await values();
  expect(all.length).toBeGreaterThan(5000);
  const found = all.filter(([, text, secret]) => {
    const bytes = Buffer.from(text);
    const numbers = findPii(policy, text, '');
    return numbers.some((_, at) => {
      const value = at % 3 === 0 ? bytes.toString('utf8', numbers[at + 1], numbers[at + 2]) : '';
      return value.includes(secret) || (secret.includes(value) && value.length >= secret.length / 2);
    });
  });
  // The values are random: of most rules, one in twenty or fewer looks like words.
  expect(found.length / all.length).toBeGreaterThan(0.88);
});
