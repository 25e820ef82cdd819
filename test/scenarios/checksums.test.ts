/**
 * Check digits against python-stdnum and nric: NHS numbers, routing numbers, cards, Bitcoin addresses and numbers of
 * Singapore; French and Italian numbers and others once more, by a second implementation. 10,000 values each, right and
 * wrong. The rest is in `test/scrub/checksums.test.ts`.
 */
import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findPii, piiAction, policyOf } from '../../src/native/pii.ts';
import { type Random, seeded } from '../support/native-random.ts';

const rounds = 10_000;
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sidegate-stdnum-'));
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, 'python-stdnum==2.2'];
  expect(spawnSync('python3', pip).status).toBe(0);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a module of python-stdnum says of values. */
function accepted(module: string, values: readonly string[]): boolean[] {
  const script = `import importlib, json, sys
check = importlib.import_module("stdnum.${module}")
print(json.dumps([check.is_valid(value) for value in json.load(sys.stdin)]))`;
  const { stdout } = spawnSync('python3', ['-c', script], {
    env: { ...process.env, PYTHONPATH: folder },
    input: JSON.stringify(values),
    maxBuffer: 1 << 24,
  });
  return JSON.parse(stdout.toString());
}

/** What the package nric of npm says of values. */
function acceptedAsNric(values: readonly string[]): boolean[] {
  const install = spawnSync('npm', ['install', '--silent', '--no-audit', '--prefix', folder, 'nric@1.2.2']);
  expect(install.status).toBe(0);
  const { validate } = createRequire(join(folder, 'x.js'))('nric') as { validate(value: string): boolean };
  return values.map((value) => validate(value));
}

const digits = (random: Random, count: number): string =>
  Array.from({ length: count }, () => random.below(10)).join('');
/** A beginning with each last digit. */
const ends = (beginning: string): string[] =>
  Array.from({ length: 10 }, (_, digit) => `${beginning}${digit}`);

/** A number of Singapore with ten letters behind it, of the eleven that a check can give. */
function nrics(random: Random): string[] {
  const first = random.pick(['S', 'T', 'F', 'G']);
  const letters = 'ST'.includes(first) ? 'JZIHGFEDCB' : 'XWUTRQPNML';
  const number = digits(random, 7);
  return [...letters].map((letter) => `${first}${number}${letter}`);
}

const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
/** A Bitcoin address of a random key, and nine with one character changed. */
function wallets(random: Random): string[] {
  const key = Buffer.from([0, ...Array.from({ length: 20 }, () => random.below(256))]);
  const sum = hash('sha256', hash('sha256', key, 'buffer'), 'buffer').subarray(0, 4);
  let number = BigInt(`0x${Buffer.concat([key, sum]).toString('hex')}`);
  let address = '';
  for (; number > 0n; number /= 58n) address = base58.charAt(Number(number % 58n)) + address;
  // Zero bytes at the beginning are written as ones.
  const zeros = key.findIndex((byte) => byte !== 0);
  address = '1'.repeat(zeros) + address;
  const wrong = Array.from({ length: 9 }, () => {
    const place = 1 + random.below(address.length - 1);
    return address.slice(0, place) + base58.charAt(random.below(58)) + address.slice(place + 1);
  });
  return [address, ...wrong];
}

/** A value, and nine with one character changed to another of the same sort. */
function withWrong(value: string, random: Random): string[] {
  const wrong = Array.from({ length: 9 }, () => {
    const place = random.below(value.length);
    const sort = /\d/.test(value.charAt(place)) ? '0123456789' : 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
    return value.slice(0, place) + random.pick([...sort]) + value.slice(place + 1);
  });
  return [value, ...wrong];
}

/** Numbers of France: a tenth of people born in Corsica. */
function nirs(random: Random): string[] {
  const department = random.pick([...Array(8).fill(digits(random, 2)), '2A', '2B']);
  const [before, after] = [`${random.pick(['1', '2'])}${digits(random, 4)}`, digits(random, 6)];
  const plain = { '2A': '19', '2B': '18' }[department as '2A'] ?? department;
  const check = 97 - (Number(before + plain + after) % 97);
  return withWrong(`${before}${department}${after}${String(check).padStart(2, '0')}`, random);
}

/** Codes of Italy with each last letter, so that one of them is right; digits may be letters, but not all of them. */
function fiscalCodes(random: Random): string[] {
  const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
  const text = (sort: readonly string[], count: number): string =>
    Array.from({ length: count }, () => random.pick(sort)).join('');
  const number = (plain: string): string =>
    random.below(4) > 0 ? plain : [...plain].map((digit) => 'LMNPQRSTUV'.charAt(Number(digit))).join('');
  // Neither the last days of months, which depend on the year, nor those above 79, where the other wraps around.
  const day = random.pick([0, 1, 9, 10, 28, 32, 40, 41, 55, 68, 72]);
  const month = random.pick([...'ABCDEHLMPRST', 'F']);
  const born = `${digits(random, 2)}${month}${number(String(day).padStart(2, '0'))}`;
  const start = `${text(letters, 6)}${born}${random.pick(letters)}${number(digits(random, 3))}`;
  return letters.map((letter) => start + letter);
}

test.each<[string, string, string, (random: Random) => string[]]>([
  ['uk_nhs', 'gb.nhs', 'NHS ', (random) => ends(digits(random, 9))],
  ['us_routing', 'us.rtn', 'routing ', (random) => ends(`02${digits(random, 6)}`)],
  ['card', 'luhn', 'card ', (random) => ends(`4${digits(random, 14)}`)],
  ['fr_nir', 'fr.nir', 'NIR ', nirs],
  ['it_fiscal_code', 'it.codicefiscale', 'fiscale ', fiscalCodes],
  ['sg_nric', 'nric', '', nrics],
  ['wallet', 'bitcoin', 'bitcoin ', wallets],
])('%s as %s', (kind, module, before, make) => {
  const random = seeded(kind.length * 7919);
  const values = Array.from({ length: rounds / 10 }, () => make(random)).flat();
  const policy = policyOf([{ name: kind, action: piiAction.Report }], [], Buffer.alloc(1));
  const found = values.map((value) => {
    const [, start, end] = findPii(policy, `${before}${value}`, '');
    return start === before.length && end === before.length + value.length;
  });
  const wanted = module === 'nric' ? acceptedAsNric(values) : accepted(module, values);
  expect(values.filter((_, at) => found[at] !== wanted[at])).toEqual([]);
  expect(wanted.filter((valid) => valid).length).toBeGreaterThan(rounds / 20);
});
