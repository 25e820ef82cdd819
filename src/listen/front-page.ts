/** What a browser sees at `/` of the data port: where to go, instead of an error meant for programs. */
import type { WholeReply } from '../exchange/reply.ts';
import type { Head } from './endpoints.ts';

/** Whether a request comes from somebody who looks at `/` with a browser. */
export const isBrowser = ({ method, url, headers }: Head): boolean =>
  method === 'GET' && url === '/' && (headers.accept ?? '').includes('text/html');

/** The page. @param adminUrl URL of the admin port, with the dashboard; empty: unknown */
export function frontPage(adminUrl: string): WholeReply {
  const dashboard = adminUrl === '' ? '' : `<li><a href="${adminUrl}/">Dashboard</a>, on the admin port</li>`;
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sidegate</title>
<h1>Sidegate</h1><p>This is the data port: point your SDK's base URL here.</p>
<ul>${dashboard}<li><a href="/v1/models">/v1/models</a>, the models it serves</li></ul></html>\n`;
  const headers = [
    'content-type',
    'text/html; charset=utf-8',
    'content-security-policy',
    "default-src 'none'; frame-ancestors 'none'",
    'x-content-type-options',
    'nosniff',
  ];
  return { kind: 'whole', status: 200, headers, body: Buffer.from(html) };
}
