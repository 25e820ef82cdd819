/**
 * Records posted to a URL in batches, signed as Standard Webhooks describes: `webhook-signature` is HMAC-SHA-256 of
 * `webhook-id`, `webhook-timestamp` and the body. A batch that is sent again has the same id.
 */
import { createHmac } from 'node:crypto';
import type { SinkSettings } from './settings.ts';
import { type Sink, sendTimeoutMs } from './sink.ts';

/** Signs a message. @param timestamp seconds since 1970 */
export function signature(secret: string, id: string, timestamp: number, body: string): string {
  const prefix = 'whsec_';
  const key = secret.startsWith(prefix)
    ? Buffer.from(secret.slice(prefix.length), 'base64')
    : Buffer.from(secret);
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** Opens it. */
export async function openWebhook({ url, secret }: NonNullable<SinkSettings['webhook']>): Promise<Sink> {
  return {
    async send(rows) {
      const id = `${rows[0]?.request_id}-${rows.length}`;
      const timestamp = Math.floor(Date.now() / 1000);
      const body = JSON.stringify({ type: 'sidegate.records', records: rows });
      const reply = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signature(secret, id, timestamp, body),
        },
        body,
        redirect: 'error',
        signal: AbortSignal.timeout(sendTimeoutMs),
      });
      await reply.body?.cancel();
      if (!reply.ok) throw new Error(`it answered ${reply.status}`);
    },
    async close() {},
  };
}
