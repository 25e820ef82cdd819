/** What is shipped has a licence that the policy allows, and is pinned by a digest. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { allowedLicences, crates, isAllowed, npmPackages, type Shipped } from '../../scripts/licences.ts';

const allowed = allowedLicences();
const kinds: readonly (readonly [string, readonly Shipped[]])[] = [
  ['npm packages', npmPackages()],
  ['crates', crates()],
];

test('the policy and the packages are found', () => {
  expect([...allowed]).toContain('MIT');
  for (const [, packages] of kinds) expect(packages.length).toBeGreaterThan(40);
});

test.each(kinds)('%s have licences that are allowed', (_, packages) => {
  expect(packages.filter(({ licence }) => !isAllowed(licence, allowed))).toEqual([]);
});

test.each(kinds)('%s are pinned by a digest', (_, packages) => {
  expect(packages.filter(({ pinned }) => !pinned)).toEqual([]);
});

test.each([
  ['MIT', true],
  ['MIT OR GPL-3.0', true],
  ['MIT/Apache-2.0', true],
  ['(MIT OR Apache-2.0) AND Unicode-3.0', true],
  ['MIT AND GPL-3.0', false],
  ['GPL-3.0', false],
  ['', false],
])('a licence %j: allowed %s', (licence, is) => {
  expect(isAllowed(licence, allowed)).toBe(is);
});

test('the image is built from images by digest, and of what the lockfile names', () => {
  const lines = readFileSync('deploy/Dockerfile', 'utf8').split('\n');
  const bases = lines.filter((line) => line.startsWith('FROM '));
  expect(bases.length).toBeGreaterThan(2);
  for (const base of bases) expect(base).toMatch(/@\$\{(?:RUST|NODE)_DIGEST\}/);
  // Without a default, a build that names no digest fails.
  expect(lines).toContain('ARG RUST_DIGEST');
  expect(lines).toContain('ARG NODE_DIGEST');
  expect(lines.filter((line) => /npm (?:install|i)\b/.test(line))).toEqual([]);
  expect(lines.some((line) => line.includes('npm ci --omit=dev'))).toBe(true);
});
