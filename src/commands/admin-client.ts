/** Requests of commands to the admin port of a running sidecar. */
import { type Shell, UsageError } from './shell.ts';

const timeoutMs = 10_000;

/** Sends a request, and resolves with the reply's JSON; null: it has no body. Rejects with what to do. */
export type AskAdmin = (method: string, path: string, body?: object) => Promise<unknown>;

/** A client of an admin port; its token is in the environment. @param url as given by `--admin` */
export function adminClient(url: string, { env }: Shell): AskAdmin {
  const token = env.SIDEGATE_ADMIN_TOKEN ?? '';
  if (token === '') throw new Error('set SIDEGATE_ADMIN_TOKEN to the admin token of that sidecar.');
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new UsageError('--admin must be a URL such as http://127.0.0.1:4101.');
  return async (method, path, body) => {
    const answer = await fetch(new URL(path, url), {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    }).catch(() => {
      throw new Error(`${url} cannot be reached: pass the admin port of a running sidecar as --admin URL.`);
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${url} refuses (${answer.status}): ${detailOf(text)}`);
    if (text === '') return null;
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(`${url} is no admin port of Sidegate: its reply is not JSON.`);
    }
  };
}

/** The detail of a problem document (RFC 9457), or the message of an API's error. */
function detailOf(text: string): string {
  try {
    const { detail, error } = JSON.parse(text) as { detail?: string; error?: { message?: string } };
    return detail ?? error?.message ?? 'no reason was given.';
  } catch {
    return 'no reason was given.';
  }
}
