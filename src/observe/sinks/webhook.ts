/**
 * Records posted to a URL in batches, signed as Standard Webhooks describes: `webhook-signature` is HMAC-SHA-256 of
 * `webhook-id`, `webhook-timestamp` and the body. A batch that is sent again has the same id.
 */
import { createHmac } from 'node:crypto';
import type { SinkSettings } from './settings.ts';
import { type Sink, sendTimeoutMs, TooLarge } from './sink.ts';

/** Servers and proxies bound a body: Express at 100 KB, nginx at 1 MB. */
const tooLarge = 413;

/** Signs a message. @param timestamp seconds since 1970 */
export function signature(secret: string, id: string, timestamp: number, body: string): string {
  const prefix = 'whsec_';
  const key = secret.startsWith(prefix)
    ? Buffer.from(secret.slice(prefix.length), 'base64')
    : Buffer.from(secret);
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** A URL without its user and password, with which `fetch` refuses and quotes it, and the header that has them instead. */
function addressOf(text: string): { readonly url: string; readonly credential: Record<string, string> } {
  const url = new URL(text);
  const { username, password } = url;
  if (username === '' && password === '') return { url: text, credential: {} };
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  url.username = '';
  url.password = '';
  return {
    url: url.href,
    credential: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
  };
}

/** Opens it. */
export async function openWebhook({
  url: given,
  secret,
}: NonNullable<SinkSettings['webhook']>): Promise<Sink> {
  const { url, credential } = addressOf(given);
  return {
    async send(rows) {
      const id = `${rows[0]?.request_id}-${rows.length}`;
      const timestamp = Math.floor(Date.now() / 1000);
      const body = JSON.stringify({ type: 'sidegate.records', records: rows });
      const reply = await fetch(url, {
        method: 'POST',
        headers: {
          ...credential,
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signature(secret, id, timestamp, body),
        },
        body,
        redirect: 'error',
        signal: AbortSignal.timeout(sendTimeoutMs),
      }).catch((thrown: Error) => {
        // That a connection failed is all that the error itself says.
        throw thrown.cause ?? thrown;
      });
      await reply.body?.cancel();
      if (reply.ok) return;
      const problem = `it answered ${reply.status}`;
      throw reply.status === tooLarge ? new TooLarge(problem) : new Error(problem);
    },
    async close() {},
  };
}
