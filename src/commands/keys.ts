/** `sidegate keys`: creates, lists and revokes stored keys, in the store's file or over a sidecar's admin port. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type KeyPage, makeKey, showKeys } from '../admin/manage.ts';
import { keyTables, openStoredKeys } from '../authenticate/stored-keys.ts';
import { adminClient } from './admin-client.ts';
import { configOrThrow, configPath, configPathText } from './config-file.ts';
import type { Shell } from './shell.ts';

/** What `sidegate keys` prints. */
export const help = `sidegate keys: manages stored keys, which exist in addition to those of the configuration

  sidegate keys create --id ID --tenant TENANT [--team TEAM] [--user USER | --user-header NAME] [--tag TAG]…
                       [--model PATTERN]… [--endpoint NAME]… [--expires TIME] WHERE
  sidegate keys list WHERE
  sidegate keys revoke ID WHERE

  WHERE is one of
    --admin URL      the admin port of a running sidecar; the token comes from $SIDEGATE_ADMIN_TOKEN
    --store FILE     the store's file, whether a sidecar is using it or not
    --config FILE    the configuration that names the store (or ${configPathText})

  create prints the key, which is never shown again. A running sidecar applies each change from its next request on.
`;

const options = {
  id: { type: 'string' },
  tenant: { type: 'string' },
  team: { type: 'string' },
  user: { type: 'string' },
  'user-header': { type: 'string' },
  tag: { type: 'string', multiple: true },
  model: { type: 'string', multiple: true },
  endpoint: { type: 'string', multiple: true },
  expires: { type: 'string' },
  admin: { type: 'string' },
  store: { type: 'string' },
  config: { type: 'string', short: 'c' },
  help: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parse>['values'];
const parse = (args: string[]) => parseArgs({ args, options, allowPositionals: true });

/** Access to stored keys, in a file or over the admin port. Rejects with errors that say what to do. */
interface KeyAccess {
  create(input: object): Promise<string>;
  list(after: string): Promise<KeyPage>;
  revoke(id: string): Promise<void>;
  close(): void;
}

/** Runs `sidegate keys`; returns the exit code. */
export async function keys(args: string[], shell: Shell): Promise<number> {
  const { values, positionals } = parse(args);
  if (values.help === true) {
    shell.print(help);
    return 0;
  }
  const [action, id, ...rest] = positionals;
  const known = action === 'create' || action === 'list' || action === 'revoke';
  const wanted = action === 'revoke' ? id !== undefined : id === undefined;
  if (!known || !wanted || rest.length > 0) {
    shell.printError(help);
    return 2;
  }
  const access = values.admin === undefined ? await inFile(values, shell) : atAdmin(values.admin, shell);
  try {
    if (action === 'create') shell.print(`${await access.create(grantOf(values))}\n`);
    else if (action === 'revoke') await access.revoke(id ?? '');
    else await printAll(access, shell);
    return 0;
  } finally {
    access.close();
  }
}

/** The key that the options describe; missing options are left out. */
function grantOf(values: Values): object {
  const { id, tenant, team, user, 'user-header': userHeader, tag: tags, expires } = values;
  const { model: models, endpoint: endpoints } = values;
  const all = { id, tenant, team, user, userHeader, tags, models, endpoints, expires };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

async function printAll(access: KeyAccess, shell: Shell): Promise<void> {
  for (let after: string | null = ''; after !== null; ) {
    const page = await access.list(after);
    for (const key of page.keys) shell.print(`${JSON.stringify(key)}\n`);
    after = page.next;
  }
}

/** Keys in the store's file. A sidecar that uses it looks keys up at each use, so it needs no notification. */
async function inFile(values: Values, shell: Shell): Promise<KeyAccess> {
  let path = values.store;
  let ids: ReadonlySet<string> = new Set();
  if (path === undefined) {
    const file = configPath(values.config, shell);
    const config = await configOrThrow(file, "the store's file by --store FILE", shell);
    path = config.store.path;
    if (path === undefined) throw new Error(`${file} names no store: set store.path.`);
    const { keys: fixed, oidc } = config.authenticate;
    ids = new Set([...fixed, ...oidc].map((entry) => entry.id));
  }
  // A new one beside it, as of a path that counts from another folder, would take keys that open nothing.
  if (!existsSync(path))
    throw new Error(
      `there is no store ${resolve(path)}: a sidecar creates it when it starts with this store.path.`,
    );
  const { openStore } = await import('../store/database.ts');
  const store = await openStore(path, [keyTables]);
  const stored = openStoredKeys(store);
  return {
    async create(input) {
      const made = makeKey(input, stored, (id) => ids.has(id), Date.now());
      if (!('key' in made)) throw new Error(made.message);
      return made.key;
    },
    list: async (after) => showKeys(stored, after),
    async revoke(id) {
      if (!stored.revoke(id, Date.now())) throw new Error(`there is no stored key with the id ${id}.`);
    },
    close: () => store.close(),
  };
}

/** Keys of a running sidecar, over its admin port. */
function atAdmin(url: string, shell: Shell): KeyAccess {
  const ask = adminClient(url, shell);
  return {
    create: async (input) => ((await ask('POST', '/keys', input)) as { key: string }).key,
    list: async (after) => (await ask('GET', `/keys?after=${encodeURIComponent(after)}`)) as KeyPage,
    revoke: async (id) => void (await ask('DELETE', `/keys/${encodeURIComponent(id)}`)),
    close() {},
  };
}
