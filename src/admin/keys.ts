/** `/keys` of the admin port: creates, lists and revokes stored keys, for clients that have the admin token. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { StoredKeys } from '../authenticate/stored-keys.ts';
import { isBusy } from '../store/database.ts';

/** What `/keys` depends on. Read at each request, since a reload may change it. */
export interface KeysAdmin {
  /** Null: `admin.token` is not set. */
  token(): string | null;
  /** Null: `store.path` is not set. */
  readonly keys: StoredKeys | null;
  /** Whether the configuration has a key of this id. */
  configured(id: string): boolean;
  /** Ms since 1970. */
  readonly wallClock: () => number;
}

/** A reply of `/keys`; `problem` is the title of a problem by RFC 9457. */
export type AdminAnswer =
  | { readonly status: number; readonly body: object | null }
  | { readonly status: number; readonly problem: string; readonly detail: string; readonly headers?: object };

const bodyMaxBytes = 64 * 1024;

const problem = (status: number, title: string, detail: string, headers: object = {}): AdminAnswer => ({
  status,
  problem: title,
  detail,
  headers,
});

/** Answers a request for `/keys` or a path below it. @param path without query */
export async function answerKeys(req: IncomingMessage, path: string, admin: KeysAdmin): Promise<AdminAnswer> {
  try {
    return await answer(req, path, admin);
  } catch (cause) {
    if (!isBusy(cause)) throw cause;
    const detail = 'Another process is writing to the store. Nothing was changed; try again.';
    return problem(503, 'Store busy', detail, { 'retry-after': '1' });
  }
}

async function answer(req: IncomingMessage, path: string, admin: KeysAdmin): Promise<AdminAnswer> {
  const refused = refuseStranger(req, admin.token(), 'Keys are switched off');
  if (refused !== null) return refused;
  const { keys } = admin;
  if (keys === null)
    return problem(409, 'No store', 'Set store.path to a file, so that keys survive a restart.');
  if (path === '/keys') {
    if (req.method === 'GET') return list(req, keys);
    if (req.method === 'POST') return create(req, keys, admin);
    return problem(405, 'Method not allowed', 'Use GET or POST.', { allow: 'GET, POST' });
  }
  if (req.method !== 'DELETE') return problem(405, 'Method not allowed', 'Use DELETE.', { allow: 'DELETE' });
  return revoke(path.slice('/keys/'.length), keys, admin);
}

/**
 * Refuses requests without the admin token; null: it is there.
 * @param token null: none is configured
 * @param off title of the refusal when none is
 */
export function refuseStranger(req: IncomingMessage, token: string | null, off: string): AdminAnswer | null {
  if (token === null) return problem(403, off, 'Set admin.token to a secret, and send it as a bearer token.');
  if (isToken(req.headers.authorization, token)) return null;
  const detail = 'Send the admin token as "Authorization: Bearer".';
  return problem(401, 'Wrong token', detail, { 'www-authenticate': 'Bearer' });
}

/** Compares digests, so that the time taken reveals neither token nor length. */
export function isToken(authorization: string | undefined, token: string): boolean {
  const sent = /^bearer +(.*)$/i.exec(authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(hash('sha256', sent, 'buffer'), hash('sha256', token, 'buffer'));
}

/** Loaded only if keys are stored, since it loads the checks of the configuration. */
const manage = () => import('./manage.ts');

async function list(req: IncomingMessage, keys: StoredKeys): Promise<AdminAnswer> {
  const { showKeys } = await manage();
  const query = new URLSearchParams((req.url ?? '').split('?')[1] ?? '');
  return { status: 200, body: showKeys(keys, query.get('after') ?? '') };
}

async function create(req: IncomingMessage, keys: StoredKeys, admin: KeysAdmin): Promise<AdminAnswer> {
  if (!/^application\/json\s*(;|$)/i.test(req.headers['content-type'] ?? ''))
    return problem(415, 'Unsupported media type', 'Send the key as application/json.');
  const text = await readBody(req);
  if (text === null) return problem(413, 'Body too large', `Send at most ${bodyMaxBytes} bytes.`);
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    return problem(400, 'Invalid JSON', 'Send one JSON object.');
  }
  const { makeKey } = await manage();
  const made = makeKey(input, keys, admin.configured, admin.wallClock());
  if ('key' in made) return { status: 201, body: made };
  return made.kind === 'taken'
    ? problem(409, 'Id taken', `${made.message} Choose another id.`)
    : problem(400, 'Invalid key', made.message);
}

function revoke(written: string, keys: StoredKeys, admin: KeysAdmin): AdminAnswer {
  let id: string;
  try {
    id = decodeURIComponent(written);
  } catch {
    return problem(404, 'Not found', 'This is not a valid id.');
  }
  if (keys.revoke(id, admin.wallClock())) return { status: 204, body: null };
  return admin.configured(id)
    ? problem(409, 'In the configuration', 'This key is in the configuration: remove it there.')
    : problem(404, 'Not found', 'There is no stored key with this id.');
}

/** The body as text; null: it is too large. The server's request timeout limits the time. */
function readBody(req: IncomingMessage): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    req.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bodyMaxBytes) resolve(null);
      else chunks.push(chunk);
    });
    req.on('end', () => resolve(Buffer.concat(chunks).toString()));
    req.on('error', reject);
    req.on('close', () => reject(new Error('the client disconnected')));
  });
}
