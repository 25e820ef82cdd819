/** What is shipped works together: the example configuration in the shipped manifest. Issue 22, item 15. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { configSchema } from '../../src/config/schema.ts';

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
