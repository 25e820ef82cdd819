/** Which HTTP proxy the environment names for a URL: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as curl reads them. */
import { BlockList, isIP } from 'node:net';
import { isLoopback } from './node-http.ts';

/** Variables of the environment. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** URL of the proxy for a URL, as written; null: none. This machine is never asked through a proxy. */
export function proxyOf(url: string, env: Variables): string | null {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  if (isLoopback(host)) return null;
  const named = (name: string): string => env[name.toLowerCase()] ?? env[name] ?? '';
  const proxy = named(protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY').trim();
  const usual = protocol === 'https:' ? '443' : '80';
  return proxy === '' || isExcepted(host, port || usual, named('NO_PROXY')) ? null : proxy;
}

/** Options of Node's agents for a proxy, which Node below 22.21 ignores. @param proxy its URL; null: none */
export const agentProxy = (proxy: string | null): { proxyEnv?: Record<string, string> } =>
  proxy === null ? {} : { proxyEnv: { HTTPS_PROXY: proxy, HTTP_PROXY: proxy } };

/** Whether a list such as `.svc,10.0.0.0/8,host:8080` names a host: itself, what ends in it, or its block. */
function isExcepted(host: string, port: string, list: string): boolean {
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true;
      const [, name = entry, only] = /^(.*[^:]|\[.*\]):(\d+)$/.exec(entry) ?? [];
      if (isIP(entry) === 0 && only !== undefined && only !== port) return false;
      const plain = (isIP(entry) === 0 ? name : entry).replace(/^\[(.*)\]$/, '$1').replace(/^\*?\./, '');
      if (plain === '') return false;
      return plain.includes('/') ? isInBlock(host, plain) : host === plain || host.endsWith(`.${plain}`);
    });
}

function isInBlock(host: string, block: string): boolean {
  const [net = '', bits] = block.split('/');
  const family = isIP(net);
  if (family === 0 || isIP(host) !== family || !(Number(bits) <= (family === 6 ? 128 : 32))) return false;
  const kind = family === 6 ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  list.addSubnet(net, Number(bits), kind);
  return list.check(host, kind);
}
