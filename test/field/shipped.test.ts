/** What is shipped works together: the example configuration in the shipped manifest. Issue 22, item 15. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { configSchema } from '../../src/config/schema.ts';
import { ask } from '../support/client.ts';
import { openaiWire } from '../support/replies.ts';
import { spawnSidecar } from '../support/sidecar.ts';
import { startUpstream } from '../support/upstream.ts';

const root = new URL('../../', import.meta.url).pathname;
const read = (name: string): string => readFileSync(join(root, 'deploy', name), 'utf8');
const documents = parseAllDocuments(read('kubernetes.yaml')).map((each) => each.toJS());
const pod = documents.find(({ kind }) => kind === 'Deployment').spec.template.spec;
const [container] = pod.initContainers;
const MiB = 1024 * 1024;

test('item 15: what the example writes has a place in the manifest that may be written', () => {
  const { path } = parse(read('sidegate.example.yaml').replace(/\$\{\w+:-([^}]*)\}/g, '$1')).store;
  const mount = container.volumeMounts.find(
    ({ mountPath }: { mountPath: string }) => mountPath === dirname(path),
  );
  expect(mount.readOnly).toBeUndefined();
  // `sidegate costs --from` gathers records in the folder for temporary files.
  expect(container.env).toContainEqual({ name: 'TMPDIR', value: mount.mountPath });
  const volume = pod.volumes.find(({ name }: { name: string }) => name === mount.name);
  expect(volume.emptyDir).toBeDefined();
  expect([container.securityContext.readOnlyRootFilesystem, pod.securityContext.runAsNonRoot]).toEqual([
    true,
    true,
  ]);
});

test("item 15: all that the manifest's configuration lets the sidecar hold fits into its memory limit", () => {
  const text = documents.find(({ kind }) => kind === 'ConfigMap').data['sidegate.yaml'];
  const { listen, batch, cache, replay, attempt } = configSchema.parse(parse(text));
  expect(container.resources.limits.memory).toBe('512Mi');
  // Measured: bench/RESULTS.md, idle and after 100,000 requests; and docs/guides/costs.md, once tokens are counted.
  const [working, counting] = [150 * MiB, 100 * MiB];
  // A body is read in one piece beside what is kept, and so are replies.
  expect(attempt.replyMaxBytes).toBeLessThanOrEqual(listen.repliesMaxBytes);
  const atOnce = Math.max(listen.uploadMaxBytes, listen.bodyMaxBytes) + listen.repliesMaxBytes;
  const kept =
    listen.bodiesMaxBytes + batch.queueMaxBytes + cache.bytesMax + cache.semantic.bytesMax + replay.bytesMax;
  expect(working + counting + kept + atOnce).toBeLessThanOrEqual(512 * MiB);
});

test('item 15: what fills its bounds keeps the sidecar within the memory limit', async () => {
  const upstream = await startUpstream((call) => {
    const { text } = call.json as { text?: number };
    call.whole(200, { 'content-type': 'application/json' }, openaiWire.whole('x'.repeat(text ?? 1)));
  });
  const text = documents.find(({ kind }) => kind === 'ConfigMap').data['sidegate.yaml'];
  const config = parse(text);
  Object.assign(config.listen, { port: 0 });
  Object.assign(config.admin, { host: '127.0.0.1', port: 0 });
  config.providers.openai = { dialect: 'openai', baseUrl: upstream.baseUrl };
  const [, options = ''] = /ENTRYPOINT \[ "node", "(--[^"]+)"/.exec(read('Dockerfile')) ?? [];
  const sidecar = await spawnSidecar(JSON.stringify(config), { NODE_OPTIONS: options });
  onTestFinished(async () => {
    await sidecar.stop();
    await upstream.close();
  });
  let asked = 0;
  /** Asks anew. @param keyed with a key, for which the reply is kept; else the cache keeps it */
  const post = async (promptBytes: number, replyBytes: number, keyed: boolean): Promise<number> => {
    const number = asked++;
    const prompt = `${number} ${'word '.repeat(promptBytes / 5)}`;
    const body = { ...openaiWire.request(prompt), text: replyBytes };
    const headers: Record<string, string> = keyed ? { 'idempotency-key': `key-${number}` } : {};
    return (await ask(sidecar.url, openaiWire.path, { body, headers })).status;
  };
  // Half as much again as the cache may keep, and as the replies for repeats may.
  for (let i = 0; i < 80; i++) expect(await post(100, 0.9 * MiB, false)).toBe(200);
  for (let i = 0; i < 25; i++) expect(await post(100, 3.9 * MiB, true)).toBe(200);
  const metrics = await (await fetch(`${sidecar.adminUrl}/metrics`)).text();
  const cached = Number(/^sidegate_cache_bytes (\d+)/m.exec(metrics)?.[1]);
  expect(cached).toBeGreaterThan(0.9 * config.cache.bytesMax);
  // More bodies and replies at once than may be held: some are refused, and nothing breaks.
  const statuses = await Promise.all(Array.from({ length: 8 }, () => post(15 * MiB, 8 * MiB, true)));
  expect(statuses).toContain(200);
  expect(statuses.every((status) => status === 200 || status === 503)).toBe(true);
  const status = readFileSync(`/proc/${sidecar.child.pid}/status`, 'utf8');
  const peakBytes = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  expect(peakBytes).toBeLessThan(512 * MiB);
  expect(await post(100, 100, false)).toBe(200);
});

test('item 15: the example runs as an unprivileged user on a read-only root', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-shipped-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const store = join(folder, 'store');
  mkdirSync(store);
  writeFileSync(
    join(folder, 'sidegate.yaml'),
    read('sidegate.example.yaml').replace('port: 4101', 'port: 0'),
  );
  // As in the container: the root can't be written, the mounted folder can, by the manifest's user.
  const script = `mount --bind / / && mount -o remount,ro,bind / || exit 77
mount -t tmpfs -o uid=10001,gid=10001,mode=750 tmpfs ${store} || exit 77
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all \
  ${process.execPath} ${root}dist/main.js run --config ${folder}/sidegate.yaml`;
  const env = {
    PATH: process.env.PATH,
    SIDEGATE_PORT: '0',
    SIDEGATE_STORE: join(store, 'store.db'),
    OPENAI_API_KEY: 'k',
    ANTHROPIC_API_KEY: 'k',
  };
  const child = spawn('unshare', ['-m', 'sh', '-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const ended = new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(77));
    child.on('close', resolve);
  });
  const listening = new Promise<RegExpMatchArray | null>((resolve) => {
    const look = (chunk: Buffer): void => {
      said += chunk;
      const found = said.match(/"data":"([^"]+)","admin":"([^"]+)"/);
      if (found !== null) resolve(found);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    void ended.then(() => resolve(null));
  });
  onTestFinished(() => void child.kill());
  const found = await listening;
  if (found === null) {
    const unable = (await ended) === 77 || /Operation not permitted|not found/.test(said);
    if (unable) return context.skip('this machine has no namespaces of mounts for tests');
    throw new Error(said);
  }
  expect((await fetch(`${found[2]}/readyz`)).status).toBe(200);
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(said).not.toContain('"level":50');
});
