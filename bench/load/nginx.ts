/** nginx as a proxy of the load: the machine's, or Debian's package unpacked into a folder of its own. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { freePort, type Server, type ServerOptions, startProgram, work } from './processes.ts';

const folder = `${work}nginx/`;
const programs = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/sbin/nginx', `${folder}usr/sbin/nginx`];
/** For a download. */
const installMs = 60_000;

/** Unpacks Debian's package, which takes no rights. @throws if there is none to be had */
function install(): void {
  mkdirSync(folder, { recursive: true });
  const run = (program: string, ...args: string[]): unknown =>
    execFileSync(program, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], timeout: installMs });
  run('apt-get', 'download', 'nginx');
  const file = readdirSync(folder).find((name) => name.endsWith('.deb'));
  if (file === undefined) throw new Error('nothing was downloaded');
  run('dpkg', '-x', file, '.');
}

/** One worker, as the other servers have one thread. Replies pass as they come, as streams must. */
const config = (port: number, upstreamPort: number, log: string): string => `
daemon off;
master_process off;
pid ${folder}${port}.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log ${log};
  client_body_temp_path ${folder}body;
  proxy_temp_path ${folder}proxy;
  fastcgi_temp_path ${folder}fastcgi;
  uwsgi_temp_path ${folder}uwsgi;
  scgi_temp_path ${folder}scgi;
  client_body_buffer_size 1m;
  client_max_body_size 20m;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  upstream provider {
    server 127.0.0.1:${upstreamPort};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`;

/** Starts nginx, or says why it can't be had. */
export async function startNginx({ upstreamPort, pinned }: ServerOptions): Promise<Server | string> {
  try {
    if (!programs.some(existsSync)) install();
    const program = programs.find(existsSync);
    if (program === undefined) return 'nginx is not installed, and the package has no program';
    mkdirSync(folder, { recursive: true });
    const port = await freePort();
    const [log, file] = [`${folder}${port}.log`, `${folder}${port}.conf`];
    writeFileSync(file, config(port, upstreamPort, log));
    return await startProgram('nginx', [program, '-p', folder, '-c', file, '-e', 'stderr'], port, {
      pinned,
      log,
      files: [file],
    });
  } catch (cause) {
    return `nginx could not be installed or started: ${(cause as Error).message.split('\n')[0]}`;
  }
}
