/** Starts a real nginx or HAProxy before a port, from Debian's packages. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort } from './redis.ts';

/** A running proxy. */
export interface RunningProxy {
  readonly url: string;
  stop(): Promise<void>;
}

/** The proxies that there are. */
export const proxyNames = ['nginx', 'haproxy'] as const;
/** One of them. */
export type ProxyName = (typeof proxyNames)[number];

const nginxConfig = (folder: string, port: number, target: string): string => `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream sidegate { server ${target}; keepalive 4; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://sidegate;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
    }
  }
}`;

const haproxyConfig = (port: number, target: string): string => `
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 30s
frontend in
  bind 127.0.0.1:${port}
  default_backend sidegate
backend sidegate
  http-reuse always
  server one ${target}
`;

/** Starts it. Rejects with instructions if it isn't installed. @param url of the port behind it */
export async function startProxy(name: ProxyName, url: string): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), `sidegate-${name}-`));
  const port = await freePort();
  const target = new URL(url).host;
  const file = join(folder, 'config');
  await writeFile(file, name === 'nginx' ? nginxConfig(folder, port, target) : haproxyConfig(port, target));
  const args = name === 'nginx' ? ['-p', folder, '-c', file] : ['-db', '-f', file];
  const child = spawn(`/usr/sbin/${name}`, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk) => {
    output = (output + chunk).slice(-4096);
  });
  const failed = once(child, 'error').then(([cause]) => {
    throw new Error(`${name} is not installed: \`apt-get install ${name}\` gets it on Debian.`, { cause });
  });
  await Promise.race([failed, untilOpen(port, child, () => output)]);
  failed.catch(() => {});
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilOpen(port: number, child: ChildProcess, output: () => string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) break;
    const socket = connect(port, '127.0.0.1');
    const open = await Promise.race([
      once(socket, 'connect').then(
        () => true,
        () => false,
      ),
      once(socket, 'error').then(() => false),
    ]);
    socket.destroy();
    if (open) return;
    await wait(50);
  }
  throw new Error(`${child.spawnfile} did not start:\n${output()}`);
}
