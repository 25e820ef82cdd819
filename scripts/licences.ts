/** What is shipped: npm packages and crates with their licences, and which licences the policy allows. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, root), 'utf8');

/** A package that is part of the published one. */
export interface Shipped {
  readonly name: string;
  readonly version: string;
  /** By SPDX; empty: it states none. */
  readonly licence: string;
  /** Where it comes from, and a digest of it, are in the lockfile. */
  readonly pinned: boolean;
}

interface NpmEntry {
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

/** The npm packages that the program runs with. The runtime that the repository brings is not published. */
export function npmPackages(): Shipped[] {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, NpmEntry> };
  return Object.entries(packages).flatMap(([path, { version = '', license = '', integrity, dev, link }]) => {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const isShipped = path.includes('node_modules/') && dev !== true && link !== true;
    if (!isShipped || name.startsWith('node-linux-')) return [];
    return [{ name, version, licence: license, pinned: integrity !== undefined }];
  });
}

/** The crates that the native core is built of. */
export function crates(): Shipped[] {
  const args = ['metadata', '--offline', '--locked', '--format-version', '1'];
  const text = execFileSync(
    'cargo',
    [...args, '--manifest-path', new URL('native/Cargo.toml', root).pathname],
    {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const { packages } = JSON.parse(text) as {
    packages: { name: string; version: string; license: string | null; source: string | null }[];
  };
  const lock = read('native/Cargo.lock');
  return packages.flatMap(({ name, version, license, source }) => {
    if (source === null) return [];
    const entry = `name = "${name}"\nversion = "${version}"\nsource = "${cratesIo}"\nchecksum = "`;
    return [{ name, version, licence: license ?? '', pinned: lock.includes(entry) }];
  });
}

const cratesIo = 'registry+https://github.com/rust-lang/crates.io-index';

/** The licences that native/deny.toml allows. */
export function allowedLicences(): ReadonlySet<string> {
  const [, list = ''] = /\nallow = \[([^\]]*)\]/.exec(read('native/deny.toml')) ?? [];
  return new Set([...list.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name));
}

/** Whether a licence, or one of those to choose from, is allowed; of those joined by AND, each must be. */
export function isAllowed(licence: string, allowed: ReadonlySet<string>): boolean {
  return licence
    .replace(/[()]/g, '')
    .split(' AND ')
    .every((part) => part.split(/ OR |\//).some((one) => allowed.has(one)));
}

/** Rows of the table of licences: each licence, and the packages under it. */
export function licenceRows(): string[][] {
  const byLicence = new Map<string, Set<string>>();
  for (const { name, licence } of [...npmPackages(), ...crates()])
    byLicence.set(licence, (byLicence.get(licence) ?? new Set()).add(name));
  return [...byLicence].sort().map(([licence, names]) => [licence, [...names].sort().join(', ')]);
}
