/** Times authentication: by few and many configured keys, by a stored key, and by a known token. */
import { hash } from 'node:crypto';
import { authenticate } from '../../src/authenticate/authenticate.ts';
import { callerOf } from '../../src/authenticate/caller.ts';
import { createKeyring, type Keyring, type KeyringParts } from '../../src/authenticate/keyring.ts';
import { keyTables, openStoredKeys } from '../../src/authenticate/stored-keys.ts';
import { configSchema } from '../../src/config/schema.ts';
import { openStore } from '../../src/store/database.ts';

/** Name of this group in the report. */
export const subject = 'authenticate';

function keyringOf(count: number, parts: KeyringParts = {}): Keyring {
  const keys = Array.from({ length: count }, (_, i) => ({
    id: `key-${i}`,
    sha256: hash('sha256', `sk-sidegate-${i}`),
    tenant: `tenant-${i % 100}`,
  }));
  return createKeyring(configSchema.parse({ authenticate: { keys } }).authenticate, parts);
}

/** Authenticates with each key in turn; with many keys this includes misses of the processor's caches. */
function asking(keyring: Keyring, keys: readonly string[]): () => unknown {
  const headers = keys.map((key) => ({ authorization: `Bearer ${key}` }));
  let at = 0;
  return () => authenticate(headers[at++ % headers.length] ?? {}, keyring);
}

/** The tasks to time. */
export async function tasks(): Promise<Record<string, () => unknown>> {
  const named = (count: number): string[] => Array.from({ length: count }, (_, i) => `sk-sidegate-${i}`);
  const plain = { tenant: 't', tags: [], limits: [] };
  const store = openStoredKeys(await openStore(null, [keyTables]));
  const stored = Array.from({ length: 1000 }, (_, i) => store.create({ id: `s${i}`, ...plain }, 0) ?? '');
  const many = keyringOf(10_000);
  const known = callerOf({ id: 'idp', ...plain });
  const tokens = { isToken: () => true, known: () => known, verify: () => Promise.resolve(known) };
  const token = `eyJ${'x'.repeat(900)}.${'y'.repeat(342)}.z`;
  return {
    'one of 10 keys': asking(keyringOf(10), named(10)),
    'the same among 10,000 keys': asking(many, named(10)),
    'each of 10,000 keys in turn': asking(many, named(10_000)),
    'one of 1,000 stored keys': asking(keyringOf(10, { stored: store }), stored),
    'a token that is known': asking(keyringOf(10, { tokens }), [token]),
  };
}
